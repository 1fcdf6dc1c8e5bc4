package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// What `records` refuses, and in which words. Nothing of it changes etcd.
func TestRecordsRefuse(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}, {name: cluster.local, source: etcd}]\netcd: {endpoints: [%q]}\nbrake: {max_delete: 0.5}\n", endpoint)).awaitReady()
	n.does("records", "add", "there.prd.example.com", "A", "10.0.0.1")
	n.does("records", "add", "alias.prd.example.com", "CNAME", "there.prd.example.com")
	held := n.does("records", "list")

	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "zone")
		write(t, path, text)
		return path
	}
	outside := file("a IN A 10.0.0.1\nwww.example.org. IN A 10.0.0.2\n")
	bad := file("$TTL 60\n@ IN SOA ns hostmaster 1 2 3 4 5\na IN A 10.0.0.1\nb IN A 10.0.0.300\n")
	chaos := file("a CH TXT x\n")
	clash := file("a IN A 10.0.0.1\na IN CNAME b\n")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"add", "db", "A", "10.0.0.1"}, "db. is in none of the zones kept in etcd: prd.example.com, cluster.local (names are given in full)"},
		{[]string{"add", "x.prd.example.com", "A", "10.0.0.256"}, "10.0.0.256"},
		{[]string{"add", "x.prd.example.com", "AAA", "10.0.0.1"}, `not a type that records have: "AAA"`},
		{[]string{"add", "x.prd.example.com", "SOA", "a. b. 1 2 3 4 5"}, "an SOA is not kept in etcd: each server makes it, with etcd's revision as the serial"},
		{[]string{"add", "x..prd.example.com", "A", "10.0.0.1"}, `name "x..prd.example.com": empty label`},
		{[]string{"add", "x.prd.example.com", "A"}, "requires at least 3 arg(s), only received 2"},
		{[]string{"add", "x.prd.example.com", "A", "10.0.0.1", "--ttl", "-1"}, "--ttl"},
		{[]string{"add", "x.prd.example.com", "A", "10.0.0.1", "--ttl", "4000000000"}, "ttl 4000000000 is more than 2147483647 (RFC 2181 §8)"},
		{[]string{"add", "x.prd.example.com", "A", "10.0.0.1", "--owner", ""}, "owner must have 1 to 255 octets"},
		{[]string{"add", "alias.prd.example.com", "A", "10.0.0.1"}, "a CNAME is alone at its name"},
		{[]string{"add", "alias.prd.example.com", "CNAME", "x.prd.example.com"}, "a name has but one CNAME"},
		{[]string{"remove", "no.prd.example.com", "A"}, "static holds no such record of no.prd.example.com A; `authoritative records list no.prd.example.com` shows who does"},
		{[]string{"remove", "there.prd.example.com", "A", "10.0.0.2"}, "static holds no such record"},
		{[]string{"remove", "there.prd.example.com", "A", "--owner", "other"}, "other holds no such record"},
		{[]string{"import", outside}, `required flag(s) "zone" not set`},
		{[]string{"import", outside, "--zone", "prd.example.com"}, outside + ":2: www.example.org. is not in zone prd.example.com.; nothing was changed"},
		{[]string{"import", outside, "--zone", "example.org"}, "example.org. is in none of the zones kept in etcd"},
		{[]string{"import", outside, "--zone", "x.prd.example.com"}, "x.prd.example.com is a name in zone prd.example.com, not a zone: --zone prd.example.com"},
		{[]string{"import", bad, "--zone", "prd.example.com"}, bad + ":4: bad A A: "},
		{[]string{"import", chaos, "--zone", "prd.example.com"}, chaos + ":1: a.prd.example.com. is of class CH: only IN is served"},
		{[]string{"import", clash, "--zone", "prd.example.com"}, "a CNAME is alone at its name"},
		{[]string{"import", "/nonexistent/zone", "--zone", "prd.example.com"}, "import: open /nonexistent/zone: no such file"},
		{[]string{"import", file("c IN A 10.0.0.1\n"), "--zone", "prd.example.com", "--replace"}, "too many deletions at once: 2 of 2 keys would go, more than 50 % (brake.max_delete); nothing was changed"},
		{[]string{"list", "a..b"}, "empty label"},
		{[]string{"list", "--owner", "static", "--all"}, "[all owner] were all set"},
	} {
		said := n.fails(append([]string{"records"}, tc.args...)...)
		if !strings.HasPrefix(said, "authoritative: ") || !strings.Contains(said, tc.want) {
			t.Errorf("%q: %q, want %q", tc.args, said, tc.want)
		}
	}
	if got := n.does("records", "list"); got != held {
		t.Errorf("something was changed:\n%s", got)
	}
}

func TestRecordsList(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}, {name: 10.in-addr.arpa, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)).awaitReady()
	n.does("records", "add", "a.prd.example.com", "A", "10.0.0.1", "--ttl", "60")
	n.does("records", "add", "a.prd.example.com", "A", "10.0.0.2", "--owner", "other")
	n.does("records", "add", "a.prd.example.com", "A", "10.0.0.1") // its TTL stays
	n.does("records", "add", "_sip._tcp.a.prd.example.com", "SRV", "0 5 5060 a.prd.example.com")
	n.does("records", "add", "1.0.0.10.in-addr.arpa", "PTR", "a.prd.example.com")
	first, second := "a.prd.example.com.\t60\tIN\tA\t10.0.0.1 ; static\n", "a.prd.example.com.\t300\tIN\tA\t10.0.0.2 ; other\n"
	srv := "_sip._tcp.a.prd.example.com.\t300\tIN\tSRV\t0 5 5060 a.prd.example.com. ; static\n"
	ptr := "1.0.0.10.in-addr.arpa.\t300\tIN\tPTR\ta.prd.example.com. ; static\n"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, ptr + second + first + srv},
		{[]string{"--all"}, ptr + second + first + srv},
		{[]string{"A.PRD.example.com"}, second + first + srv},
		{[]string{"tcp.a.prd.example.com"}, ""},
		{[]string{"example.com", "--owner", "other"}, second},
		{[]string{"10.in-addr.arpa."}, ptr},
	} {
		if got := n.does(append([]string{"records", "list"}, tc.args...)...); got != tc.want {
			t.Errorf("list %q:\n%s, want\n%s", tc.args, got, tc.want)
		}
	}
}

// What list gives, import takes; with --replace nothing else stays.
func TestRecordsImport(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q]}\nbrake: {max_delete: 0}\n", endpoint)).awaitReady()
	path := filepath.Join(t.TempDir(), "zone")
	write(t, path, `@ IN SOA ns hostmaster 1 2 3 4 5
Host IN A 10.0.0.1
     IN A 10.0.0.2
$TTL 60
$ORIGIN sub.prd.example.com.
x IN MX 10 host.prd.example.com.
$GENERATE 1-3 h$ IN A 10.1.0.$
`)
	imported := func(args ...string) string {
		t.Helper()
		out := n.does(append([]string{"records", "import", path, "--zone", "PRD.example.com", "--owner", "team"}, args...)...)
		said, _, _ := strings.Cut(out, ", revision")
		return said
	}
	if said := imported("--ttl", "120"); said != "written 5, deleted 0, unchanged 0" {
		t.Error(said)
	}
	n.answers("host.prd.example.com", dns.TypeA, "10.0.0.1, 10.0.0.2")
	n.answers("x.sub.prd.example.com", dns.TypeMX, "10 host.prd.example.com.")
	n.answers("h3.sub.prd.example.com", dns.TypeA, "10.1.0.3")
	reply, err := n.ask("host.prd.example.com", dns.TypeA)
	if err != nil || reply.Answer[0].Header().Ttl != 120 {
		t.Error(reply, err)
	}

	held := n.does("records", "list")
	write(t, path, held)
	if said := imported("--replace"); said != "written 0, deleted 0, unchanged 5" {
		t.Error(said)
	}
	n.does("records", "add", "mine.prd.example.com", "A", "10.0.0.9")
	write(t, path, "host IN A 10.0.0.3\n")
	if said := n.fails("records", "import", path, "--zone", "prd.example.com", "--owner", "team", "--replace"); !strings.Contains(said, "4 of 5 keys would go, more than 0 %") {
		t.Error(said)
	}
	if said := imported("--replace", "--force"); said != "written 1, deleted 4, unchanged 0" {
		t.Error(said)
	}
	n.answers("host.prd.example.com", dns.TypeA, "10.0.0.3")
	n.answers("x.sub.prd.example.com", dns.TypeMX, "NXDOMAIN")
	n.answers("mine.prd.example.com", dns.TypeA, "10.0.0.9")
}

// Without a zone in etcd there is nowhere to write to.
func TestRecordsWithoutEtcd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, "zones: [{name: example.org, source: file, file: /nonexistent}]\n")
	n := &node{t: t, config: path}
	if said := n.fails("records", "list"); said != "authoritative: records: the config has no zone with source etcd, so there is nowhere to keep records\n" {
		t.Error(said)
	}
}
