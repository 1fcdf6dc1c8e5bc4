package main

import (
	"fmt"
	"testing"

	"github.com/strata-dns/strata/authoritative/store"
)

// BenchmarkApply is what a change costs once it is decoded: 1,000 at a time, to
// 50,000 names, each with another address than before.
func BenchmarkApply(b *testing.B) {
	const names, batch = 50_000, 1000
	s, _ := fed(b, "example.org")
	var sets [2][]store.Change
	for i := range names {
		for variant := range sets {
			name := fmt.Sprintf("host-%d.namespace-%d.svc.example.org", i, i%100)
			sets[variant] = append(sets[variant], store.Change{Record: rec(b, name, "A", "static", fmt.Sprintf("10.%d.%d.%d", variant, i>>8, i&255))})
		}
	}
	var all []store.Record
	for _, c := range sets[0] {
		all = append(all, c.Record)
	}
	if err := s.sink.Replace(seq(all...), 1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		at := n * batch % names
		if err := s.sink.Apply(sets[(n*batch/names+1)%2][at:at+batch], int64(n+2)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*batch), "ns/change")
}
