package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

const boundedConfig = `
zones: [{name: etcd.test, source: etcd}, {name: in.etcd.test, source: etcd}]
etcd: {endpoints: [%q]}
memory: {max_names: %d}
snapshot: %q
`

// boundedRecords are what a server needs to know to deny and to lead on.
var boundedRecords = [][]string{
	{"a.b.ent.etcd.test", "A", "10.0.0.1"},
	{"x.etcd.test", "A", "10.0.0.2"},
	{"x.etcd.test", "AAAA", "2001:db8::2"},
	{"x.etcd.test", "TXT", "text"},
	{"*.wild.etcd.test", "A", "10.0.0.3"},
	{"*.wild.etcd.test", "TXT", "wild"},
	{"deep.b.wild.etcd.test", "A", "10.0.0.4"},
	{"one.etcd.test", "CNAME", "two.etcd.test"},
	{"two.etcd.test", "CNAME", "three.etcd.test"},
	{"three.etcd.test", "CNAME", "x.etcd.test"},
	{"lost.etcd.test", "CNAME", "nothing.etcd.test"},
	{"towild.etcd.test", "CNAME", "y.wild.etcd.test"},
	{"loop.etcd.test", "CNAME", "loop.etcd.test"},
	{"tosub.etcd.test", "CNAME", "h.in.etcd.test"},
	{"h.in.etcd.test", "A", "10.0.0.8"},
	{"sub.etcd.test", "NS", "ns.sub.etcd.test"},
	{"ns.sub.etcd.test", "A", "10.0.0.5"},
	{"dn.etcd.test", "A", "10.0.0.6"},
	{"dn.etcd.test", "DNAME", "ent.etcd.test"},
}

// boundedQuestions ask for all of it, and around it.
func boundedQuestions() (all [][2]string) {
	for _, rec := range boundedRecords {
		for _, typ := range []string{"A", "TXT", "ANY"} {
			all = append(all, [2]string{rec[0], typ})
		}
	}
	for _, name := range []string{
		"etcd.test", "in.etcd.test", "ent.etcd.test", "b.ent.etcd.test", "c.ent.etcd.test", "c.b.ent.etcd.test", "n.a.b.ent.etcd.test", "nothing.etcd.test",
		"y.wild.etcd.test", "z.y.wild.etcd.test", "wild.etcd.test", "b.wild.etcd.test", "c.b.wild.etcd.test", "c.deep.b.wild.etcd.test", "h.sub.etcd.test", "sub.etcd.test",
		"a.b.dn.etcd.test", "n.dn.etcd.test", "dn.etcd.test", "x.in.etcd.test", "elsewhere", "X.etcd.TEST",
	} {
		all = append(all, [2]string{name, "A"}, [2]string{name, "AAAA"})
	}
	return all
}

// said is a reply whole, but for the order in a section and what hangs on memory alone.
func said(m *dns.Msg) string {
	lines := []string{dns.RcodeToString[m.Rcode], strconv.FormatBool(m.Authoritative)}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		var all []string
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				all = append(all, strconv.Itoa(i)+rr.String())
			}
		}
		slices.Sort(all)
		lines = append(lines, all...)
	}
	return strings.Join(lines, "\n")
}

// A server that holds next to nothing in memory says the same as one that holds all.
func TestBounded(t *testing.T) {
	endpoint, _ := etcd(t)
	all := serve(t, fmt.Sprintf(boundedConfig, endpoint, 0, "")).awaitReady()
	for _, rec := range boundedRecords {
		all.does(append([]string{"records", "add"}, rec...)...)
	}
	all.does("records", "add", "x.etcd.test", "A", "10.0.0.9", "--owner", "other")
	for i := range 40 {
		all.does("records", "add", fmt.Sprintf("n%d.etcd.test", i), "A", fmt.Sprintf("10.1.0.%d", i))
	}
	all.answers("n39.etcd.test", dns.TypeA, "10.1.0.39")
	bounded := serve(t, fmt.Sprintf(boundedConfig, endpoint, 3, "")).awaitReady()
	compare := func(when string) {
		t.Helper()
		questions := boundedQuestions()
		rand.Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
		var asking sync.WaitGroup
		room := make(chan struct{}, 16)
		for _, q := range questions {
			room <- struct{}{}
			asking.Go(func() {
				defer func() { <-room }()
				typ := dns.StringToType[q[1]]
				want, err := all.ask(q[0], typ)
				if err != nil {
					t.Error(err)
					return
				}
				got := ""
				for range 50 { // ANY gives one RRset of several; the serial may be a change behind
					reply, err := bounded.ask(q[0], typ)
					if err != nil {
						t.Errorf("%s: %v: %v", when, q, err)
						return
					}
					if got = said(reply); got == said(want) {
						return
					}
					if want, err = all.ask(q[0], typ); err != nil {
						t.Error(err)
						return
					}
				}
				t.Errorf("%s: %v: got\n%s\nwant\n%s", when, q, got, said(want))
			})
		}
		asking.Wait()
	}
	for range 5 {
		compare("at first")
	}
	if got := bounded.metric("strata_memory_names"); got == "" || got > "3" {
		t.Errorf("%s names in memory, at most 3 are wanted", got)
	}
	for _, want := range []string{"strata_memory_evicted_total", "strata_memory_reads_total", `strata_memory_late_answers_total{result="answered"}`} {
		if got := bounded.metric(want); got == "" || got == "0" {
			t.Errorf("%s is %q", want, got)
		}
	}

	// Changes, of names that are in memory and of others.
	for i := range 30 {
		bounded.answer("x.etcd.test", dns.TypeA)
		all.does("records", "add", "x.etcd.test", "TXT", fmt.Sprintf("turn %d", i))
		all.does("records", "remove", "x.etcd.test", "TXT")
		name := fmt.Sprintf("n%d.etcd.test", i)
		all.does("records", "add", name, "A", "10.2.0.1")
		bounded.answers(name, dns.TypeA, fmt.Sprintf("10.1.0.%d, 10.2.0.1", i))
		if i%5 == 0 {
			all.does("records", "remove", name, "A")
			bounded.answers(name, dns.TypeA, "NXDOMAIN")
		}
	}
	all.does("records", "add", "n1.etcd.test", "DNAME", "ent.etcd.test") // its A comes with it
	bounded.answers("a.b.n1.etcd.test", dns.TypeA, "10.0.0.1, a.b.ent.etcd.test., ent.etcd.test.")
	bounded.answers("n1.etcd.test", dns.TypeA, "10.1.0.1, 10.2.0.1")
	all.does("records", "add", "*.late.etcd.test", "A", "10.3.0.1")
	bounded.answers("y.late.etcd.test", dns.TypeA, "10.3.0.1")
	all.does("records", "remove", "*.late.etcd.test", "A")
	bounded.answers("y.late.etcd.test", dns.TypeA, "NXDOMAIN")
	compare("after changes")
}

// While etcd is away, what is in memory is answered and the rest is not denied; a restart
// from the snapshot is no different.
func TestBoundedAway(t *testing.T) {
	endpoint, member := etcd(t)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	n := serve(t, fmt.Sprintf(boundedConfig, endpoint, 5, snapshot)).awaitReady()
	for i := range 12 {
		n.does("records", "add", fmt.Sprintf("n%d.etcd.test", i), "A", fmt.Sprintf("10.1.0.%d", i))
	}
	n.answers("n1.etcd.test", dns.TypeA, "10.1.0.1")
	for i := range 12 {
		if got, want := n.answer(fmt.Sprintf("n%d.etcd.test", i), dns.TypeA), fmt.Sprintf("10.1.0.%d", i); got != want {
			t.Errorf("n%d: %s, want %s", i, got, want)
		}
	}
	stopMember(t, member)
	count := func(when string) {
		t.Helper()
		var held atomic.Int32
		var asking sync.WaitGroup
		for i := range 12 {
			asking.Go(func() {
				reply, err := n.ask(fmt.Sprintf("n%d.etcd.test", i), dns.TypeA)
				switch {
				case err != nil:
					t.Errorf("%s: %v", when, err)
				case reply.Rcode == dns.RcodeSuccess:
					held.Add(1)
				case reply.Rcode != dns.RcodeServerFailure:
					t.Errorf("%s: n%d: %v", when, i, reply)
				}
			})
		}
		if asking.Wait(); held.Load() == 0 || held.Load() > 5 {
			t.Errorf("%s: %d names were answered, 1 to 5 are wanted", when, held.Load())
		}
		if got := n.answer("nothing.etcd.test", dns.TypeA); got != "SERVFAIL" {
			t.Errorf("%s: a name that nobody knows: %s", when, got)
		}
		q := new(dns.Msg).SetQuestion("nothing.etcd.test.", dns.TypeA).SetEdns0(1232, false)
		reply, _, err := new(dns.Client).Exchange(q, n.address)
		if err != nil || reply.IsEdns0() == nil || len(reply.IsEdns0().Option) != 1 || !strings.Contains(reply.IsEdns0().Option[0].String(), "etcd") {
			t.Errorf("%s: no word of why: %v, %v", when, reply, err)
		}
	}
	count("away")
	n.stop()
	n.start()
	n.awaitReady()
	count("from the snapshot")
}
