package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strata-dns/strata/authoritative/store"
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

// How addresses are probed goes with them, and comes back; what is no way to probe is
// shown, and does nothing.
func TestExportProbes(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)).awaitReady()
	n.does("records", "add", "a.prd.example.com", "A", "10.0.0.1", "10.0.0.2", "--probe", "tcp:80")
	n.does("records", "add", "b.prd.example.com", "AAAA", "2001:db8::1", "--probe", "http:8080/healthz?a=1;b")
	n.does("records", "add", "c.prd.example.com", "A", "10.0.0.3")
	odd := rec(t, "d.prd.example.com", "A", "static", "10.0.0.4")
	odd.Probe = "tcp:80\nevil A 10.6.6.6"
	other := rec(t, "e.prd.example.com", "A", "an\nowner", "10.0.0.5")
	other.Probe = "icmp"
	if _, err := client(t, endpoint).Write(t.Context(), store.Edit{Op: store.Set, Record: odd}, store.Edit{Op: store.Set, Record: other}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "zone")
	text := n.does("records", "export", "--zone", "prd.example.com")
	write(t, file, text)
	for _, line := range []string{
		"\t10.0.0.1 ; probe=tcp:80\n", "\t10.0.0.2 ; probe=tcp:80\n", "\t2001:db8::1 ; probe=http:8080/healthz?a=1;b\n", "\t10.0.0.3\n",
		`; no probe: "tcp:80\nevil A 10.6.6.6"` + "\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if all := n.does("records", "export", "--zone", "prd.example.com", "--all"); !strings.Contains(all, "\t10.0.0.1 ; static probe=tcp:80\n") || !strings.Contains(all, `; "an\nowner" probe=icmp`+"\n") {
		t.Error(all)
	}
	probes := func() (all []string) {
		for line := range strings.Lines(n.does("records", "list", "--owner", "static")) {
			_, how, _ := strings.Cut(strings.TrimSpace(line), ", probe ")
			all = append(all, how)
		}
		return all
	}
	does := func(want string, args ...string) {
		t.Helper()
		if out := n.does(append([]string{"records", "import", file, "--zone", "prd.example.com"}, args...)...); !strings.HasPrefix(out, want) {
			t.Errorf("%v: %s", args, out)
		}
	}
	held := n.does("records", "list", "--owner", "static")
	does("written 0, deleted 0, unchanged 4", "--replace")
	does("written 0, deleted 0, unchanged 4")
	for _, name := range []string{"a", "b"} {
		n.does("records", "remove", name+".prd.example.com", map[string]string{"a": "A", "b": "AAAA"}[name])
	}
	does("written 2, ", "--replace")
	if now := n.does("records", "list", "--owner", "static"); now != held {
		t.Errorf("after it was all imported again: %s, it was\n%s", now, held)
	}
	// One is taken away, one changed, one comes, and one stays as it is.
	write(t, file, "a A 10.0.0.1 ; probe=none\n  A 10.0.0.2\nb AAAA 2001:db8::1 ; they said probe=icmp\nc A 10.0.0.3 ;probe=udp:53\nd 30 A 10.0.0.4 ; probe= is nothing\n  TXT x ; probe=tcp:80\n")
	does("written 4, deleted 0, unchanged 1", "--replace")
	if got := fmt.Sprintf("%q", probes()); !strings.HasPrefix(got, `["" "" "icmp" "udp:53" "tcp:80"`) {
		t.Errorf("probes are %s:\n%s", got, n.does("records", "list", "--owner", "static"))
	}
	for text, want := range map[string]string{
		"a A 10.0.0.1\nb A 10.0.0.2 ; probe=tcp\n":                    file + ":2: comment probe=: ",
		"a A 10.0.0.1 ; probe=tcp:80\na A 10.0.0.2 ; probe=tcp:443\n": "to be probed by tcp:80 and by tcp:443",
	} {
		write(t, file, text)
		if said := n.fails("records", "import", file, "--zone", "prd.example.com"); !strings.Contains(said, want) {
			t.Errorf("%q: %s", text, said)
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
