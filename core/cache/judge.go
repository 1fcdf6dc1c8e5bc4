package cache

import (
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
// While there is room there is nothing to judge: ristretto is made when half of
// the size is used, and then told of what is there already. A small working set
// pays neither for its counters nor for its maps.
//
// Three of ristretto's habits are met here. Its Set is dropped without a word
// when its queue of 32,768 is full: storing waits for the queue long before
// that, which bounds what is in the index without having been judged, too. It
// rejects a second new Set of a key that its first is still queued for: that is
// told from a real rejection by whether it holds the key. And it forgets the
// hits that come faster than its goroutine runs: they are handed over in
// batches, with room to run in between.
type judge struct {
	index   *index
	count   *counters
	size    int64
	pending atomic.Int64 // bytes set and not judged yet
	most    int64        // of them

	keys    atomic.Pointer[ristretto.Cache[uint64, uint32]] // nil while there is room
	seat    sync.RWMutex                                    // held to write while ristretto is made
	induct  sync.WaitGroup                                  // goes over what was there before
	closing atomic.Bool
	order   [64]sync.Mutex // by key: index and ristretto change in the same order

	hits    [hitRing]atomic.Uint64 // keys touched, the newest over the oldest
	written atomic.Uint64
	read    uint64        // by drain alone
	ripe    chan struct{} // a quarter of the ring was written
}

const (
	hitRing = 4096 // a power of two
	batch   = 64   // hits that ristretto takes at once

	// mostPending is less than 10,000 entries, of the 32,768 that would fill the queue.
	mostPending = 2 << 20

	// A counter takes some 4 octets, so all of them a quarter of the size on top
	// of it. Fewer forget too soon: ristretto halves its counts whenever it has
	// seen as many uses as it has counters.
	bytesPerCounter = 16
)

func (j *judge) init(size int64, x *index, n *counters) {
	j.index, j.count, j.size = x, n, size
	j.most = min(max(size/16, minSize/4), mostPending)
	j.ripe = make(chan struct{}, 1)
}

// sit makes ristretto, once.
func (j *judge) sit() {
	j.seat.Lock()
	defer j.seat.Unlock()
	if j.keys.Load() != nil {
		return
	}
	keys, err := ristretto.NewCache(&ristretto.Config[uint64, uint32]{
		NumCounters: max(j.size/bytesPerCounter, 1024),
		MaxCost:     j.size,
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
	if err != nil { // it objects to zero and negative numbers, of which there are none
		panic("cache: " + err.Error())
	}
	j.induct.Add(1) // before anybody can see that there is something to wait for
	j.keys.Store(keys)
	go func() {
		defer j.induct.Done()
		j.catchUp()
	}()
}

// catchUp tells ristretto of the entries that were stored before it was made.
func (j *judge) catchUp() {
	j.index.each(func(e *entry) bool {
		mu := j.lock(e.key)
		if j.index.holds(e) {
			j.set(e)
		}
		mu.Unlock()
		j.queue()
		return !j.closing.Load()
	})
}

// lock locks the order of changes to a key.
func (j *judge) lock(key uint64) *sync.Mutex {
	mu := &j.order[key%uint64(len(j.order))]
	mu.Lock()
	return mu
}

// queue waits for ristretto while too much is not judged yet.
func (j *judge) queue() {
	if j.pending.Load() > j.most {
		j.keys.Load().Wait()
	}
}

// set puts e, which is in the index, before ristretto. Its key is locked.
func (j *judge) set(e *entry) {
	cost := e.cost()
	j.pending.Add(int64(cost))
	if !j.keys.Load().Set(e.key, cost, 0) {
		j.pending.Add(-int64(cost))
		j.index.remove(e.key, nil)
		j.count.dropped.Add(1)
	}
}

func (j *judge) evicted(key uint64) {
	if j.index.remove(key, nil) {
		j.count.evicted.Add(1)
	}
}

func (j *judge) rejected(key uint64) {
	if _, held := j.keys.Load().GetTTL(key); held {
		return
	}
	if j.index.remove(key, nil) {
		j.count.rejected.Add(1)
	}
}

// admit puts e into the index at once, and before ristretto if there is one.
func (j *judge) admit(e *entry) {
	j.count.stored.Add(1)
	if j.keys.Load() == nil {
		if j.spare(e) {
			return
		}
		j.sit()
	}
	if j.index.bytes.Load() > j.size {
		j.induct.Wait()
	}
	j.queue()
	mu := j.lock(e.key)
	defer mu.Unlock()
	j.index.put(e)
	j.set(e)
}

// spare puts e into the index if less than half of the size is used and
// ristretto is not there yet.
func (j *judge) spare(e *entry) bool {
	j.seat.RLock()
	defer j.seat.RUnlock()
	if j.keys.Load() != nil || j.index.bytes.Load() > j.size/2 {
		return false
	}
	mu := j.lock(e.key)
	defer mu.Unlock()
	j.index.put(e)
	return true
}

// forget drops e from the index and from ristretto's account.
func (j *judge) forget(e *entry) bool {
	j.seat.RLock()
	defer j.seat.RUnlock()
	mu := j.lock(e.key)
	defer mu.Unlock()
	if !j.index.remove(e.key, e) {
		return false
	}
	if keys := j.keys.Load(); keys != nil {
		keys.Del(e.key)
	}
	return true
}

// touch notes a hit. Frequencies saturate at 15 in ristretto, so an entry is
// noted once a second and, to tell busy from busier, by every sixteenth query ID.
func (j *judge) touch(e *entry, id uint16, now Instant) {
	if j.keys.Load() == nil {
		return
	}
	second := uint32(now >> 10)
	if e.touched.Load() == second && id&15 != 0 {
		return
	}
	e.touched.Store(second)
	j.note(e.key)
}

// note hands a key to the next drain, by way of the ring, if anybody is to judge it.
func (j *judge) note(key uint64) {
	if j.keys.Load() == nil {
		return
	}
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
	keys := j.keys.Load()
	if keys == nil {
		return
	}
	end := j.written.Load()
	j.read = max(j.read, end-min(end, hitRing))
	for n := 0; j.read < end; n++ {
		j.read++
		keys.Get(j.hits[j.read%hitRing].Load())
		if n%batch == batch-1 {
			runtime.Gosched() // ristretto takes three batches ahead, and drops more
		}
	}
}

// close ends ristretto. Nothing else of the judge may be under way.
func (j *judge) close() {
	j.closing.Store(true)
	j.induct.Wait()
	if keys := j.keys.Load(); keys != nil {
		keys.Close()
	}
}
