package resolver

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/planetest"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// failing is a route on which nothing is ever answered.
type failing struct{}

func (failing) Ask(_ *cache.Question, done func(upstream.Answer)) {
	done(upstream.Answer{Err: errors.New("no way")})
}
func (failing) Apart(uint32, []byte, []byte) bool { return false }

// TestAnyPacket sends a million packets, of chance and of queries that were damaged:
// each is answered as the protocol says or not at all, and memory does not grow.
func TestAnyPacket(t *testing.T) {
	rules, err := NewRules(policy.Config{BlockAAAA: []string{"example.com"}, Search: []string{"prd.example.com"}}, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := upstream.New(upstream.Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Cache: CacheConfig{Size: 1 << 20, StaleFor: 1}, Rules: rules, Route: failing{}, MaxUDP: 1232, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(engine); err != nil {
			t.Error(err)
		}
	}()
	rounds := 1_000_000 / 32
	if raceEnabled { // a tenth of the speed
		rounds /= 10
	}
	luck := rand.New(rand.NewPCG(1, 2))
	models := packets(16, wire.TypeAAAA)
	handler, queue, batch := r.Worker(netip.AddrPort{}), &silentQueue{Queue: planetest.NewQueue()}, newBatch()
	before := heap()
	sent := make([][]byte, len(batch))
	for range rounds {
		for i := range batch {
			sent[i] = chance(luck, models, sent[i][:0])
			batch[i] = plane.Packet{Data: append(batch[i].Data[:0], sent[i]...), Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)}
		}
		handler.Answer(batch, queue)
		for i := range batch {
			if reply := batch[i].Data; len(reply) > 0 {
				checkReply(t, sent[i], reply)
			}
		}
	}
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("memory grew by %d octets", grown)
	}
}

// A silentQueue drops late replies.
type silentQueue struct{ plane.Queue }

func (*silentQueue) Deliver(plane.Return, []byte) error { return nil }

// chance makes a packet: all of it by chance, or a query with some octets changed,
// cut off, or added.
func chance(luck *rand.Rand, models [][]byte, p []byte) []byte {
	if luck.IntN(4) == 0 {
		for range luck.IntN(80) {
			p = append(p, byte(luck.Uint32()))
		}
		return p
	}
	p = append(p, models[luck.IntN(len(models))]...)
	for range luck.IntN(4) {
		p[luck.IntN(len(p))] = byte(luck.Uint32())
	}
	switch luck.IntN(8) {
	case 0:
		p = p[:luck.IntN(len(p))]
	case 1:
		p = append(p, byte(luck.Uint32()))
	}
	return p
}

// checkReply holds a reply against its query.
func checkReply(t *testing.T, query, reply []byte) {
	t.Helper()
	switch {
	case len(query) < wire.HeaderLen || query[2]&0x80 != 0:
		t.Fatalf("%x is answered by %x", query, reply)
	case !bytes.Equal(query[:2], reply[:2]) || reply[2]&0x80 == 0 || len(reply) > 1232:
		t.Fatalf("%x is answered by %x", query, reply)
	}
	if err := new(dns.Msg).Unpack(reply); err != nil {
		t.Fatalf("%x is answered by %x: %v", query, reply, err)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
