package resolver

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// damage flips an octet in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// hot is a scene with many rules, and names in memory.
func hot(tb testing.TB, names, rate int) *scene { return hotUnder(tb, 1000, names, rate) }

// hotUnder is hot with so many suffixes under which AAAA is blocked.
func hotUnder(tb testing.TB, suffixes, names, rate int) *scene {
	tb.Helper()
	p := plot{cache: CacheConfig{Size: 64 << 20, StaleFor: 3600e9, Prefetch: true}}
	for i := range suffixes {
		p.policy.BlockAAAA = append(p.policy.BlockAAAA, fmt.Sprintf("suffix-%d.example.com", i))
	}
	p.policy.BlockAAAA = append(p.policy.BlockAAAA, "host.example")
	p.policy.Search = []string{"prd.example.com", "stg.example.com"}
	p.policy.Transparent = []string{"10.in-addr.arpa"}
	if rate > 0 {
		p.policy.Rate = policy.Rate{PerSecond: rate, Burst: rate}
	}
	p.rest = serveBy(tb, func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 86400}, A: []byte{192, 0, 2, 1}}}
		return m
	})
	s := play(tb, p)
	for i := range names {
		if m := s.ask(fmt.Sprintf("name-%06d.host.example.", i), dns.TypeA); len(m.Answer) != 1 {
			tb.Fatal(m)
		}
	}
	return s
}

// packets are queries for names in memory, or what is not, as a batch takes them.
func packets(names int, typ uint16) [][]byte {
	all := make([][]byte, names)
	for i := range all {
		all[i] = wire.AppendQuery(nil, uint16(i*7919), wire.FlagRD, wire.MustName(fmt.Sprintf("name-%06d.host.example", i)), typ, wire.ClassIN,
			&wire.EDNS{UDPSize: 1232})
	}
	return all
}

func TestAnswerAllocatesNothing(t *testing.T) {
	s := hot(t, 64, 1_000_000)
	for what, queries := range map[string][][]byte{
		"hits": packets(64, wire.TypeA), "blocked": packets(64, wire.TypeAAAA), "transfers": packets(64, wire.TypeAXFR),
		"garbage":      {{1, 2, 3}, make([]byte, 40)},
		"no recursion": {wire.AppendQuery(nil, 1, 0, wire.MustName("none.host.example"), wire.TypeA, wire.ClassIN, nil)},
	} {
		batch, at := newBatch(), 0
		answered := 0
		n := testing.AllocsPerRun(200, func() {
			at = refill(batch, queries, at)
			s.handler.Answer(batch, s.queue)
			for i := range batch {
				if len(batch[i].Data) > 0 {
					answered++
				}
			}
		})
		if n != 0 || answered == 0 {
			t.Errorf("%s: %v allocations a batch, %d answered", what, n, answered)
		}
	}
}

func newBatch() []plane.Packet {
	batch := make([]plane.Packet, 32)
	for i := range batch {
		batch[i] = plane.Packet{Data: make([]byte, 0, 1232), Client: netip.MustParseAddrPort("127.0.0.1:5353")}
	}
	return batch
}

// refill puts the next queries into a batch.
func refill(batch []plane.Packet, queries [][]byte, at int) int {
	for i := range batch {
		batch[i].Data = append(batch[i].Data[:0], queries[at]...)
		if at++; at == len(queries) {
			at = 0
		}
	}
	return at
}

// BenchmarkAnswer is a batch of 32 queries on its way through rules and memory;
// ns/op is a query's.
func BenchmarkAnswer(b *testing.B) {
	for _, one := range []struct {
		what            string
		names, suffixes int
		typ             uint16
		rate            int
	}{
		{"hits of 1000", 1000, 1000, wire.TypeA, 0}, {"hits of 20000", 20_000, 1000, wire.TypeA, 0},
		{"hits of 1000 and no suffixes", 1000, 0, wire.TypeA, 0}, {"hits of 1000 and 100000 suffixes", 1000, 100_000, wire.TypeA, 0},
		{"hits of 1000 under a rate", 1000, 1000, wire.TypeA, 1_000_000}, {"blocked", 1000, 1000, wire.TypeAAAA, 0},
	} {
		b.Run(one.what, func(b *testing.B) {
			s := hotUnder(b, one.suffixes, one.names, one.rate)
			queries := packets(one.names, one.typ)
			batch, at := newBatch(), 0
			b.ReportAllocs()
			b.ResetTimer()
			before := processor()
			for n := 0; n < b.N; n += len(batch) {
				at = refill(batch, queries, at)
				s.handler.Answer(batch, s.queue)
			}
			b.StopTimer()
			b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(b.N), "cpu-ns/query")
			if n := s.count("miss"); n > uint64(one.names) {
				b.Fatalf("%d misses", n)
			}
		})
	}
}

// processor is the time that this process has used so far: on a busy machine it says
// more than a clock.
func processor() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkWorkers has two workers answer at once what rules block and what memory
// holds: a query takes each as long as it takes one alone, so that two do twice as many.
func BenchmarkWorkers(b *testing.B) {
	s := hot(b, 1000, 0)
	for what, typ := range map[string]uint16{"blocked": wire.TypeAAAA, "hits": wire.TypeA} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", what, workers), func(b *testing.B) {
				queries := packets(1000, typ)
				var working sync.WaitGroup
				before := processor()
				for range workers {
					handler, batch, at := s.Worker(netip.AddrPort{}), newBatch(), 0
					working.Go(func() {
						for n := 0; n < b.N; n += len(batch) {
							at = refill(batch, queries, at)
							handler.Answer(batch, s.queue)
						}
					})
				}
				working.Wait()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*workers), "ns/query")
				b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(b.N*workers), "cpu-ns/query")
			})
		}
	}
}
