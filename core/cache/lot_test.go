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

// TestLotGrows holds more flights of one lot than it has places for at first: each is
// found, until it is taken.
func TestLotGrows(t *testing.T) {
	var fs flights
	fs.init(1, 1)
	r := rand.New(rand.NewPCG(7, 8))
	var all []*flight
	for i := range 40 * lotLeast {
		q := Question{Name: name(i / 2), Type: uint16(1 + i%2), Class: 1}
		key := r.Uint64()&^63 | 5 // of one lot
		if i%2 == 1 {
			key = all[i-1].key // and some of one key
		}
		f := &flight{question: q, key: key}
		all = append(all, f)
		fs.add(fs.lot(key), f)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, f := range all {
		l := fs.lot(f.key)
		if l.find(&f.question, f.key) != f {
			t.Fatalf("flight %d of %d is not found", i, len(all))
		}
		if _, over := fs.take(f); over != (i < sparesMost) {
			t.Fatalf("flight %d is to be used again: %v", i, over)
		}
		if l.find(&f.question, f.key) != nil {
			t.Fatalf("flight %d is found behind its end", i)
		}
	}
	if l := fs.lot(5); l.count != 0 || fs.open() != 0 || len(l.found) < 16*lotLeast {
		t.Errorf("%d flights left, %d open, %d places", l.count, fs.open(), len(l.found))
	}
}

// TestLateFlightIsNotUsedAgain: who waited for too long is answered by the cache's
// goroutine, which may still have the flight in hand when it lands.
func TestLateFlightIsNotUsedAgain(t *testing.T) {
	var fs flights
	fs.init(1_000_000, 2_000_000) // 1 and 2 ms
	f := &flight{question: Question{Name: name(1), Type: 1, Class: 1}, key: 64}
	fs.add(fs.lot(64), f)
	if fs.late(fs.lot(64), 1) != f {
		t.Fatal("not late behind the client timer")
	}
	if _, over := fs.take(f); over {
		t.Error("a late flight is said to be in nobody's hands")
	}
}

// TestFlightsAreUsedAgain: a flight that is over is another question's of the same lot, once, with
// what Fetch has left in it, and nothing of the question.
func TestFlightsAreUsedAgain(t *testing.T) {
	var fs flights
	fs.init(1_000_000, 2_000_000)
	l := fs.lot(64)
	landed := map[*flight]bool{}
	for i := range 3 {
		f := &flight{question: Question{Name: name(i), Type: 1, Class: 1, Kept: i}, key: 64}
		fs.add(l, f)
		if _, over := fs.take(f); !over {
			t.Fatalf("flight %d is not over", i)
		}
		fs.reuse(f)
		landed[f] = true
	}
	if l.spares != 3 || fs.begun() != 3 || fs.open() != 0 {
		t.Errorf("%d to be used again, of %d, %d open", l.spares, fs.begun(), fs.open())
	}
	for range 3 {
		f := l.used()
		if f == nil || !landed[f] || f.same != nil || f.question.Kept == nil || f.question.Name != nil {
			t.Fatalf("flight %+v", f)
		}
		delete(landed, f)
	}
	if f := l.used(); f != nil || l.spares != 0 {
		t.Errorf("%+v is used twice; %d left", f, l.spares)
	}
}
