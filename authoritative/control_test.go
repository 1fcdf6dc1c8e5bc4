package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestControl(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "zone")
	write(t, path, orgZone+"sub IN NS ns.sub\nns.sub IN A 192.0.2.3\nalias IN CNAME www\n")
	n := serve(t, "zones: [{name: example.org, source: file, file: "+path+"}]\n").awaitReady()

	lines := func(out string) []string {
		all := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		slices.Sort(all)
		return all
	}
	sub := []string{"ns.sub.example.org.\t300\tIN\tA\t192.0.2.3 ; file", "sub.example.org.\t300\tIN\tNS\tns.sub.example.org. ; file"}
	if got := lines(n.does("ctl", "dump", "SUB.example.org")); !slices.Equal(got, sub) {
		t.Errorf("%q", got)
	}
	if got := lines(n.does("ctl", "dump")); len(got) != 7 {
		t.Errorf("%q", got)
	}
	for _, line := range lines(n.does("ctl", "dump", "--json")) {
		var rec recordJSON
		if err := json.Unmarshal([]byte(line), &rec); err != nil || rec.Name == "" || rec.Type == "" || rec.Owner == "" || len(rec.Data) == 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
	if out := n.does("ctl", "dump", "example.net"); out != "" {
		t.Errorf("%q", out)
	}
	for args, want := range map[string]string{
		"www.example.org":       "www.example.org. A: hit in zone example.org.\nwww.example.org.\t300\tIN\tA\t192.0.2.80\n",
		"www.example.org aaaa":  "www.example.org. AAAA: nodata in zone example.org.\nexample.org.\t60\tIN\tSOA\tns1.example.org. hostmaster.example.org. 7 7200 1800 1209600 60\n",
		"alias.example.org":     "alias.example.org. A: alias in zone example.org.\nalias.example.org.\t300\tIN\tCNAME\twww.example.org.\nwww.example.org.\t300\tIN\tA\t192.0.2.80\n",
		"a.b.sub.example.org":   "a.b.sub.example.org. A: referral in zone example.org.\nsub.example.org.\t300\tIN\tNS\tns.sub.example.org.\n",
		"www.example.net":       "www.example.net. A: refused\n",
		"no.example.org TYPE99": "no.example.org. SPF: nxdomain in zone example.org.\nexample.org.\t60\tIN\tSOA\tns1.example.org. hostmaster.example.org. 7 7200 1800 1209600 60\n",
	} {
		if got := n.does(append([]string{"ctl", "lookup"}, strings.Fields(args)...)...); got != want {
			t.Errorf("lookup %s:\n%s, want\n%s", args, got, want)
		}
	}
	if got := n.does("ctl", "lookup", "www.example.org", "--json"); got != `{"name":"www.example.org.","type":"A","outcome":"hit","zone":"example.org.","answer":["www.example.org.\t300\tIN\tA\t192.0.2.80"]}`+"\n" {
		t.Error(got)
	}
	for args, want := range map[string]string{
		"dump a b":           "dump takes one name at most",
		"dump a..b":          "empty label",
		"lookup":             "lookup takes a name and a type: lookup db.prd.example.com A",
		"lookup a.example x": `"x" is no record type; such as A`,
		"lookup a..b":        `"a..b" is no domain name`,
	} {
		if said := n.fails(append([]string{"ctl"}, strings.Fields(args)...)...); !strings.Contains(said, want) {
			t.Errorf("%s: %s", args, said)
		}
	}
	if out := n.does("lookup", "www.example.org", "--short"); out != "192.0.2.80\n" {
		t.Errorf("%q", out)
	}
}
