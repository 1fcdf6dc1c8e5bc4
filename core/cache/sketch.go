package cache

import (
	"math/bits"
	"sync/atomic"
)

// A sketch estimates how often keys were asked for that are not held: a count-min
// sketch of 4-bit counters. A key has four, all in one cache line, one in each
// quarter of it, and only the least of them grow (conservative update). It errs to
// the high side alone, but for updates of one word that meet, of which one is lost.
type sketch struct {
	lines []sketchLine
}

// A sketchLine is a cache line: four quarters of 32 counters.
type sketchLine [8]atomic.Uint64

const (
	sketchLineBytes = 64
	sketchMost      = 15 // counters stay there
)

// newSketch makes a sketch of so many bytes.
func newSketch(size int64) *sketch {
	return &sketch{make([]sketchLine, max(size/sketchLineBytes, 1))}
}

// line is where the counters of a key are.
func (s *sketch) line(key uint64) *sketchLine {
	hi, _ := bits.Mul64(key*0x9e3779b97f4a7c15, uint64(len(s.lines)))
	return &s.lines[hi]
}

// counter is the word of a key's counter in a quarter, and how far up it is.
func (l *sketchLine) counter(key uint64, quarter int) (word *atomic.Uint64, shift uint) {
	n := uint(key>>(8+5*quarter)) & 31
	return &l[2*quarter+int(n>>4)], n & 15 * 4
}

func (l *sketchLine) least(key uint64) uint32 {
	least := uint64(sketchMost)
	for quarter := range 4 {
		word, shift := l.counter(key, quarter)
		least = min(least, word.Load()>>shift&15)
	}
	return uint32(least)
}

// raise lifts the counters of a key that are below n to n.
func (l *sketchLine) raise(key uint64, n uint32) {
	for quarter := range 4 {
		word, shift := l.counter(key, quarter)
		old := word.Load()
		if count := old >> shift & 15; count < uint64(n) {
			word.CompareAndSwap(old, old+(uint64(n)-count)<<shift)
		}
	}
}

// estimate is how often a key was added, at most sketchMost.
func (s *sketch) estimate(key uint64) uint32 { return s.line(key).least(key) }

// add counts a use of a key.
func (s *sketch) add(key uint64) {
	l := s.line(key)
	if n := l.least(key); n < sketchMost {
		l.raise(key, n+1)
	}
}

// raise has a key count no less than n.
func (s *sketch) raise(key uint64, n uint32) { s.line(key).raise(key, min(n, sketchMost)) }

// halve halves all counters.
func (s *sketch) halve() {
	for i := range s.lines {
		for w := range s.lines[i] {
			word := &s.lines[i][w]
			if old := word.Load(); old != 0 {
				word.Store(old >> 1 & 0x7777777777777777)
			}
		}
	}
}
