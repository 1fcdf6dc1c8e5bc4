package cache

import (
	"math/rand/v2"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

// TestLot holds flights whose keys are equal apart, by their questions.
func TestLot(t *testing.T) {
	name := wire.MustName("www.example")
	var all []*flight
	for _, q := range []Question{
		{Name: name, Type: 1, Class: 1}, {Name: name, Type: 28, Class: 1}, {Name: name, Type: 1, Class: 3}, {Name: name, Type: 1, Class: 1, DO: true},
		{Name: name, Type: 1, Class: 1, CD: true}, {Name: name, Type: 1, Class: 1, View: 7}, {Name: wire.MustName("www.example.org"), Type: 1, Class: 1},
	} {
		all = append(all, &flight{question: q, key: 64})
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		var fs flights
		fs.init(1, 1)
		l := fs.lot(64)
		in := map[*flight]bool{}
		for _, f := range all { // of the round before
			f.in = false
		}
		for range 40 {
			f := all[r.IntN(len(all))]
			if in[f] = !in[f]; in[f] {
				fs.add(l, f)
			} else {
				fs.take(f)
			}
			for _, f := range all {
				q := f.question
				if found := l.find(&q, 64); (found == f) != in[f] || found != nil && !in[f] || f.in != in[f] {
					t.Fatalf("%+v: found %v, in %v, want %v", q, found, f.in, in[f])
				}
			}
		}
	}
}
