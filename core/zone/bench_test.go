package zone

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

// filled makes a table with one zone of n hosts.
func filled(t testing.TB, n int) *Table {
	table := newTable(t)
	apex := wire.MustName("example.org")
	err := table.Update(func(tx *Tx) error {
		if err := tx.AddZone(apex); err != nil {
			return err
		}
		for i := range n {
			rec := Record{Name: wire.MustName(host(i)), Type: wire.TypeA, TTL: 300, Data: [][]byte{{10, byte(i >> 16), byte(i >> 8), byte(i)}}}
			if _, err := tx.Put(&rec); err != nil {
				return err
			}
		}
		soa := append(append(wire.MustName("ns.example.org"), wire.MustName("hostmaster.example.org")...), 0, 0, 0, 1, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 60)
		_, err := tx.Put(&Record{Name: apex, Type: wire.TypeSOA, TTL: 300, Data: [][]byte{soa}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func host(i int) string { return fmt.Sprintf("host-%07d.example.org", i) }

// BenchmarkAnswer looks up and answers in batches of 32, from packet to packet.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1_000, 50_000, 2_000_000} {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			table := filled(b, n)
			defer table.Close()
			r := table.NewReader()
			defer r.Close()
			batch := newBatch()
			rnd := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += len(batch.parsed) {
				for j := range batch.parsed {
					batch.ask(j, rnd.IntN(n))
				}
				if got := batch.answer(r); got != len(batch.parsed) {
					b.Fatalf("%d of %d were hits", got, len(batch.parsed))
				}
			}
		})
	}
}

type batch struct {
	parsed []wire.Query
	data   [][]byte
}

func newBatch() *batch {
	b := &batch{parsed: make([]wire.Query, 32), data: make([][]byte, 32)}
	for i := range b.data {
		b.data[i] = make([]byte, 0, 1232)
	}
	return b
}

var question = wire.AppendQuery(nil, 1, 0, wire.MustName(host(0)), wire.TypeA, wire.ClassIN, &wire.EDNS{UDPSize: 1232})

// ask writes a query for one of the hosts: any of them all, in random order, so
// that nothing but the table decides what is in the processor's caches.
func (b *batch) ask(j, host int) {
	b.data[j] = append(b.data[j][:0], question...)
	for at := wire.HeaderLen + len("_host-0000000") - 1; host > 0; host /= 10 {
		b.data[j][at] = byte('0' + host%10)
		at--
	}
}

func (b *batch) answer(r *Reader) (hits int) {
	r.Enter()
	for i := range b.parsed {
		b.parsed[i].Parse(b.data[i])
	}
	r.Prepare(b.parsed)
	for i := range b.parsed {
		q := &b.parsed[i]
		reply, o := r.Answer(q, b.data[i], q.Limit(false, 1232), i)
		if o == Hit && len(reply) > len(b.data[i]) {
			hits++
		}
		b.data[i] = reply
	}
	r.Leave()
	return hits
}
