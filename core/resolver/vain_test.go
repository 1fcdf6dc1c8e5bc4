package resolver

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
)

// A flood of questions for silent servers is told so at once, without a wait; what has
// expired is given, who asks what is in the air waits, and an answer ends it.
func TestVain(t *testing.T) {
	up := serve(t, soa, "www.flood.example. 300 IN A 192.0.2.1", "old.flood.example. 1 IN A 192.0.2.3")
	s := play(t, plot{rest: up})
	see(t, s.ask("www.flood.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.1")
	see(t, s.ask("old.flood.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.3")
	old := wire.Query{Type: wire.TypeA, Class: wire.ClassIN}
	old.SetName(wireName(t, "old.flood.example."))
	until(t, "it expires", func() bool {
		_, fresh := s.cache.Rcode(&old, wire.TypeA, s.cache.Now())
		return !fresh
	})
	up.silent.Store(true)
	next := 0
	flood := func() (name string, sent bool) {
		name = fmt.Sprintf("n%d.flood.example.", next)
		next++
		_, sent = s.send(pack(t, new(dns.Msg).SetQuestion(name, dns.TypeA)), "", false)
		return name, sent
	}
	atOnce := func() bool {
		_, sent := flood()
		return sent
	}
	until(t, "questions are in vain", atOnce)
	for s.count("failure") < 10 {
		atOnce()
	}
	until(t, "what is told is a failure", func() bool { // one in 20 ms is asked
		before := s.count("failure")
		m := s.ask(fmt.Sprintf("told%d.flood.example.", next), dns.TypeA)
		next++
		return s.count("failure") > before && m.Rcode == dns.RcodeServerFailure && m.RecursionAvailable && ede(m) == int(wire.EDENoReachableAuth)
	})
	until(t, "what has expired is given at once", func() bool {
		before := s.count("stale")
		m := s.ask("old.flood.example.", dns.TypeA)
		if !slices.Equal(data(m), []string{"A 192.0.2.3"}) || ede(m) != int(wire.EDEStaleAnswer) {
			t.Fatalf("what has expired: %v", m)
		}
		return s.count("stale") > before
	})
	see(t, s.ask("www.flood.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.1")
	var aloft string
	until(t, "one is asked", func() bool {
		name, sent := flood()
		aloft = name
		return !sent
	})
	asked := wire.Query{Type: wire.TypeA, Class: wire.ClassIN}
	asked.SetName(wireName(t, aloft))
	if _, sent := s.send(pack(t, new(dns.Msg).SetQuestion(aloft, dns.TypeA)), "", false); sent && s.cache.Aloft(&asked, s.cache.Now()) >= 0 {
		t.Error("who asks what is in the air does not wait for it")
	}
	up.silent.Store(false)
	until(t, "the server is found to be back", func() bool {
		name := fmt.Sprintf("back%d.flood.example.", next)
		next++
		return s.ask(name, dns.TypeA).Rcode == dns.RcodeNameError
	})
	for range 100 {
		if atOnce() {
			t.Fatal("in vain while the server answers")
		}
	}
}

// Who is told that it is in vain takes next to no memory.
func TestVainAllocates(t *testing.T) {
	up := serve(t, soa)
	s := play(t, plot{rest: up})
	up.silent.Store(true)
	queries := make([][]byte, 4096)
	for i := range queries {
		queries[i] = wire.AppendQuery(nil, uint16(i), wire.FlagRD, wire.MustName(fmt.Sprintf("n%d.flood.example", i)), wire.TypeA, wire.ClassIN, nil)
	}
	batch, at := newBatch(), 0
	answered := 0
	turn := func() {
		at = refill(batch, queries, at)
		s.handler.Answer(batch, s.queue)
		answered = 0
		for i := range batch {
			if len(batch[i].Data) > 0 {
				answered++
			}
		}
		s.handler.(plane.Companion).Sent()
	}
	until(t, "questions are in vain", func() bool {
		turn()
		return answered > len(batch)/2
	})
	until(t, "those of before are over", func() bool { return s.Waiting() < 100 })
	// Those that are asked, one in 20 ms, do: more of them where the machine is busy.
	until(t, "fewer allocations than half of the questions", func() bool {
		return testing.AllocsPerRun(100, turn) <= float64(len(batch)/2)
	})
}

// until polls.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
