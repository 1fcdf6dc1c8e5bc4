package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// fresh gives names that no cache knows, below one that answers anything.
func fresh(under string) func() string {
	n := 0
	return func() string {
		n++
		return fmt.Sprintf("n%d.%s", n, under)
	}
}

// When its recursor is gone, nodecache answers from memory what has expired, and
// says so by the TTL and an extended error (RFC 8767 §4, RFC 8914 §4.4); what it
// never knew fails. With the recursor back all is as before.
func TestStale(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.Whole)
	const name = "brief.prd.example.com" // TTL 1
	if reply := ask(t, s.Nodecache, name, dns.TypeA); !answered(reply, nil, "10.1.2.82") {
		t.Fatalf("got %v", reply)
	}
	must(t, s.Recursors[0].Kill())
	within(t, "the stale answer", func() bool {
		reply, err := exchange(s.Nodecache, name, dns.TypeA)
		if !answered(reply, err, "10.1.2.82") {
			return false
		}
		opt := reply.IsEdns0()
		return reply.Answer[0].Header().Ttl == 30 && opt != nil && len(opt.Option) == 1 && opt.Option[0].Option() == dns.EDNS0EDE
	})
	client, machine := dns.Client{Timeout: 10 * time.Second}, watchStrain()
	reply, took, err := client.Exchange(new(dns.Msg).SetQuestion("unknown.any.prd.example.com.", dns.TypeA), s.Nodecache.Address)
	if err != nil || reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("a name that is not in memory: %v, %v, after %s", reply, err, took)
	}
	machine.inTime(t, "a name that is not in memory was answered", took, 3*time.Second)
	must(t, s.Recursors[0].Start())
	must(t, s.Ready(t.Context(), s.Recursors[0]))
	next := fresh("after.any.prd.example.com")
	within(t, "answers from upstream", func() bool {
		reply, err := exchange(s.Nodecache, next(), dns.TypeA)
		return answered(reply, err, "10.1.2.90")
	})
}

// served tells which external resolvers a fresh name's question went to, and
// whether it was answered.
func served(t *testing.T, s *stack.Stack, name string) (sites string, ok bool) {
	t.Helper()
	before, err := s.Sample(t.Context())
	must(t, err)
	client := dns.Client{Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), s.Recursors[0].Address)
	ok = answered(reply, err, "198.51.100.81")
	after, err := s.Sample(t.Context())
	must(t, err)
	return strings.TrimPrefix(s.Trace(before, after), "recursor dc1 ► "), ok
}

// When the external resolver of dc1 no longer answers, its recursor uses dc2's,
// and goes back when it does; killed, it is the same as stuck.
func TestExternalSwing(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.Whole)
	home := s.External[0]
	next := fresh("any.example.net")
	servedBy := func(want string) {
		t.Helper()
		within(t, "fresh names answered by "+want, func() bool {
			sites, ok := served(t, s, next())
			return ok && sites == want
		})
	}
	servedBy("external dc1")
	must(t, home.Signal(syscall.SIGSTOP))
	servedBy("external dc2")
	must(t, home.Signal(syscall.SIGCONT))
	servedBy("external dc1")
	must(t, home.Kill())
	servedBy("external dc2")
	must(t, home.Start())
	servedBy("external dc1")
}

// While the servers of a site are swung the askers notice little: nobody waits
// longer than the time a question may take upstream.
func TestSwingIsSmooth(t *testing.T) {
	s := newStack(t, stack.Whole)
	next := fresh("smooth.any.example.net")
	client, machine := dns.Client{Timeout: 10 * time.Second}, watchStrain()
	var slowest time.Duration
	lost, asked := 0, 0
	began := time.Now()
	frozen := false
	for time.Since(began) < 4*time.Second {
		if !frozen && time.Since(began) > time.Second {
			must(t, s.External[0].Signal(syscall.SIGSTOP))
			frozen = true
		}
		reply, took, err := client.Exchange(new(dns.Msg).SetQuestion(next()+".", dns.TypeA), s.Recursors[0].Address)
		slowest = max(slowest, took)
		asked++
		if !answered(reply, err, "198.51.100.81") {
			lost++
		}
	}
	must(t, s.External[0].Signal(syscall.SIGCONT))
	t.Logf("%d asked one after the other, %d without an answer, the slowest took %s", asked, lost, slowest.Round(time.Millisecond))
	machine.inTime(t, "the slowest answer came", slowest, 2500*time.Millisecond)
	if lost > 3 {
		t.Errorf("%d of %d without an answer", lost, asked)
	}
}
