package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/clock"
	"github.com/strata-dns/strata/e2e/stack"
)

// In these stories processes have wall clocks of their own, which somebody sets while
// they run: an hour ahead, an hour back, ten years ahead. What waits, expires, is
// renewed or counts down goes by time that passes, so that nobody notices.

const decade = 10 * 365 * 24 * time.Hour

// settings are how far clocks are set ahead, one after the other.
var settings = []time.Duration{time.Hour, -time.Hour, decade, 0}

// newClock makes a clock, before the stack whose processes are to have it: these end
// first.
func newClock(t *testing.T) *clock.Clock {
	t.Helper()
	needBinaries(t)
	c, err := clock.New()
	if errors.Is(err, clock.ErrRefused) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// wear starts a server, again where it runs, with a clock.
func wear(t *testing.T, s *stack.Stack, server *stack.Server, c *clock.Clock) {
	t.Helper()
	must(t, server.Stop())
	server.Launch = c.Launch
	err := server.Start()
	if errors.Is(err, clock.ErrRefused) {
		t.Skip(err)
	}
	must(t, err)
	must(t, s.Ready(t.Context(), server))
	if c.Readings() == 0 {
		t.Fatalf("%s does not ask for the time", server.Name)
	}
}

// ages are figures of an authoritative that say how old something is, in seconds.
var ages = []string{"strata_etcd_contact_age_seconds", "strata_etcd_records_age_seconds"}

// sane asserts that a server that follows etcd says so, and knows of nothing that is
// older than the story.
func sane(t *testing.T, server *stack.Server) {
	t.Helper()
	within(t, server.Name+" follows etcd", func() bool {
		return gauge(t, server, "strata_etcd_connected") == 1 && strings.Contains(readyPage(t, server), "as etcd has them, revision ")
	})
	for _, name := range ages {
		if age := gauge(t, server, name); age < 0 || age > 300 {
			t.Errorf("%s: %s is %v", server.Name, name, age)
		}
	}
}

// The clocks of etcd's members and of servers are set, one process's at a time: adds go
// on being made and answered, tokens being asked for, and serials growing by one.
func TestClockOfEtcdAndServers(t *testing.T) {
	t.Parallel() // it mostly waits
	var clocks [5]*clock.Clock
	for i := range clocks {
		clocks[i] = newClock(t)
	}
	c := newEtcdCluster(t)
	all := append(append([]*stack.Server(nil), c.members...), c.servers...)
	for i, server := range all {
		wear(t, c.Stack, server, clocks[i])
	}
	c.adds(c.servers[0], "kept.prd.example.com", "10.5.0.1")
	c.answers("kept.prd.example.com", "10.5.0.1")
	c.watch("kept.prd.example.com", "10.5.0.1")
	serial := uint32(0)
	for i, server := range all {
		for j, ahead := range settings {
			clocks[i].Set(ahead)
			when := fmt.Sprintf("%s is %s ahead", server.Name, ahead)
			name, address := fmt.Sprintf("n%d-%d.prd.example.com", i, j), fmt.Sprintf("10.5.%d.%d", i, j)
			c.adds(c.servers[j%2], name, address)
			c.answers(name, address)
			if status := c.forged("GET", "records"); status != http.StatusUnauthorized {
				t.Errorf("%s: another's token: %d", when, status)
			}
			for _, server := range c.servers {
				sane(t, server)
				reply := ask(t, server, name, dns.TypeA)
				if len(reply.Answer) != 1 || reply.Answer[0].Header().Ttl != 300 {
					t.Errorf("%s: the TTL is not what it was: %v", when, reply)
				}
				soa, ok := ask(t, server, "prd.example.com", dns.TypeSOA).Answer[0].(*dns.SOA)
				if !ok || soa.Serial <= serial || soa.Serial > 1000 {
					t.Errorf("%s: the serial is not the next revision: %v after %d", when, soa, serial)
				}
			}
			serial++
		}
		c.same(fmt.Sprintf("%s's clock was set", server.Name))
	}
	if out := records(t, c.Stack, c.servers[0], "list", "--owner", "team"); strings.Count(out, "\n") != 1+len(all)*len(settings) {
		t.Errorf("not all that was added is there:\n%s", out)
	}
}

// forged asks the first server with a token that nobody has.
func (c *etcdCluster) forged(method, path string) int {
	request, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.servers[0].Admin+"/api/v1/"+path, nil)
	must(c.t, err)
	request.Header.Set("Authorization", "Bearer "+strings.Repeat("f", 32))
	response, err := http.DefaultClient.Do(request)
	must(c.t, err)
	response.Body.Close()
	return response.StatusCode
}

// A server starts from its snapshot without etcd, and its clock is set while it runs, or
// was when it wrote: the records are as old as they are, and those that time to come has
// dated are of now.
func TestClockAndSnapshot(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newClock(t)
	s := newStack(t, stack.AuthoritativesOnly)
	member, server := s.Authoritatives[0], s.Authoritatives[1]
	records(t, s, member, "add", "kept.prd.example.com", "A", "10.1.9.1")
	seen(t, server, "kept.prd.example.com", dns.TypeA, "10.1.9.1")
	wear(t, s, server, c)
	must(t, server.Stop())
	must(t, member.Kill())
	for _, started := range []time.Duration{0, -time.Hour, decade} {
		c.Set(started)
		must(t, server.Start())
		must(t, s.Ready(t.Context(), server))
		first := gauge(t, server, "strata_etcd_records_age_seconds")
		if want := max(0, started.Seconds()); first < want || first > want+300 {
			t.Errorf("started %s ahead of its snapshot: it is %v s old", started, first)
		}
		for _, ahead := range settings {
			c.Set(ahead)
			if age := gauge(t, server, "strata_etcd_records_age_seconds"); age < first || age > first+300 {
				t.Errorf("its clock is %s ahead, and the snapshot, which was %v s old at the start, is %v s old", ahead, first, age)
			}
			if page := readyPage(t, server); !strings.Contains(page, "etcd has not answered yet; the snapshot, revision ") || strings.Contains(page, " -") {
				t.Errorf("its clock is %s ahead, and it says: %s", ahead, page)
			}
			if reply, err := exchange(server, "kept.prd.example.com", dns.TypeA); !answered(reply, err, "10.1.9.1") {
				t.Errorf("its clock is %s ahead: %v, %v", ahead, reply, err)
			}
		}
		must(t, server.Stop())
	}
	c.Set(0)
	must(t, member.Start())
	must(t, s.Ready(t.Context(), member))
	must(t, server.Start())
	records(t, s, member, "add", "later.prd.example.com", "A", "10.1.9.2")
	within(t, "the change", func() bool {
		reply, err := exchange(server, "later.prd.example.com", dns.TypeA)
		return answered(reply, err, "10.1.9.2")
	})
	sane(t, server)
}
