package cache

import (
	"fmt"
	"testing"

	"github.com/dgraph-io/ristretto/v2"
)

// TestRistrettoBeside runs a trace through ristretto as well, as decision 5 has it:
// one counter for each 16 bytes, and four. Nobody is in ristretto's way here: each
// Set is waited for, and each use is told of.
func TestRistrettoBeside(t *testing.T) {
	if raceDetector || testing.Short() {
		t.Skip("some million waits for ristretto's goroutine")
	}
	const names, room, queries = 50_000, 5_000, 500_000
	ours, exact := race(t, newTrace(names, 1.1, 0, 0), room, queries)
	t.Logf("hit ratio %.4f, of an exact LFU %.4f", ours, exact)
	for _, counters := range []int64{1, 4} {
		// An entry with one address takes 160 bytes.
		theirs := throughRistretto(t, newTrace(names, 1.1, 0, 0), room, counters*room*160/16, queries)
		t.Logf("of ristretto with %d counters for 16 bytes %.4f", counters, theirs)
		if ours <= theirs {
			t.Errorf("hit ratio %.4f, of ristretto with %d counters for 16 bytes %.4f: decision 5 no longer holds", ours, counters, theirs)
		}
	}
}

func throughRistretto(t *testing.T, tr *trace, room, counters int64, queries int) (hits float64) {
	t.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[uint64, struct{}]{
		NumCounters: counters, MaxCost: room, BufferItems: 64, IgnoreInternalCost: true,
		KeyToHash: func(key uint64) (uint64, uint64) { return key * 0x9e3779b97f4a7c15, 0 },
	})
	if err != nil {
		t.Fatal(fmt.Errorf("ristretto: %w", err))
	}
	defer c.Close()
	for i := range queries {
		key := uint64(tr.next())
		_, hit := c.Get(key)
		if !hit {
			c.Set(key, struct{}{}, 1)
			c.Wait()
		} else if i >= queries/2 {
			hits++
		}
	}
	return hits / float64(queries/2)
}
