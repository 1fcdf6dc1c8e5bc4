package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// answering gives a server with one zone of so many hosts.
func answering(t testing.TB, hosts int) *server {
	t.Helper()
	s, err := newServer(slog.New(slog.DiscardHandler), wire.DefaultUDP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.table.Close)
	var b strings.Builder
	b.WriteString(orgZone + "alias IN CNAME www\nsub IN NS ns.sub\nns.sub IN A 192.0.2.3\nold IN DNAME sub\n")
	for i := range hosts {
		fmt.Fprintf(&b, "h%d IN A 10.%d.%d.%d\n", i, i>>16, i>>8&255, i&255)
	}
	apex := wire.MustName("example.org")
	if err := addZone(s.table, apex); err != nil {
		t.Fatal(err)
	}
	if err := addZone(s.table, wire.MustName("unfilled.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.table.Load(apex, strings.NewReader(b.String()), "zone", fileRecords); err != nil {
		t.Fatal(err)
	}
	return s
}

func query(t testing.TB, name string, typ uint16) []byte {
	t.Helper()
	return wire.AppendQuery(nil, 0x1234, 0, wire.MustName(name), typ, wire.ClassIN, &wire.EDNS{UDPSize: 1232})
}

// Whatever comes gets its reply, and is counted once under its outcome.
func TestOutcomesAreCounted(t *testing.T) {
	t.Parallel()
	s := answering(t, 0)
	good := query(t, "www.example.org", wire.TypeA)
	edit := func(f func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	class := len("www.example.org") + 2 + wire.HeaderLen + 3 // its second octet
	for _, tc := range []struct {
		outcome string
		rcode   int // -1: silence
		data    []byte
	}{
		{"hit", dns.RcodeSuccess, good},
		{"nodata", dns.RcodeSuccess, query(t, "www.example.org", wire.TypeAAAA)},
		{"nxdomain", dns.RcodeNameError, query(t, "no.example.org", wire.TypeA)},
		{"referral", dns.RcodeSuccess, query(t, "a.sub.example.org", wire.TypeA)},
		{"alias", dns.RcodeSuccess, query(t, "alias.example.org", wire.TypeA)},
		{"substitution", dns.RcodeSuccess, query(t, "x.old.example.org", wire.TypeA)},
		{"refused", dns.RcodeRefused, query(t, "www.example.net", wire.TypeA)},
		{"not ready", dns.RcodeServerFailure, query(t, "a.unfilled.example", wire.TypeA)},
		{"silence", -1, edit(func(b []byte) { b[2] |= 0x80 })},
		{"silence", -1, good[:wire.HeaderLen-1]},
		{"silence", -1, nil},
		{"formerr", dns.RcodeFormatError, edit(func(b []byte) { b[5] = 2 })},
		{"formerr", dns.RcodeFormatError, good[:len(good)-1]},
		{"notimp", dns.RcodeNotImplemented, edit(func(b []byte) { b[2] |= 4 << 3 })},
		{"class", dns.RcodeRefused, edit(func(b []byte) { b[class] = 3 })},
		{"badvers", dns.RcodeBadVers, edit(func(b []byte) { b[len(b)-5] = 1 })},
	} {
		for _, stream := range []bool{false, true} {
			h, transport := s.worker(), "udp"
			if stream {
				h, transport = s.stream(), "tcp"
			}
			before := counted(s)
			batch := []plane.Packet{{Data: append(make([]byte, 0, 4096), tc.data...), Stream: stream, Client: netip.MustParseAddrPort("127.0.0.1:1")}}
			h.Answer(batch, nil)
			key := transport + " " + tc.outcome
			after := counted(s)
			for k, n := range after {
				if k == key && n != before[k]+1 || k != key && n != before[k] {
					t.Errorf("%s: %s was %d, is %d", key, k, before[k], n)
				}
			}
			if after[key] == 0 {
				t.Errorf("%s is not counted: %v", key, after)
			}
			reply := batch[0].Data
			if tc.rcode == -1 {
				if len(reply) != 0 {
					t.Errorf("%s: answered with %x", key, reply)
				}
				continue
			}
			if got := rcodeOf(reply); got != tc.rcode {
				t.Errorf("%s: counted with RCODE %d, want %d", key, got, tc.rcode)
			}
			m := new(dns.Msg)
			if err := m.Unpack(reply); err != nil || m.Id != 0x1234 || !m.Response || m.Rcode != tc.rcode {
				t.Errorf("%s: %v, %v", key, err, m)
			}
		}
	}
}

func counted(s *server) map[string]uint64 {
	n := map[string]uint64{}
	s.eachCount(func(transport string, _, kind int, count uint64) { n[transport+" "+kindName(kind)] += count })
	return n
}

// Each kind has a name of its own, as a label of the metrics.
func TestKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := range kinds {
		name := kindName(k)
		if name == "" || seen[name] {
			t.Errorf("kind %d is called %q", k, name)
		}
		seen[name] = true
	}
	if seen["refused"] && kindName(invalid+int(wire.Refused)) != "class" || kindName(int(zone.Substitution)) != "substitution" || kindName(kinds-1) != "badvers" {
		t.Error(seen)
	}
}

// packets are a batch with room for replies, and what it is filled with each time.
func packets(t testing.TB, n int, ask func(i int) []byte) (batch []plane.Packet, fill func()) {
	queries := make([][]byte, n)
	rooms := make([][]byte, n)
	for i := range queries {
		queries[i], rooms[i] = ask(i), make([]byte, 4096)
	}
	batch = make([]plane.Packet, n)
	return batch, func() {
		for i := range batch {
			batch[i].Data = rooms[i][:copy(rooms[i], queries[i])]
		}
	}
}

// More packets than are looked up together: each has its own answer.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	s := answering(t, 2*maxBatch+5)
	batch, fill := packets(t, 2*maxBatch+5, func(i int) []byte { return query(t, fmt.Sprintf("h%d.example.org", i), wire.TypeA) })
	h := s.worker()
	for range 2 {
		fill()
		h.Answer(batch, nil)
		for i := range batch {
			m := new(dns.Msg)
			if err := m.Unpack(batch[i].Data); err != nil || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != fmt.Sprintf("10.0.0.%d", i) {
				t.Fatalf("%d: %v, %v", i, err, m)
			}
		}
	}
	h.Answer(nil, nil)
}

func TestAnswerAllocatesNothing(t *testing.T) {
	s := answering(t, 1000)
	names := []string{"www.example.org", "no.example.org", "alias.example.org", "a.sub.example.org", "x.old.example.org", "www.example.net", "h7.example.org"}
	batch, fill := packets(t, 32, func(i int) []byte {
		q := query(t, names[i%len(names)], wire.TypeA)
		if i == 31 {
			q[5] = 2 // two questions
		}
		return q
	})
	for what, h := range map[string]plane.Handler{"worker": s.worker(), "stream": s.stream()} {
		if n := testing.AllocsPerRun(200, func() { fill(); h.Answer(batch, nil) }); n != 0 {
			t.Errorf("%s: %v allocations for a batch", what, n)
		}
	}
}

// BenchmarkAnswer is a batch of 32 through the whole of the handler; ns/op is of
// the batch, ns/query of one in it.
func BenchmarkAnswer(b *testing.B) {
	for _, hosts := range []int{1_000, 50_000} {
		s := answering(b, hosts)
		h := s.worker()
		const n = 32
		queries := make([][]byte, 1<<12)
		seed := uint32(1)
		for i := range queries {
			seed = seed*1664525 + 1013904223
			queries[i] = query(b, fmt.Sprintf("h%d.example.org", int(seed>>8)%hosts), wire.TypeA)
		}
		var rooms [n][4096]byte
		batch := make([]plane.Packet, n)
		b.Run(fmt.Sprintf("names=%d", hosts), func(b *testing.B) {
			b.ReportAllocs()
			at := 0
			for b.Loop() {
				for i := range batch {
					batch[i].Data = rooms[i][:copy(rooms[i][:], queries[at&(len(queries)-1)])]
					at++
				}
				h.Answer(batch, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/query")
		})
	}
}
