package observe

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// What space-saving promises, of any stream and number of counters.
func TestSavingBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSaving(rapid.IntRange(1, 12).Draw(t, "size"))
		truth := map[string]uint64{}
		for _, k := range rapid.SliceOfN(rapid.IntRange(0, 20), 0, 300).Draw(t, "keys") {
			key := fmt.Sprint(k * k % 23)
			truth[key]++
			s.add([]byte(key))
		}
		held := map[string]bool{}
		var sum, all uint64
		for _, c := range s.heap {
			held[c.key] = true
			sum += c.count
			if c.count < truth[c.key] || c.count > truth[c.key]+c.err {
				t.Fatalf("%s: %d counted with an error of %d, truly %d", c.key, c.count, c.err, truth[c.key])
			}
			if s.heap[s.at[c.key]].key != c.key {
				t.Fatalf("%s is not found", c.key)
			}
		}
		for key, n := range truth {
			all += n
			if !held[key] && n > s.floor() {
				t.Fatalf("%s came %d times and is not held; the floor is %d", key, n, s.floor())
			}
		}
		if sum != all || len(s.heap) > s.size || len(s.at) != len(s.heap) {
			t.Fatalf("%d counted of %d, with %d counters of %d", sum, all, len(s.heap), s.size)
		}
	})
}

// The same of two generations together, and nothing older.
func TestWindowBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow(rapid.IntRange(1, 8).Draw(t, "size"))
		truth := map[int64]map[string]uint64{}
		epoch := int64(100)
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 400), 1, 300).Draw(t, "steps") {
			if step%40 == 0 {
				epoch += int64(step % 3)
			}
			at := epoch
			if step%50 == 1 { // of a ring that was read late
				at--
			}
			if truth[at] == nil {
				truth[at] = map[string]uint64{}
			}
			key := fmt.Sprint(step % 17)
			if truth[at][key]++; at < epoch-1 {
				t.Fatal("older than the test means")
			}
			w.add([]byte(key), at)
		}
		now := w.epoch
		for _, c := range w.most(100) {
			n := truth[now][c.key] + truth[now-1][c.key]
			if c.count < n || c.count > n+c.err {
				t.Fatalf("%s: %d counted with an error of %d, truly %d", c.key, c.count, c.err, n)
			}
		}
	})
}

// BenchmarkSaving is a key that is counted; of ten thousand, one in ten new, in a
// thousand counters.
func BenchmarkSaving(b *testing.B) {
	keys := make([][]byte, 1<<14)
	for i := range keys {
		n := i % 300
		if i%10 == 0 {
			n = i
		}
		keys[i] = fmt.Appendf(nil, "\x04name%06d\x07example\x00", n)
	}
	s := newSaving(1000)
	b.ReportAllocs()
	for i := range b.N {
		s.add(keys[i&(len(keys)-1)])
	}
}
