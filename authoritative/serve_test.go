package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/strata-dns/strata/authoritative/store"
)

const orgZone = `$TTL 300
@ IN SOA ns1 hostmaster 7 7200 1800 1209600 60
@ IN NS ns1
ns1 IN A 192.0.2.1
www IN A 192.0.2.80
`

// Two servers share an etcd: what is written by way of one is answered by both.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	config := fmt.Sprintf(`
zones:
  - {name: prd.example.com, source: etcd, negative_ttl: 7s}
  - {name: cluster.local, source: etcd, ns: [ns1.example.org, ns2.example.org]}
  - {name: 10.in-addr.arpa, source: etcd}
etcd: {endpoints: [%q]}
`, endpoint)
	a, b := serve(t, config).awaitReady(), serve(t, config).awaitReady()
	both := func(name string, typ uint16, want string) {
		t.Helper()
		a.answers(name, typ, want)
		b.answers(name, typ, want)
	}
	both("db.prd.example.com", dns.TypeA, "NXDOMAIN")

	before := a.serial("prd.example.com")
	out := a.does("records", "add", "DB.prd.example.com.", "a", "10.0.0.1", "--ttl", "30")
	if !strings.HasPrefix(out, "written 1, deleted 0, unchanged 0, revision ") {
		t.Errorf("add says %q", out)
	}
	both("db.prd.example.com", dns.TypeA, "10.0.0.1")
	if out := b.does("records", "add", "db.prd.example.com", "A", "10.0.0.1", "--ttl", "30"); !strings.HasPrefix(out, "written 0, deleted 0, unchanged 1, ") {
		t.Errorf("the same again says %q", out)
	}
	var revision uint32
	if _, err := fmt.Sscanf(out, "written 1, deleted 0, unchanged 0, revision %d", &revision); err != nil {
		t.Fatal(err)
	}
	if serial := a.serial("prd.example.com"); serial != revision || serial <= before {
		t.Errorf("serial %d after revision %d, %d before", serial, revision, before)
	}
	if other := a.serial("cluster.local"); other != revision {
		t.Errorf("cluster.local has serial %d", other)
	}

	t.Run("owners are merged", func(t *testing.T) {
		a.does("records", "add", "db.prd.example.com", "A", "10.0.0.2", "--owner", "kubernetes:prod-a", "--ttl", "20")
		both("db.prd.example.com", dns.TypeA, "10.0.0.1, 10.0.0.2")
		reply, err := b.ask("db.prd.example.com", dns.TypeA)
		if err != nil || reply.Answer[0].Header().Ttl != 20 {
			t.Errorf("the lesser TTL is the set's (RFC 2181 §5.2): %v, %v", reply, err)
		}
		b.does("records", "remove", "db.prd.example.com", "A", "10.0.0.1")
		both("db.prd.example.com", dns.TypeA, "10.0.0.2")
		b.does("records", "remove", "db.prd.example.com", "A", "--owner", "kubernetes:prod-a")
		both("db.prd.example.com", dns.TypeA, "NXDOMAIN")
	})
	t.Run("an alias of two owners is the same one's everywhere", func(t *testing.T) {
		for _, owner := range []string{"zz", "static", "aa"} {
			a.does("records", "add", "alias.prd.example.com", "CNAME", owner+".example.org.", "--owner", owner)
		}
		both("alias.prd.example.com", dns.TypeCNAME, "static.example.org.")
		a.does("records", "remove", "alias.prd.example.com", "CNAME")
		until(t, "both to agree on another one", func() bool {
			got := a.answer("alias.prd.example.com", dns.TypeCNAME)
			return got != "static.example.org." && got == b.answer("alias.prd.example.com", dns.TypeCNAME)
		})
		fresh := serve(t, config).awaitReady()
		if got, want := fresh.answer("alias.prd.example.com", dns.TypeCNAME), a.answer("alias.prd.example.com", dns.TypeCNAME); got != want {
			t.Errorf("a server that read them in another order answers %s, not %s", got, want)
		}
	})
	t.Run("reverse names", func(t *testing.T) {
		a.does("records", "add", "1.0.0.10.in-addr.arpa", "PTR", "db.prd.example.com")
		both("1.0.0.10.in-addr.arpa", dns.TypePTR, "db.prd.example.com.")
		both("0.0.10.in-addr.arpa", dns.TypePTR, "") // an empty non-terminal
		both("2.0.0.10.in-addr.arpa", dns.TypePTR, "NXDOMAIN")
	})
	t.Run("more than a datagram holds", func(t *testing.T) {
		args := []string{"records", "add", "many.prd.example.com", "A"}
		for i := range 100 {
			args = append(args, fmt.Sprintf("10.1.0.%d", i))
		}
		a.does(args...)
		until(t, "truncation", func() bool {
			reply, err := b.ask("many.prd.example.com", dns.TypeA)
			return err == nil && reply.Truncated
		})
		q := new(dns.Msg)
		q.SetQuestion("many.prd.example.com.", dns.TypeA)
		reply, _, err := (&dns.Client{Net: "tcp"}).Exchange(q, b.address)
		if err != nil || len(reply.Answer) != 100 || reply.Truncated {
			t.Errorf("over TCP: %v, %v", reply, err)
		}
		until(t, "it is counted", func() bool { return b.metric(`strata_answers_total{outcome="hit",transport="tcp",worker="0"}`) == "1" })
	})
	t.Run("SOA and NS", func(t *testing.T) {
		reply, err := b.ask("nothing.prd.example.com", dns.TypeA)
		if err != nil || len(reply.Ns) != 1 || reply.Rcode != dns.RcodeNameError || !reply.Authoritative {
			t.Fatal(reply, err)
		}
		soa := reply.Ns[0].(*dns.SOA)
		if soa.Header().Ttl != 7 || soa.Minttl != 7 || soa.Ns != "ns.dns.prd.example.com." || soa.Mbox != "hostmaster.prd.example.com." {
			t.Errorf("SOA %v", soa)
		}
		both("prd.example.com", dns.TypeNS, "ns.dns.prd.example.com.")
		both("cluster.local", dns.TypeNS, "ns1.example.org., ns2.example.org.")
		a.does("records", "add", "prd.example.com", "NS", "ns7.example.org")
		both("prd.example.com", dns.TypeNS, "ns7.example.org.")
		a.does("records", "remove", "prd.example.com", "NS")
		both("prd.example.com", dns.TypeNS, "ns.dns.prd.example.com.")
	})
	t.Run("stopped servers leave with status 0", func(t *testing.T) {
		if status := b.stop(); status != 0 {
			t.Errorf("status %d", status)
		}
	})
}

// What etcd holds that is none of ours is left out, and said so.
func TestGarbageInEtcd(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	raw := rawClient(t, endpoint)
	raw("/strata/v1/records/com/example/prd/good/A/static", `{"ttl":30,"data":["10.0.0.1"]}`)
	raw("/strata/v1/records/com/example/prd/bad/A/static", `{"ttl":30,"data":["10.0.0.256"]}`)
	raw("/strata/v1/records/com/example/prd/worse/A/static", `not JSON`)
	raw("/strata/v1/records/org/elsewhere/www/A/static", `{"ttl":30,"data":["10.0.0.9"]}`)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)).awaitReady()
	n.answers("good.prd.example.com", dns.TypeA, "10.0.0.1")
	n.answers("bad.prd.example.com", dns.TypeA, "NXDOMAIN")
	n.answers("www.elsewhere.org", dns.TypeA, "REFUSED")
	for _, key := range []string{"prd/bad/A/static", "prd/worse/A/static"} {
		if !strings.Contains(n.log.String(), key) {
			t.Errorf("the log does not name %s", key)
		}
	}
	if skipped, outside := n.metric("strata_etcd_values_skipped_total"), n.metric("strata_records_outside_total"); skipped != "2" || outside != "1" {
		t.Errorf("skipped %s, outside %s", skipped, outside)
	}
	// A good value that becomes garbage is not answered any more.
	raw("/strata/v1/records/com/example/prd/good/A/static", `[]`)
	n.answers("good.prd.example.com", dns.TypeA, "NXDOMAIN")
	raw("/strata/v1/records/com/example/prd/good/A/static", `{"ttl":30,"data":["10.0.0.2"]}`)
	n.answers("good.prd.example.com", dns.TypeA, "10.0.0.2")
}

// File zones beside etcd zones, and one within the other.
func TestFileBesideEtcd(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "org"), orgZone)
	write(t, filepath.Join(dir, "sub"), "$TTL 60\n@ IN SOA ns hostmaster 9 1 1 1 60\n@ IN NS ns\nns IN A 192.0.2.2\n")
	n := serve(t, fmt.Sprintf(`
zones:
  - {name: example.com, source: etcd}
  - {name: sub.example.com, source: file, file: %s/sub}
  - {name: example.org, source: file, file: %[1]s/org}
etcd: {endpoints: [%[2]q]}
`, dir, endpoint)).awaitReady()
	n.answers("www.example.org", dns.TypeA, "192.0.2.80")
	n.answers("ns.sub.example.com", dns.TypeA, "192.0.2.2")
	n.does("records", "add", "a.example.com", "A", "10.0.0.1")
	n.answers("a.example.com", dns.TypeA, "10.0.0.1")
	if said := n.fails("records", "add", "x.sub.example.com", "A", "10.0.0.1"); !strings.Contains(said, "x.sub.example.com. is in none of the zones kept in etcd: example.com (names are given in full); the records of zone sub.example.com are in "+dir+"/sub\n") {
		t.Errorf("it says %q", said)
	}
	if n.serial("sub.example.com") != 9 || n.serial("example.org") != 7 {
		t.Error("file zones have their files' serials")
	}

	var zones struct {
		List []struct {
			Zone, Source string
			Serial       uint32
			Ready        bool
		}
		Table struct{ Zones, Records int }
	}
	n.status("zones", &zones)
	if got := fmt.Sprint(zones.List[1:]); got != "[{example.org. file 7 true} {sub.example.com. file 9 true}]" || zones.List[0].Source != "etcd" || zones.Table.Zones != 3 || zones.Table.Records != 3+4+3 {
		t.Errorf("status: %+v", zones)
	}
	var state struct {
		Records   string
		Connected bool
		Synced    bool
		Revision  int64
	}
	n.status("etcd", &state)
	if !state.Connected || !state.Synced || uint32(state.Revision) != n.serial("example.com") || state.Records != fmt.Sprintf("as etcd has them, revision %d", state.Revision) {
		t.Errorf("status: %+v", state)
	}
	if n.metric("strata_zones") != "3" || n.metric(`strata_zone_serial{zone="example.org."}`) != "7" || n.metric("strata_etcd_connected") != "1" {
		_, all := n.get("/metrics")
		t.Error(all)
	}
	if hits := n.metric(`strata_answers_total{outcome="hit",transport="udp",worker="0"}`); hits == "" || hits == "0" {
		t.Errorf("hits: %q", hits)
	}
}

// A reload adds and drops zones, and moves one from a file to etcd and back.
func TestReloadZones(t *testing.T) {
	t.Parallel()
	endpoint, m := etcd(t)
	file := filepath.Join(t.TempDir(), "org")
	write(t, file, orgZone)
	zones := func(list string) string {
		return fmt.Sprintf("zones: [{name: one.example, source: etcd}%s]\netcd: {endpoints: [%q]}\n", list, endpoint)
	}
	fromFile := fmt.Sprintf(", {name: example.org, source: file, file: %s}", file)
	n := serve(t, zones("")).awaitReady()
	c := client(t, m.Endpoints()[0])
	for _, name := range []string{"a.one.example", "a.two.example", "a.sub.one.example", "www.example.org"} {
		rec, err := store.NewRecord(name, "A", "static", 30, "10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Add(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(list string) {
		t.Helper()
		n.rewrite(zones(list))
		n.does("ctl", "reload")
	}
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	n.answers("a.two.example", dns.TypeA, "REFUSED")

	reload(fromFile + ", {name: two.example, source: etcd}")
	n.answers("a.two.example", dns.TypeA, "10.0.0.1") // without a change in etcd
	n.answers("www.example.org", dns.TypeA, "192.0.2.80")
	if got := n.serial("example.org"); got != 7 {
		t.Errorf("serial %d", got)
	}
	reload(", {name: example.org, source: etcd, negative_ttl: 9s}")
	n.answers("a.two.example", dns.TypeA, "REFUSED")
	n.answers("www.example.org", dns.TypeA, "10.0.0.1")
	n.answers("ns1.example.org", dns.TypeA, "NXDOMAIN")
	reload(fromFile)
	n.answers("www.example.org", dns.TypeA, "192.0.2.80")
	n.answers("ns1.example.org", dns.TypeA, "192.0.2.1")
	if got := n.serial("example.org"); got != 7 {
		t.Errorf("serial %d: not the file's", got)
	}

	// A zone within a zone comes and goes.
	n.answers("a.sub.one.example", dns.TypeA, "10.0.0.1")
	sub := filepath.Join(t.TempDir(), "sub")
	write(t, sub, "$TTL 60\n@ IN SOA ns hostmaster 9 1 1 1 60\n@ IN NS ns\nb IN A 192.0.2.2\n")
	reload(fmt.Sprintf(", {name: sub.one.example, source: file, file: %s}", sub))
	n.answers("a.sub.one.example", dns.TypeA, "NXDOMAIN")
	n.answers("b.sub.one.example", dns.TypeA, "192.0.2.2")
	reload("")
	n.answers("a.sub.one.example", dns.TypeA, "10.0.0.1")
	n.answers("b.sub.one.example", dns.TypeA, "NXDOMAIN")
	n.answers("www.example.org", dns.TypeA, "REFUSED")

	// negative_ttl and ns of a zone that stays are taken up at once.
	n.rewrite(strings.Replace(zones(""), "source: etcd", "source: etcd, ns: [x.example], negative_ttl: 11s", 1))
	n.does("ctl", "reload")
	reply, err := n.ask("no.one.example", dns.TypeA)
	if err != nil || reply.Ns[0].(*dns.SOA).Minttl != 11 || n.answer("one.example", dns.TypeNS) != "x.example." {
		t.Errorf("%v %v", reply, err)
	}
}

// What a reload cannot take up is named each time, and not what only the monitor or the
// prober goes by; once it is as it was, no restart is needed.
func TestReloadNames(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "org")
	write(t, file, orgZone)
	zones := fmt.Sprintf("zones: [{name: example.org, source: file, file: %s}]\n", file)
	n := serve(t, zones).awaitReady()
	for changed, more := range []string{"", "max_udp: 1400\nmonitor: {ttl: 7s}\nbrake: {max_delete: 0.5}\nprobe: {tries: 2, expire: 6m}\n"} {
		n.rewrite(zones + more)
		n.does("ctl", "reload")
		n.does("ctl", "reload")
		n.rewrite(zones)
		n.does("ctl", "reload")
		const warning = "restart to take them up"
		if got := strings.Count(n.log.String(), warning); got != 2*changed || strings.Count(n.log.String(), `keys="[max_udp probe.expire]"`) != got {
			t.Errorf("%d times, want %d, in\n%s", got, 2*changed, n.log)
		}
	}
}

// Files with errors: at the start the end, at a reload everything stays as it was.
func TestBadMasterFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	paths := make([]string, 3)
	var list []string
	for i := range paths {
		paths[i] = filepath.Join(dir, fmt.Sprintf("zone%d", i))
		write(t, paths[i], orgZone)
		list = append(list, fmt.Sprintf("{name: z%d.example, source: file, file: %s}", i, paths[i]))
	}
	config := "zones: [" + strings.Join(list, ", ") + "]\n"
	n := serve(t, config).awaitReady()
	write(t, paths[0], strings.Replace(orgZone, "192.0.2.80", "192.0.2.800", 1))
	write(t, paths[1], strings.Replace(orgZone, "192.0.2.80", "192.0.2.81", 1))
	write(t, paths[2], strings.Replace(orgZone, "IN NS ns1", "IN NS", 1))
	said := n.fails("ctl", "reload")
	if !strings.Contains(said, paths[0]+":5: ") || !strings.Contains(said, "(and 1 more of 3 zones: see the log)") {
		t.Errorf("reload says %q", said)
	}
	for _, where := range []string{paths[0] + ":5: ", paths[2] + ":3: "} {
		if strings.Count(n.log.String(), "msg=\"zone not loaded\" error=\""+where) != 1 {
			t.Errorf("the log has no line on %s", where)
		}
	}
	for i := range paths {
		if got := n.answer(fmt.Sprintf("www.z%d.example", i), dns.TypeA); got != "192.0.2.80" {
			t.Errorf("zone %d answers %s", i, got)
		}
	}
	if status, _, errs := n.run("check"); status != 1 || strings.Count(errs, "\n") != 2 || !strings.Contains(errs, "zones[0].file: "+paths[0]+":5: ") || !strings.Contains(errs, "zones[2].file: "+paths[2]+":3: ") {
		t.Errorf("check: status %d: %s", status, errs)
	}
	if status := n.stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	n.start()
	if status := <-n.done; status != 1 || !strings.Contains(n.log.String(), "authoritative: "+paths[0]+":5: ") {
		t.Errorf("start: status %d: %s", status, n.log)
	}
	n.done <- 1 // for stop

	write(t, paths[0], orgZone)
	write(t, paths[2], orgZone)
	n.start()
	n.awaitReady()
	n.answers("www.z1.example", dns.TypeA, "192.0.2.81")
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	if said := n.fails("ctl", "reload"); !strings.Contains(said, "zones[1].file: open "+paths[1]+": no such file") {
		t.Errorf("it says %q", said)
	}
	n.answers("www.z1.example", dns.TypeA, "192.0.2.81")
}

// rawClient puts any value at any key.
func rawClient(t *testing.T, endpoint string) func(key, value string) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func(key, value string) {
		t.Helper()
		if _, err := c.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that was started without etcd says that it needs a restart for it, and
// changes nothing.
func TestReloadCannotAddEtcd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "zone")
	write(t, path, orgZone)
	n := serve(t, "zones: [{name: example.org, source: file, file: "+path+"}]\n").awaitReady()
	n.rewrite("zones: [{name: a.example, source: etcd}]\netcd: {endpoints: [\"http://127.0.0.1:1\"]}\n")
	if said := n.fails("ctl", "reload"); !strings.Contains(said, "zones with source etcd are new to a server that runs without: restart it") {
		t.Error(said)
	}
	n.answers("www.example.org", dns.TypeA, "192.0.2.80")
	n.answers("x.a.example", dns.TypeA, "REFUSED")
}

// compact has etcd forget what was before a revision.
func compact(t *testing.T, endpoint string, revision int64) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Compact(t.Context(), revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
}
