package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What export writes, import makes the same records of, whatever is in them.
func TestExport(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	config := fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}, {name: stg.example.com, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)
	n := serve(t, config).awaitReady()
	for _, args := range [][]string{
		{"prd.example.com", "MX", "10 mx.prd.example.com"}, {"prd.example.com", "NS", "ns1.prd.example.com"},
		{"a.prd.example.com", "A", "10.0.0.1", "10.0.0.2", "--ttl", "60"}, {"a.prd.example.com", "AAAA", "2001:db8::1", "--ttl", "0"},
		{`sp\032ace.prd.example.com`, "A", "10.0.0.3"}, {`dot\.ted.prd.example.com`, "A", "10.0.0.4"}, {`semi\;colon.prd.example.com`, "A", "10.0.0.5"},
		{`\000\255.prd.example.com`, "A", "10.0.0.6"}, {`qu\"ote.prd.example.com`, "A", "10.0.0.7"}, {`at\@.prd.example.com`, "A", "10.0.0.8"}, {`\$x.prd.example.com`, "A", "10.0.0.9"},
		{"*.w.prd.example.com", "TXT", `"a; b" "c\"d\\"`, `"\000\255"`}, {"_sip._tcp.prd.example.com", "SRV", `0 5 5060 sp\032ace.prd.example.com`},
		{"t.prd.example.com", "TYPE65280", `\# 3 0a0b0c`}, {"c.prd.example.com", "CAA", `0 issue "ca.example.net"`}, {"h.prd.example.com", "HTTPS", `1 . alpn="h2,h3" port="8443"`},
		{"alias.prd.example.com", "CNAME", `x\.y.example.net`}, {"d.prd.example.com", "DNAME", "other.example.net"},
	} {
		n.does(append([]string{"records", "add", "--owner", "team"}, args...)...)
	}
	n.does("records", "add", "a.prd.example.com", "A", "10.0.0.9", "--owner", "other")
	n.does("records", "add", "a.stg.example.com", "A", "10.0.0.9", "--owner", "team")
	held := n.does("records", "list", "prd.example.com", "--owner", "team")

	file := filepath.Join(t.TempDir(), "zone")
	text := n.does("records", "export", "--zone", "prd.example.com", "--owner", "team")
	write(t, file, text)
	again := func(want string) {
		t.Helper()
		out := n.does("records", "import", file, "--zone", "prd.example.com", "--owner", "team", "--replace", "--force")
		if said, _, _ := strings.Cut(out, ", revision"); said != want {
			t.Errorf("%s, want %s", said, want)
		}
		if got := n.does("records", "list", "prd.example.com", "--owner", "team"); got != held {
			t.Errorf("after the import:\n%swas\n%s", got, held)
		}
	}
	again("written 0, deleted 0, unchanged 18")
	n.does("records", "add", "more.prd.example.com", "A", "10.0.0.1", "--owner", "team")
	n.does("records", "remove", "a.prd.example.com", "A", "--owner", "team")
	n.does("records", "remove", "*.w.prd.example.com", "TXT", "--owner", "team")
	again("written 2, deleted 1, unchanged 16")
	if !strings.HasPrefix(text, "; zone prd.example.com., records of team, revision ") || strings.Contains(text, "10.0.0.9 ;") || strings.Contains(text, "stg") {
		t.Error(text)
	}
	if all := n.does("records", "export", "--zone", "prd.example.com", "--all"); !strings.Contains(all, "\t10.0.0.9 ; other\n") || !strings.Contains(all, "\t10.0.0.1 ; team\n") {
		t.Error(all)
	}

	var all struct {
		Zone     string
		Revision int64
		Records  []recordJSON
	}
	if err := json.Unmarshal([]byte(n.does("records", "export", "--zone", "prd.example.com", "--all", "--format", "json")), &all); err != nil {
		t.Fatal(err)
	}
	if all.Zone != "prd.example.com." || all.Revision == 0 || len(all.Records) != 19 {
		t.Errorf("%+v", all)
	}
	var none struct{ Records []recordJSON }
	if err := json.Unmarshal([]byte(n.does("records", "export", "--zone", "stg.example.com", "--format", "json")), &none); err != nil || len(none.Records) != 0 {
		t.Error(none, err)
	}
	for want, args := range map[string][]string{
		`--format "xml" is unknown; known: master, json`: {"export", "--zone", "prd.example.com", "--format", "xml"},
		"not a zone: --zone prd.example.com":             {"export", "--zone", "a.prd.example.com"},
		"[all owner] were all set":                       {"export", "--zone", "prd.example.com", "--all", "--owner", "x"},
		`required flag(s) "zone" not set`:                {"export"},
		`--format "master" is unknown; known: text`:      {"history", "a.prd.example.com", "--format", "master"},
	} {
		if said := n.fails(append([]string{"records"}, args...)...); !strings.Contains(said, want) {
			t.Errorf("%q: %q", args, said)
		}
	}
}

// The history of a name is all that was done to it, and says where it begins.
func TestRecordsHistory(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)).awaitReady()
	const name = "a.prd.example.com"
	n.does("records", "add", name, "A", "10.0.0.1", "--ttl", "60")
	n.does("records", "add", name, "A", "10.0.0.2", "--ttl", "30")
	n.does("records", "add", name, "TXT", "x", "--owner", "other")
	n.does("records", "remove", name, "A")
	n.does("records", "add", "b."+name, "A", "10.0.0.9")
	if got, want := n.does("records", "history", name), `; a.prd.example.com.: revisions 1 to 6
2	put	static	A	60	10.0.0.1
3	put	static	A	30	10.0.0.1, 10.0.0.2
4	put	other	TXT	300	"x"
5	deleted	static	A
`; got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	compact(t, endpoint, 4)
	if got, want := n.does("records", "history", name), `; a.prd.example.com.: revisions 4 to 6; what was before 4 etcd has forgotten
3	before	static	A	30	10.0.0.1, 10.0.0.2
4	before	other	TXT	300	"x"
5	deleted	static	A
`; got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	var h historyJSON
	if err := json.Unmarshal([]byte(n.does("records", "history", name, "--format", "json")), &h); err != nil || h.From != 4 || h.To != 6 || len(h.Changes) != 3 || h.Changes[2].Change != wasGone {
		t.Errorf("%+v, %v", h, err)
	}
}
