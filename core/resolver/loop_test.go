package resolver

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// withTrail is a query that comes with a trail.
func withTrail(t *testing.T, name string, trail []byte) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: wire.OptionTrail, Data: trail}}
	return pack(t, m)
}

func trailOf(m *dns.Msg) []byte {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if local, ok := o.(*dns.EDNS0_LOCAL); ok && local.Code == wire.OptionTrail {
				return local.Data
			}
		}
	}
	return nil
}

// A query that was here before is refused, with the reason, counted, and logged once
// in a while; others go on with a longer trail, and so do those for their aliases.
func TestLoop(t *testing.T) {
	var trails atomic.Pointer[map[string][]byte]
	up := serveBy(t, func(q *dns.Msg) *dns.Msg {
		all := map[string][]byte{}
		if old := trails.Load(); old != nil {
			for name, trail := range *old {
				all[name] = trail
			}
		}
		all[q.Question[0].Name] = trailOf(q)
		trails.Store(&all)
		return nil
	}, "example. 60 SOA . . 1 1 1 1 60", "a.example. 60 A 192.0.2.1", "b.example. 60 A 192.0.2.1", "alias.example. 60 CNAME a.far.", "known.example. 60 A 192.0.2.1")
	far := serveBy(t, up.answer, "far. 60 SOA . . 1 1 1 1 60", "a.far. 60 A 192.0.2.2")
	s := play(t, plot{rest: up, zones: map[string]*nameServer{"far": far}})
	var log strings.Builder
	s.loops.log = slog.New(slog.NewTextHandler(&log, nil))
	read := func(reply []byte) *dns.Msg {
		m := new(dns.Msg)
		if err := m.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return m
	}

	if m := s.ask("a.example.", dns.TypeA); len(m.Answer) != 1 {
		t.Fatal(m)
	}
	own := (*trails.Load())["a.example."]
	if string(own) != string(s.loops.stamp[:]) {
		t.Fatalf("asked with the trail %x, want %x", own, s.loops.stamp)
	}
	before, other := up.asked.Load(), wire.NewStamp()
	for _, trail := range [][]byte{own, append(other[:], own...), append(own, other[:]...)} {
		m := read(s.packet(withTrail(t, "new.example.", trail), "", false))
		if m.Rcode != dns.RcodeRefused || ede(m) != int(wire.EDEOther) || !strings.Contains(m.String(), "forwarding loop") {
			t.Errorf("trail %x: %v", trail, m)
		}
	}
	if long := make([]byte, wire.LongestTrail); read(s.packet(withTrail(t, "new.example.", long), "", false)).Rcode != dns.RcodeRefused {
		t.Error("the longest trail is no loop")
	}
	if n := s.count("loop"); n != 4 || up.asked.Load() != before {
		t.Errorf("%d counted, %d asked", n, up.asked.Load()-before)
	}
	if n := strings.Count(log.String(), "forwarding loop"); n != 1 || !strings.Contains(log.String(), "from=127.0.0.1:") || !strings.Contains(log.String(), "name=new.example.") {
		t.Errorf("said %d times: %s", n, &log)
	}
	if m := read(s.packet(withTrail(t, "a.example.", own), "", false)); len(m.Answer) != 1 {
		t.Errorf("from memory: %v", m)
	}

	for _, name := range []string{"b.example.", "alias.example."} {
		if m := read(s.packet(withTrail(t, name, other[:]), "", false)); m.Rcode != dns.RcodeSuccess {
			t.Errorf("others' query: %v", m)
		}
	}
	for _, name := range []string{"b.example.", "alias.example.", "a.far."} {
		if got, want := (*trails.Load())[name], string(other[:])+string(own); string(got) != want {
			t.Errorf("%s was asked on with %x, want %x", name, got, want)
		}
	}
}
