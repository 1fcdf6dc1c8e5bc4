package zone

import (
	"sync/atomic"
)

// Old blocks may not be used again while a reader looks at them. Readers say
// when they look: Enter notes the table's epoch in the reader's own cache line,
// Leave clears it. A block that was taken out of the index in epoch e is free
// once no reader stands in an epoch up to e. That costs a reader one store per
// batch and no lock (K. Fraser, Practical lock-freedom, 2004, §5.2.3).
type seat struct {
	epoch atomic.Uint64 // 0: not looking
	_     [56]byte
}

// retired is memory waiting for its readers to leave.
type retired struct {
	epoch uint64
	block ref // freed to the arena, size octets
	size  int
	index *index // or an index, unmapped
}

// retire queues a block that is no longer in the index.
func (t *Table) retire(r ref, size int) {
	t.waiting = append(t.waiting, retired{epoch: t.epoch.Load(), block: r, size: size})
}

// reclaim begins a new epoch and frees what no reader can see. The writer calls
// it at the end of each update.
func (t *Table) reclaim() {
	t.epoch.Add(1)
	oldest := t.oldestReader()
	n := 0
	for n < len(t.waiting) && t.waiting[n].epoch < oldest {
		if w := &t.waiting[n]; w.index != nil {
			w.index.close()
			w.index = nil
		} else {
			t.arena.free(w.block, w.size)
		}
		n++
	}
	t.waiting = t.waiting[:copy(t.waiting, t.waiting[n:])]
	x := t.idx.Load()
	t.names.Store(int64(x.live))
	t.bytes.Store(t.arena.used + int64(len(x.slots)*8))
	t.pending.Store(int64(len(t.waiting)))
}

func (t *Table) oldestReader() uint64 {
	t.seatsMu.Lock()
	defer t.seatsMu.Unlock()
	oldest := ^uint64(0)
	for _, s := range t.seats {
		if e := s.epoch.Load(); e != 0 && e < oldest {
			oldest = e
		}
	}
	return oldest
}
