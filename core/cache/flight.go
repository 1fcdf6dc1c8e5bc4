package cache

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// A flight is a question in the air: asked upstream once, however many wait.
type flight struct {
	question Question
	key      uint64
	opened   Instant
	flushed  uint32 // Cache.flushed when it was opened
	landed   uint32 // 1 once done was called
	refresh  bool   // opened ahead of an entry's expiry

	// Guarded by the lot it is in.
	waiters    *waiting
	count      int
	late       bool    // the client timer has passed, or all is over: others than who lands it have it in hand
	in         bool    // it is in a lot
	same       *flight // the next one whose key is found at the same place
	prev, next *flight // in the lot's line of those who wait for the same timer

	first    waiting                     // the asker who had it opened
	answered func(msg []byte, err error) // lands it; made once, with the flight

	name [usualName]byte // the question's, where there is room; behind all pointers, where the collector does not look
}

const usualName = 64 // octets of a name in wire form

// A waiting is one asker of a flight: what is needed of the packet to reply.
type waiting struct {
	next   *waiting
	to     Waiter
	packet []byte // header and question as they came
	limit  int32
	edns   bool
	do     bool
	own    bool // it is its flight's first, and part of it
	extras wire.Extras
}

// A lot is a share of the flights, found by question. All flights have the same
// two timeouts, so each lot keeps two lines in order of opening and nothing else
// is needed to know who is due.
type lot struct {
	mu    sync.Mutex
	found []*flight // by key, the rest as lists; a power of two
	count int
	begun uint64 // flights there were

	// Flights that are over and used again: back are those that came back since spare had
	// some, by whoever landed them; spares is how many there are or will be.
	spare  *flight
	spares int
	back   atomic.Pointer[flight]

	lines [2]line // [0] wait for the client timer, [1] for the end of the budget
}

// A line is a doubly linked list, so that a flight that lands leaves it at once.
type line struct{ head, tail *flight }

func (l *line) push(f *flight) {
	f.prev, f.next = l.tail, nil
	if l.tail == nil {
		l.head = f
	} else {
		l.tail.next = f
	}
	l.tail = f
}

func (l *line) drop(f *flight) {
	if f.prev == nil {
		l.head = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.tail = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next = nil, nil
}

// flights are all questions in the air. There is no goroutine and no timer for
// each: one goroutine looks at the heads of the lines.
type flights struct {
	lots   [64]lot
	after  [2]Instant    // the two timeouts, ms from opening
	aloft  atomic.Int64  // flights, and times anAsker who wait for them
	armed  atomic.Int64  // the Instant the goroutine's timer is set to, never where it is not
	opened chan struct{} // wakes it to set its timer earlier
}

const (
	anAsker    = 1 << 32 // of flights.aloft
	sparesMost = 16      // of a lot
)

// open is how many questions are in the air.
func (fs *flights) open() int64 { return fs.aloft.Load() & (anAsker - 1) }

// waiting is how many askers wait for them.
func (fs *flights) waiting() int64 { return fs.aloft.Load() / anAsker }

func (fs *flights) init(clientTimer, budget time.Duration) {
	for i := range fs.lots {
		fs.lots[i].found = make([]*flight, lotLeast)
	}
	fs.after = [2]Instant{Instant(clientTimer / time.Millisecond), Instant(budget / time.Millisecond)}
	fs.armed.Store(never)
	fs.opened = make(chan struct{}, 1)
}

func (fs *flights) lot(key uint64) *lot { return &fs.lots[key%uint64(len(fs.lots))] }

// lotLeast is places of a lot; a power of two. They grow with the flights.
const lotLeast = 16

// place is where a key's flights are found. Its lowest bits chose the lot.
func (l *lot) place(key uint64) **flight {
	return &l.found[key>>32&uint64(len(l.found)-1)]
}

// find gives the flight of a question, nil where there is none. The lot is locked, as
// it is for forget.
func (l *lot) find(q *Question, key uint64) *flight {
	f := *l.place(key)
	for f != nil && (f.key != key || !f.question.is(q)) {
		f = f.same
	}
	return f
}

// forget takes a flight out that is in.
func (l *lot) forget(f *flight) {
	f.in = false
	at := l.place(f.key)
	for *at != f {
		at = &(*at).same
	}
	*at, f.same = f.same, nil
	l.count--
}

// grow has each place find one flight again, or few.
func (l *lot) grow() {
	before := l.found
	l.found = make([]*flight, 2*len(before))
	for _, f := range before {
		for f != nil {
			next, at := f.same, l.place(f.key)
			f.same, *at = *at, f
			f = next
		}
	}
}

// add puts a new flight into its lot, which is locked.
func (fs *flights) add(l *lot, f *flight) {
	if l.count++; l.count > len(l.found) {
		l.grow()
	}
	at := l.place(f.key)
	f.in, f.same, *at = true, *at, f
	l.lines[0].push(f)
	l.begun++
	fs.aloft.Add(1 + anAsker*int64(f.count))
}

// never is later than any Instant.
const never = math.MaxInt64

// wake has the goroutine set its timer, if a flight just added is due before
// that. To be called behind add, without the lot's lock.
func (fs *flights) wake(f *flight) {
	if int64(f.opened+fs.after[0]) < fs.armed.Load() {
		select {
		case fs.opened <- struct{}{}:
		default:
		}
	}
}

// take removes a flight, if it is still there, and returns who waited for it. over says
// that nobody has it in hand any more but the caller, who is to give it to reuse.
func (fs *flights) take(f *flight) (w *waiting, over bool) {
	l := fs.lot(f.key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !f.in {
		return nil, false
	}
	if over = !f.late && l.spares < sparesMost; over {
		l.spares++
	}
	return fs.remove(l, f), over
}

// reuse keeps a flight that is over for another question.
func (fs *flights) reuse(f *flight) {
	f.question = Question{Kept: f.question.Kept}
	l := fs.lot(f.key)
	for {
		f.same = l.back.Load()
		if l.back.CompareAndSwap(f.same, f) {
			return
		}
	}
}

// used gives a flight that is over, nil where there is none. The lot is locked.
func (l *lot) used() *flight {
	if l.spare == nil && l.back.Load() != nil {
		l.spare = l.back.Swap(nil)
	}
	f := l.spare
	if f != nil {
		l.spare, f.same = f.same, nil
		l.spares--
	}
	return f
}

// remove is take within the locked lot.
func (fs *flights) remove(l *lot, f *flight) *waiting {
	l.forget(f)
	l.lines[f.stage()].drop(f)
	fs.aloft.Add(-1)
	return f.release()
}

// stage is which of the two lines the flight stands in.
func (f *flight) stage() int {
	if f.late {
		return 1
	}
	return 0
}

// release hands over the waiters.
func (f *flight) release() *waiting {
	w := f.waiters
	f.waiters, f.count = nil, 0
	return w
}

// next is when the first flight is due.
func (fs *flights) next() Instant {
	first := Instant(never)
	for i := range fs.lots {
		l := &fs.lots[i]
		l.mu.Lock()
		for stage := range l.lines {
			if f := l.lines[stage].head; f != nil {
				first = min(first, f.opened+fs.after[stage])
			}
		}
		l.mu.Unlock()
	}
	return first
}

// late moves one flight of a lot that is past the client timer to the line of
// those that wait for the end, nil where there is none.
func (fs *flights) late(l *lot, now Instant) *flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.lines[0].head
	if f == nil || now < f.opened+fs.after[0] {
		return nil
	}
	l.lines[0].drop(f)
	f.late = true
	l.lines[1].push(f)
	return f
}

// overdue takes one flight of a lot that is past its budget, nil where there is none.
func (fs *flights) overdue(l *lot, now Instant) (*flight, *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.lines[1].head
	if f == nil || now < f.opened+fs.after[1] {
		return nil, nil
	}
	return f, fs.remove(l, f)
}

// waiters takes those who wait for a flight, and leaves the flight.
func (fs *flights) waiters(f *flight) *waiting {
	l := fs.lot(f.key)
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.release()
}

// begun is how many flights there were.
func (fs *flights) begun() (n uint64) {
	for i := range fs.lots {
		l := &fs.lots[i]
		l.mu.Lock()
		n += l.begun
		l.mu.Unlock()
	}
	return n
}
