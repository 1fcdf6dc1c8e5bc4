package cache

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// A judge decides which keys are worth their bytes. It is ristretto, holding
// keys and costs but no entries: those are in the index, which is told what to
// drop. So a reader never waits for ristretto, an entry is visible the moment it
// is stored, and whatever ristretto gives up leaves the index by key.
//
// Three of ristretto's habits are met here. Its Set is dropped without a word
// when its queue of 32,768 is full: storing waits for the queue long before
// that, which bounds what is in the index without having been judged, too. It
// rejects a second new Set of a key that its first is still queued for: that is
// told from a real rejection by whether it holds the key. And it forgets the
// hits that come faster than its goroutine runs: they are handed over in
// batches, with room to run in between.
type judge struct {
	keys    *ristretto.Cache[uint64, uint32]
	index   *index
	count   *counters
	pending atomic.Int64 // bytes set and not judged yet
	most    int64        // of them

	order [64]sync.Mutex // by key: index and ristretto change in the same order

	hits    [hitRing]atomic.Uint64 // keys touched, the newest over the oldest
	written atomic.Uint64
	read    uint64        // by drain alone
	ripe    chan struct{} // a quarter of the ring was written
}

const (
	hitRing = 4096 // a power of two
	batch   = 64   // hits that ristretto takes at once

	bytesPerCounter = 64 // eight counters for each entry of bytesPerBucket, 4 octets each
)

func (j *judge) init(size int64, x *index, n *counters) error {
	j.index, j.count = x, n
	j.most = max(size/16, minSize/4)
	j.ripe = make(chan struct{}, 1)
	keys, err := ristretto.NewCache(&ristretto.Config[uint64, uint32]{
		NumCounters: max(size/bytesPerCounter, 1024),
		MaxCost:     size,
		BufferItems: batch,
		// Cost is asked for when an entry is judged, in the order of Sets.
		Cost: func(bytes uint32) int64 {
			j.pending.Add(-int64(bytes))
			return int64(bytes)
		},
		IgnoreInternalCost:     true,
		KeyToHash:              func(key uint64) (uint64, uint64) { return key, 0 },
		OnEvict:                func(i *ristretto.Item[uint32]) { j.evicted(i.Key) },
		OnReject:               func(i *ristretto.Item[uint32]) { j.rejected(i.Key) },
		TtlTickerDurationInSec: 3600, // expiry is not ristretto's
	})
	if err != nil {
		return fmt.Errorf("new cache: %w", err)
	}
	j.keys = keys
	return nil
}

func (j *judge) evicted(key uint64) {
	if j.index.remove(key, nil) {
		j.count.evicted.Add(1)
	}
}

func (j *judge) rejected(key uint64) {
	if _, held := j.keys.GetTTL(key); held {
		return
	}
	if j.index.remove(key, nil) {
		j.count.rejected.Add(1)
	}
}

// admit puts e into the index at once, and before the judge.
func (j *judge) admit(e *entry) {
	if j.pending.Load() > j.most {
		j.keys.Wait()
	}
	cost := e.cost()
	mu := &j.order[e.key%uint64(len(j.order))]
	mu.Lock()
	defer mu.Unlock()
	j.index.put(e)
	j.count.stored.Add(1)
	j.pending.Add(int64(cost))
	if !j.keys.Set(e.key, cost, 0) {
		j.pending.Add(-int64(cost))
		j.index.remove(e.key, nil)
		j.count.dropped.Add(1)
	}
}

// forget drops e from the index and from ristretto's account.
func (j *judge) forget(e *entry) bool {
	mu := &j.order[e.key%uint64(len(j.order))]
	mu.Lock()
	defer mu.Unlock()
	if !j.index.remove(e.key, e) {
		return false
	}
	j.keys.Del(e.key)
	return true
}

// touch notes a hit. Frequencies saturate at 15 in ristretto, so an entry is
// noted once a second and, to tell busy from busier, by every sixteenth query ID.
func (j *judge) touch(e *entry, id uint16, now Instant) {
	second := uint32(now >> 10)
	if e.touched.Load() == second && id&15 != 0 {
		return
	}
	e.touched.Store(second)
	j.note(e.key)
}

// note hands a key to the next drain, by way of the ring.
func (j *judge) note(key uint64) {
	n := j.written.Add(1)
	j.hits[n%hitRing].Store(key)
	if n%(hitRing/4) == 0 {
		select {
		case j.ripe <- struct{}{}:
		default:
		}
	}
}

// drain tells ristretto of the hits in the ring. One goroutine at a time.
func (j *judge) drain() {
	end := j.written.Load()
	j.read = max(j.read, end-min(end, hitRing))
	for n := 0; j.read < end; n++ {
		j.read++
		j.keys.Get(j.hits[j.read%hitRing].Load())
		if n%batch == batch-1 {
			runtime.Gosched() // ristretto takes three batches ahead, and drops more
		}
	}
}

func (j *judge) close() { j.keys.Close() }
