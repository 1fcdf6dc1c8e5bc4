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

// A queue holds what was taken away, oldest first, until its readers have left.
type queue[T any] []retired[T]

type retired[T any] struct {
	epoch uint64
	what  T
}

// A retiredBlock has no pointers, as there may be millions of them.
type retiredBlock struct {
	ref  ref
	size uint32 // octets
}

func (q *queue[T]) add(t *Table, what T) {
	*q = append(*q, retired[T]{t.epoch.Load(), what})
}

// release hands over what nobody in an epoch from oldest on can see.
func (q *queue[T]) release(oldest uint64, free func(T)) {
	old := *q
	n := 0
	for n < len(old) && old[n].epoch < oldest {
		free(old[n].what)
		n++
	}
	rest := old[:copy(old, old[n:])]
	clear(old[len(rest):])
	if len(rest) == 0 && cap(rest) > 4*reclaimEvery {
		rest = nil
	}
	*q = rest
}

// reclaimEvery is how many blocks an update retires before it looks, in its
// midst, whether readers have left some of them.
const reclaimEvery = 4096

// room is called where a change begins and no block is being looked at.
func (t *Table) room() {
	if len(t.blocks) >= t.reclaimAt {
		t.reclaim()
	}
}

// reclaim begins a new epoch and frees what no reader can see. The writer calls
// it at the end of each update.
func (t *Table) reclaim() {
	t.epoch.Add(1)
	oldest := t.oldestReader()
	t.blocks.release(oldest, func(b retiredBlock) { t.arena.free(b.ref, int(b.size)) })
	t.indexes.release(oldest, (*index).close)
	t.numbers.release(oldest, func(n int) { t.spare = append(t.spare, n) })
	t.reclaimAt = len(t.blocks) + reclaimEvery
	x := t.idx.Load()
	t.names.Store(int64(x.live))
	t.bytes.Store(t.arena.used + int64(len(x.slots)*8))
	t.pending.Store(int64(len(t.blocks)))
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
