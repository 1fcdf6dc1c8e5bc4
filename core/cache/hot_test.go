package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/strata-dns/strata/core/wire"
)

// filled is a cache of n names with one address each.
func filled(tb testing.TB, n int) *Cache {
	tb.Helper()
	return filledOver(tb, n, func(*Question, func([]byte, error)) {})
}

func filledOver(tb testing.TB, n int, fetch Fetch) *Cache {
	tb.Helper()
	c, err := New(Options{Size: int64(n)*512 + 1<<20, Prefetch: true, Fetch: fetch})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	for i := range n {
		q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
		e, err := c.understand(&q, q.key(), addressReply(&q, 86400, uint32(i)), c.Now())
		if err != nil {
			tb.Fatal(err)
		}
		c.keep(e, c.Now())
	}
	if f := c.Stats(); f.Entries != int64(n) {
		tb.Fatalf("%d of %d entries held: %+v", f.Entries, n, f)
	}
	return c
}

func name(i int) []byte { return wire.MustName(fmt.Sprintf("host-%07d.prd.example.com", i)) }

// digits writes another number into the packet of a query for name.
func digits(packet []byte, i int) {
	for at := wire.HeaderLen + 1 + len("host-0000000") - 1; i > 0; at-- {
		packet[at] = byte('0' + i%10)
		i /= 10
	}
}

// TestAnswerAllocatesNothing has the cache's own goroutine stand still in the
// first refresh, so that what is counted is the packets' way alone.
func TestAnswerAllocatesNothing(t *testing.T) {
	still := make(chan struct{})
	c := filledOver(t, 1000, func(*Question, func([]byte, error)) { <-still })
	t.Cleanup(func() { close(still) })
	packet := wire.AppendQuery(nil, 4711, wire.FlagRD, name(0), wire.TypeA, wire.ClassIN, nil)
	var q wire.Query
	buf := make([]byte, 512)
	now := c.Now()
	i := 0
	for what, at := range map[string]Instant{"fresh": now, "aged": now + 5000, "to be refreshed": now + 86_300_000, "expired": now + 86_500_000} {
		want := Hit
		if what == "expired" {
			want = Miss
		}
		if n := testing.AllocsPerRun(2000, func() {
			b := append(buf[:0], packet...)
			digits(b, i%1000)
			i++
			q.Parse(b)
			if _, s := c.Answer(&q, b, 512, at); s != want {
				t.Fatalf("%s: %v", what, s)
			}
			c.Rcode(&q, wire.TypeA, at)
		}); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

func TestEntryIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n != 80 {
		t.Errorf("an entry takes %d octets, beside its data", n)
	}
}

// TestRoom: an entry with its octets has the size that it is charged with.
func TestRoom(t *testing.T) {
	for n := range 300 {
		e := room(n)
		if len(e.data) != 0 || cap(e.data) < n {
			t.Fatalf("%d octets: %d of %d", n, len(e.data), cap(e.data))
		}
		e.data = e.data[:n]
		if n > 16 && n <= 128 && entryOverhead+cap(e.data) != int(e.cost()) {
			t.Errorf("%d octets take %d, and are charged with %d", n, entryOverhead+cap(e.data), e.cost())
		}
	}
	if unsafe.Sizeof(held[[64]byte]{}) != 144 {
		t.Errorf("entry and octets take %d", unsafe.Sizeof(held[[64]byte]{}))
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1_000, 50_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := filled(b, n)
			packet := wire.AppendQuery(nil, 4711, wire.FlagRD, name(0), wire.TypeA, wire.ClassIN, nil)
			var q wire.Query
			buf := make([]byte, 512)
			b.ReportAllocs()
			b.ResetTimer()
			now, i := c.Now(), 0
			for b.Loop() {
				if i%32 == 0 {
					now = c.Now()
				}
				p := append(buf[:0], packet...)
				digits(p, int(rand.Uint32N(uint32(n))))
				i++
				q.Parse(p)
				if _, s := c.Answer(&q, p, 512, now); s != Hit {
					b.Fatal(s)
				}
			}
		})
	}
}

// BenchmarkMiss is a miss, its flight, and its landing.
func BenchmarkMiss(b *testing.B) {
	c, err := New(Options{Size: 1 << 20, Fetch: func(q *Question, done func([]byte, error)) { done(addressReply(q, 60, 1), nil) }})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var q wire.Query
	buf := make([]byte, 512)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		name := []byte(fmt.Sprintf("\x0ahost%06d\x07example\x00", i%1_000_000))
		p := rawQuery(&q, buf, uint16(i), name, wire.TypeA)
		if _, s := c.Answer(&q, p, 512, c.Now()); s == Miss {
			c.Wait(&q, p, 512, c.Now(), nobody{})
		}
	}
}

type nobody struct{}

func (nobody) Deliver([]byte, State) {}

// BenchmarkHotName has all cores ask for the same name.
func BenchmarkHotName(b *testing.B) {
	c := filled(b, 1000)
	packet := wire.AppendQuery(nil, 4711, wire.FlagRD, name(7), wire.TypeA, wire.ClassIN, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var q wire.Query
		buf := make([]byte, 512)
		now := c.Now()
		for pb.Next() {
			p := append(buf[:0], packet...)
			q.Parse(p)
			if _, s := c.Answer(&q, p, 512, now); s != Hit {
				b.Error(s)
			}
		}
	})
}

// TestMissAllocates: a miss makes what memory keeps, an entry with its octets, and nothing
// beside, nor that where nothing is kept; flights and those who wait for them are used again.
func TestMissAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has pools forget at random")
	}
	if made := missAllocates(t, Options{Size: 1 << 20}, 5000); made > 1 {
		t.Errorf("%v allocations a miss", made)
	}
	if made := missAllocates(t, Options{Off: true}, 0); made > 0 {
		t.Errorf("%v allocations a miss, and nothing is kept", made)
	}
}

// missAllocates measures 5000 misses, of which so many are to be stored.
func missAllocates(t *testing.T, o Options, stored uint64) float64 {
	var q wire.Query
	answer := make([]byte, 0, 512)
	o.Fetch = func(q *Question, done func([]byte, error)) { done(answer, nil) }
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	packet := wire.AppendQuery(nil, 4711, wire.FlagRD, name(0), wire.TypeA, wire.ClassIN, nil)
	question := Question{Name: name(0), Type: wire.TypeA, Class: wire.ClassIN}
	answer = append(answer, addressReply(&question, 60, 1)...)
	buf := make([]byte, 512)
	i := 0
	made := testing.AllocsPerRun(5000, func() {
		b := append(buf[:0], packet...)
		digits(b, i)
		digits(answer, i)
		i++
		q.Parse(b)
		now := c.Now()
		if _, s := c.Answer(&q, b, 512, now); s != Miss {
			t.Fatal(s)
		}
		c.Wait(&q, b, 512, now, nobody{})
	})
	if f := c.Stats(); f.Stored < stored || stored == 0 && f.Stored > 0 || f.UpstreamRefused+f.UpstreamFailed != 0 {
		t.Errorf("%+v", f)
	}
	return made
}
