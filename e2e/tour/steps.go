package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// Ways that questions go. Which of two authoritatives is asked is the recursor's
// choice, by their round-trip times; both are, when the first is late.
var (
	byAuthoritative = prefixed("nodecache ► recursor dc1 ► ")
	byNodecache     = []string{"nodecache (cache)"}
)

// prefixed are the ways that begin with the given and end at an authoritative.
func prefixed(way string) []string {
	return []string{way + "authoritative 1", way + "authoritative 2", way + "authoritative 1 and authoritative 2"}
}

// steps are the tour.
func (t *tour) steps(ctx context.Context) {
	t.cacheSteps(ctx)
	t.ruleSteps(ctx)
	t.worldSteps(ctx)
	t.recordSteps(ctx)
	t.authoritativeSteps(ctx)
	t.siteSteps(ctx)
}

func (t *tour) cacheSteps(ctx context.Context) {
	cache := t.stack.Nodecache
	t.chapter("names of our own")
	t.begin("A program asks for a host. Nobody has it in memory yet, so all layers work.")
	t.see(ctx, question{"www.prd.example.com", "A", cache}, want{answer: []string{"A 10.1.2.80", "A 10.1.2.81"}, way: byAuthoritative})
	t.begin("The same again: the host's own cache has it.")
	t.see(ctx, question{"www.prd.example.com", "A", cache}, want{answer: []string{"A 10.1.2.80", "A 10.1.2.81"}, way: byNodecache})
	t.begin("A service: SRV gives host and port.")
	t.see(ctx, question{"_http._tcp.www.prd.example.com", "SRV", cache}, want{answer: []string{"SRV 0 5 80 www.prd.example.com."}, way: byAuthoritative})
	t.begin("An address's name.")
	t.see(ctx, question{"10.1.1.10", "-x", cache}, want{answer: []string{"PTR db.dc1.prd.example.com."}, way: byAuthoritative})
	t.begin("A Kubernetes service, from another zone of ours.")
	t.see(ctx, question{"kubernetes.default.svc.cluster.local", "A", cache}, want{answer: []string{"A 10.96.0.1"}, way: byAuthoritative})
	t.begin("A name that is not: NXDOMAIN, and the SOA says how long that may be remembered.")
	t.see(ctx, question{"nobody.prd.example.com", "A", cache}, want{rcode: "NXDOMAIN", authority: "SOA", way: byAuthoritative})
}

func (t *tour) ruleSteps(ctx context.Context) {
	cache := t.stack.Nodecache
	t.chapter("rules")
	t.begin("AAAA under prd.example.com, where hosts have no IPv6: the record exists, but\n    nodecache answers \"no such type\" at once.")
	t.see(ctx, question{"www.prd.example.com", "AAAA", cache}, want{authority: "SOA", way: []string{"nodecache (rule: aaaa)"}})
	t.begin("A resolver with a search list appends domains to names that were whole: junk,\n    which ends here.")
	t.see(ctx, question{"www.example.net.prd.example.com", "A", cache}, want{rcode: "NXDOMAIN", authority: "SOA", way: []string{"nodecache (rule: junk)"}})
	t.begin("A name that is made of the address it stands for.")
	t.see(ctx, question{"10.1.2.3.ip.example.com", "A", cache}, want{answer: []string{"A 10.1.2.3"}, way: []string{"nodecache ► recursor dc1 (rule: synth-ip)"}})
	t.begin("\"The database of my site\": the recursor of dc1 makes it dc1's …")
	t.see(ctx, question{"db.dc.prd.example.com", "A", cache}, want{answer: []string{"CNAME db.dc1.prd.example.com.", "A 10.1.1.10"}, way: prefixed("nodecache ► recursor dc1 (rule: synth-site) ► ")})
	t.begin("… and that of dc2 makes it dc2's.")
	t.see(ctx, question{"db.dc.prd.example.com", "A", t.stack.Recursors[1]}, want{answer: []string{"CNAME db.dc2.prd.example.com.", "A 10.2.1.10"}, way: prefixed("recursor dc2 (rule: synth-site) ► ")})
}

func (t *tour) worldSteps(ctx context.Context) {
	t.chapter("the rest of the world")
	t.begin("A name that is not ours: the recursor asks its site's external resolver.")
	t.see(ctx, question{"www.example.net", "A", t.stack.Nodecache}, want{answer: []string{"A 198.51.100.80"}, way: []string{"nodecache ► recursor dc1 ► external dc1"}})
}

// recordSteps write at one node and read at the other.
func (t *tour) recordSteps(ctx context.Context) {
	writer, reader := t.stack.Authoritatives[0], t.stack.Authoritatives[1]
	t.chapter("changes")
	t.begin("A record is added at %s, and %s is asked for it until it has it.", writer.Name, reader.Name)
	q := question{"new.prd.example.com", "A", reader}
	t.see(ctx, q, want{rcode: "NXDOMAIN", authority: "SOA", way: []string{reader.Name}})
	t.add(ctx, q, "10.1.2.99", writer)
}

// add adds a record at one node, and asks another one until it has it.
func (t *tour) add(ctx context.Context, q question, data string, writer *stack.Server) {
	args := []string{"records", "add", q.name, q.typ, data, "--ttl", "30", "--config", writer.Config}
	t.command("authoritative", args...)
	added, err := t.stack.Run(ctx, "authoritative", args...)
	done := time.Now()
	if err == nil {
		t.indented("", added)
		err = t.answers(ctx, q, done.Add(10*time.Second))
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		t.fail("%v", err)
		return
	}
	t.text("    %s answers it %.1f ms after the command was done", q.to.Name, float64(time.Since(done).Microseconds())/1000)
	t.see(ctx, q, want{answer: []string{q.typ + " " + data}, way: []string{q.to.Name}})
}

// authoritativeSteps stop authoritatives, one after the other.
func (t *tour) authoritativeSteps(ctx context.Context) {
	t.chapter("when something stops")
	first, second := t.stack.Authoritatives[0], t.stack.Authoritatives[1]
	t.begin("%s stops; a name that no cache has is answered all the same.", second.Name)
	if !t.stop(ctx, second) {
		return
	}
	t.see(ctx, question{"one.any.prd.example.com", "A", t.stack.Nodecache}, want{answer: []string{"A 10.1.2.90"}, way: byAuthoritative[:1]})
	t.begin("It comes back, and %s stops, and etcd with it.", first.Name)
	if !t.start(ctx, second) || !t.stop(ctx, first) {
		return
	}
	t.see(ctx, question{"two.any.prd.example.com", "A", t.stack.Nodecache}, want{answer: []string{"A 10.1.2.90"}, way: byAuthoritative[1:2]})
	t.begin("Started without etcd, a server answers from its snapshot of the records.")
	if !t.stop(ctx, second) || !t.start(ctx, second) {
		return
	}
	t.see(ctx, question{"new.prd.example.com", "A", second}, want{answer: []string{"A 10.1.2.99"}, way: []string{second.Name}})
	t.begin("etcd is back with %s: changes are taken again, at either node.", first.Name)
	if !t.start(ctx, first) {
		return
	}
	t.add(ctx, question{"newer.prd.example.com", "A", first}, "10.1.2.100", second)
}

// siteSteps stop what a site has one of.
func (t *tour) siteSteps(ctx context.Context) {
	recursor, external := t.stack.Recursors[0], t.stack.External[0]
	t.begin("The external resolver of dc1 stops: dc2's is asked instead …")
	if !t.stop(ctx, external) {
		return
	}
	t.seeSoon(ctx, func(n int) question { return question{fmt.Sprintf("away%d.any.example.net", n), "A", recursor} },
		want{answer: []string{"A 198.51.100.81"}, way: []string{"recursor dc1 ► external dc2"}})
	t.begin("… until that of dc1 answers its checks again.")
	if !t.start(ctx, external) {
		return
	}
	t.seeSoon(ctx, func(n int) question { return question{fmt.Sprintf("home%d.any.example.net", n), "A", recursor} },
		want{answer: []string{"A 198.51.100.81"}, way: []string{"recursor dc1 ► external dc1"}})

	brief := question{"brief.prd.example.com", "A", t.stack.Nodecache}
	t.begin("A name with a TTL of one second is asked for, and the site's only recursor stops:\n    the host's cache gives what it had, though its time is over.")
	t.see(ctx, brief, want{answer: []string{"A 10.1.2.82"}, way: byAuthoritative})
	if !t.stop(ctx, recursor) {
		return
	}
	t.seeSoon(ctx, func(int) question { return brief }, want{answer: []string{"30 IN A 10.1.2.82"}, way: []string{"nodecache (stale)"}})
	t.begin("It is back, and so are fresh answers.")
	if !t.start(ctx, recursor) {
		return
	}
	t.seeSoon(ctx, func(n int) question {
		return question{fmt.Sprintf("back%d.any.prd.example.com", n), "A", t.stack.Nodecache}
	},
		want{answer: []string{"A 10.1.2.90"}, way: byAuthoritative})
}

// stop stops a server as an operator would.
func (t *tour) stop(ctx context.Context, s *stack.Server) bool {
	if ctx.Err() != nil {
		return false
	}
	t.indented(blue, "$ kill "+strconv.Itoa(s.PID())+"    # "+s.Name)
	if err := s.Stop(); err != nil {
		t.fail("%v", err)
		return false
	}
	return true
}

func (t *tour) start(ctx context.Context, s *stack.Server) bool {
	if ctx.Err() != nil {
		return false
	}
	program := s.Path
	if filepath.Dir(program) == t.stack.Bin {
		program = filepath.Base(program)
	}
	t.command(program, s.Args...)
	began := time.Now()
	if err := s.Start(); err != nil {
		t.fail("%v", err)
		return false
	}
	if err := t.stack.Ready(ctx, s); err != nil {
		if ctx.Err() == nil {
			t.fail("%v", err)
		}
		return false
	}
	t.text("    ready after %.0f ms", float64(time.Since(began).Milliseconds()))
	return true
}
