package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Whatever stands in etcd, each key that is no record of ours is named in the log and
// left out, and the rest is served: by a server that was there when it came, and by one
// that starts with it.
func TestBadInput(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	config := fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q], skydns: [{prefix: /skydns, zones: [prd.example.com]}]}\n", endpoint)
	n := serve(t, config).awaitReady()
	raw := rawClient(t, endpoint)
	const good = `{"ttl":30,"data":["10.0.0.1"]}`
	const at = "/strata/v1/records/com/example/prd/"
	huge := strings.Repeat("x", 1<<20)
	n.does("records", "add", "good.prd.example.com", "A", "10.0.0.1")
	bad := []struct{ key, value string }{
		// Values that are not ours, or none.
		{at + "notjson/A/x", "10.0.0.1"}, {at + "empty/A/x", ""}, {at + "list/A/x", "[]"}, {at + "nul/A/x", "\x00"},
		{at + "nodata/A/x", `{"ttl":30,"data":[]}`}, {at + "nottl/A/x", `{"data":["10.0.0.1"]}`}, {at + "kind/A/x", `{"ttl":30,"data":"10.0.0.1"}`},
		{at + "other/A/x", `{"ttl":30,"data":["2001:db8::1"]}`}, {at + "half/A/x", `{"ttl":30,"data":["10.0.0.1"`}, {at + "inject/TXT/x", `{"ttl":30,"data":["x\nwww A 10.6.6.6"]}`},
		{at + "huge/A/x", huge}, {at + "hugetext/TXT/x", `{"ttl":30,"data":["` + huge + `"]}`},
		// TTLs out of range, and what is no TTL.
		{at + "ttl1/A/x", `{"ttl":-1,"data":["10.0.0.1"]}`}, {at + "ttl2/A/x", `{"ttl":2147483648,"data":["10.0.0.1"]}`}, {at + "ttl3/A/x", `{"ttl":4294967296,"data":["10.0.0.1"]}`},
		{at + "ttl4/A/x", `{"ttl":1.5,"data":["10.0.0.1"]}`}, {at + "ttl5/A/x", `{"ttl":"30","data":["10.0.0.1"]}`}, {at + "ttl6/A/x", `{"ttl":18446744073709551617,"data":["10.0.0.1"]}`},
		// Keys that no name makes.
		{at + "a%2ea/A/x%", good}, {at + "a%zz/A/x", good}, {at + "a%2/A/x", good}, {at + "a%41/A/x", good}, {at + "a%61/A/x", good}, {at + "A%2E/A/x", good},
		{at + "UPPER/A/x", good}, {at + "a/a/x", good}, {at + "a/TYPE1/x", good}, {at + "a/AXFR/x", good}, {at + "a/OPT/x", good}, {at + "a/A/", good}, {at + "a//A/x", good},
		{at + "A/x/y/z", good}, {at + "\xff\xfe/A/x", good}, {at + "a\x00b/A/x", good}, {at + "a.b/A/x", good}, {at + "A", good}, {"/strata/v1/records/", good}, {"/strata/v1/records/A", good},
		{at + strings.Repeat("a", 64) + "/A/x", good}, {at + strings.Repeat("a/", 130) + "A/x", good}, {at + "a/A/" + strings.Repeat("o", 256), good},
		{"/skydns/com/example/prd/sky", "{"}, {"/skydns/com/example/prd/" + strings.Repeat("a", 64), `{"host":"10.0.0.1"}`},
	}
	for _, b := range bad {
		raw(b.key, b.value)
	}
	// Names that are odd, and DNS's; Kubernetes would have none of them.
	for key, name := range map[string]string{
		"under_score": "under_score", "a%20b": `a\032b`, "a%2eb": `a\.b`, "%00": `\000`, "%ff": `\255`, "-dash-": "-dash-", "1": "1", strings.Repeat("l", 63): strings.Repeat("l", 63),
	} {
		raw(at+key+"/A/odd", good)
		n.answers(name+".prd.example.com", dns.TypeA, "10.0.0.1")
	}
	// What the zone has no room for, at its apex and above; and what has.
	raw("/strata/v1/records/com/example/A/above", good)
	raw("/strata/v1/records/A/root", good)
	raw(at+"CNAME/apex", `{"ttl":30,"data":["elsewhere.example.net."]}`)
	raw(at+"SOA/apex", `{"ttl":30,"data":["a.example. b.example. 1 2 3 4 5"]}`)
	raw(at+"below/SOA/x", `{"ttl":30,"data":["a.example. b.example. 1 2 3 4 5"]}`)
	raw(at+"A/apex", `{"ttl":30,"data":["10.0.0.7"]}`)
	raw(at+"last/A/x", `{"ttl":0,"data":["10.0.0.2"]}`)

	holds := func(n *node) {
		t.Helper()
		n.answers("last.prd.example.com", dns.TypeA, "10.0.0.2")
		n.answers("good.prd.example.com", dns.TypeA, "10.0.0.1")
		n.answers("prd.example.com", dns.TypeA, "10.0.0.7")
		n.answers("prd.example.com", dns.TypeTXT, "")
		n.answers("prd.example.com", dns.TypeCNAME, "")
		n.answers("ttl1.prd.example.com", dns.TypeA, "NXDOMAIN")
		n.answers("below.prd.example.com", dns.TypeSOA, "NXDOMAIN")
		if soa := n.answer("prd.example.com", dns.TypeSOA); !strings.HasPrefix(soa, "ns.dns.prd.example.com. ") {
			t.Errorf("SOA %s", soa)
		}
		log := n.log.String()
		for _, b := range bad {
			quoted := fmt.Sprintf("%q", b.key)
			if !strings.Contains(log, "key="+b.key+" ") && !strings.Contains(log, "key="+quoted+" ") {
				t.Errorf("the log does not name %.100q", b.key)
			}
		}
		for _, record := range []string{`prd.example.com. CNAME (apex)" error="a CNAME at the zone's apex`, `prd.example.com. SOA (apex)" error="an SOA is not kept in etcd`, `below.prd.example.com. SOA (x)"`} {
			if !strings.Contains(log, record) {
				t.Errorf("the log does not say %s", record)
			}
		}
		if len(log) > 256<<10 {
			t.Errorf("a log of %d octets: values don't belong there", len(log))
		}
		for line := range strings.Lines(log) {
			if len(line) > 4096 {
				t.Errorf("a line of %d octets: %.200s", len(line), line)
			}
		}
		if n.metric("strata_etcd_values_skipped_total") == "0" || n.metric("strata_records_refused_total") != "3" || n.metric("strata_records_outside_total") != "2" {
			t.Error(n.metric("strata_etcd_values_skipped_total"), n.metric("strata_records_refused_total"), n.metric("strata_records_outside_total"))
		}
	}
	holds(n)
	holds(serve(t, config).awaitReady())

	// A bad value where a good one was takes that away, and the next good one is served.
	raw(at+"turn/A/x", good)
	n.answers("turn.prd.example.com", dns.TypeA, "10.0.0.1")
	raw(at+"turn/A/x", "{}")
	n.answers("turn.prd.example.com", dns.TypeA, "NXDOMAIN")
	raw(at+"turn/A/x", good)
	n.answers("turn.prd.example.com", dns.TypeA, "10.0.0.1")
	if listed := n.answerTo("records", "list"); strings.Contains(listed, "ttl1") || !strings.Contains(listed, "good.prd.example.com.") {
		t.Errorf("list: %s", listed)
	}
}

// answerTo is a command's output, whatever it says beside it.
func (n *node) answerTo(args ...string) string {
	n.t.Helper()
	status, out, errs := n.run(args...)
	if status != 0 {
		n.t.Fatalf("%v: status %d: %s", args, status, errs)
	}
	return out
}

// An RRset of 1 MiB is served as far as DNS can, and the rest beside it as ever.
func TestLargeValue(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)).awaitReady()
	var data []string
	for i := range 70_000 {
		data = append(data, fmt.Sprintf(`"10.%d.%d.%d"`, i>>16, i>>8&255, i&255))
	}
	rawClient(t, endpoint)("/strata/v1/records/com/example/prd/large/A/x", `{"ttl":30,"data":[`+strings.Join(data, ",")+`]}`)
	n.does("records", "add", "good.prd.example.com", "A", "10.0.0.1")
	n.answers("good.prd.example.com", dns.TypeA, "10.0.0.1")
	reply, err := n.ask("large.prd.example.com", dns.TypeA)
	if err != nil || !reply.Truncated || reply.Rcode != dns.RcodeSuccess {
		t.Errorf("over UDP: %v, %v", reply, err)
	}
	q := new(dns.Msg)
	q.SetQuestion("large.prd.example.com.", dns.TypeA)
	c := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	reply, _, err = c.Exchange(q, n.address)
	if err != nil {
		t.Fatalf("over TCP, where no message holds it: %v", err)
	}
	t.Logf("over TCP: %s, truncated %t, %d records", dns.RcodeToString[reply.Rcode], reply.Truncated, len(reply.Answer))
	if len(reply.Answer) > 0 && !reply.Truncated {
		t.Error("a part of the RRset as if it were all of it")
	}
	n.answers("good.prd.example.com", dns.TypeA, "10.0.0.1")
}

// Where owners disagree on an alias, whoever came first, all servers answer the same,
// and say so.
func TestOwnersDisagree(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	config := fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q], skydns: [{prefix: /skydns}]}\n", endpoint)
	n := serve(t, config).awaitReady()
	n.does("records", "add", "one.prd.example.com", "CNAME", "x.example.net", "--owner", "a")
	n.does("records", "add", "one.prd.example.com", "A", "10.0.0.1", "--owner", "b")
	n.does("records", "add", "two.prd.example.com", "A", "10.0.0.1", "--owner", "a")
	rawClient(t, endpoint)("/skydns/com/example/prd/two/1", `{"host":"x.example.net","targetstrip":1}`)
	n.does("records", "add", "three.prd.example.com", "CNAME", "x.example.net", "--owner", "a")
	n.does("records", "add", "three.prd.example.com", "CNAME", "y.example.net", "--owner", "b")
	n.does("records", "add", "done.prd.example.com", "TXT", "x")
	n.answers("done.prd.example.com", dns.TypeTXT, `"x"`)
	until(t, "the SkyDNS record", func() bool { return n.metric("strata_records_clashes_total") == "3" })
	late := serve(t, config).awaitReady()
	for _, at := range []*node{n, late} {
		for _, name := range []string{"one", "two"} {
			at.answers(name+".prd.example.com", dns.TypeA, "10.0.0.1")
			at.answers(name+".prd.example.com", dns.TypeAAAA, "x.example.net.")
		}
		log := at.log.String()
		for _, name := range []string{"one", "two", "three"} {
			if !strings.Contains(log, `owners disagree: a CNAME is alone at its name" name=`+name+".prd.example.com.") {
				t.Errorf("%s is not reported:\n%s", name, log)
			}
		}
	}
	if one, other := n.answer("three.prd.example.com", dns.TypeCNAME), late.answer("three.prd.example.com", dns.TypeCNAME); one != other || one != "y.example.net." && one != "x.example.net." {
		t.Errorf("one answers %q, the other %q", one, other)
	}
}
