package probe

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// rounds decide what is probed when, and what follows from the answers. They know
// no sockets and no etcd, and are told the time; one goroutine uses them.
type rounds struct {
	opts  Options
	self  string // name among the probers
	wards map[netip.Addr]*ward
	queue dueQueue
	known map[netip.Addr]store.Health // as etcd has them

	needed   map[netip.Addr][]Check // by all records; nil: not all have been seen
	vote     election
	accused  map[*ward]struct{} // that have one try left
	brake    brake
	unsaid   map[netip.Addr]struct{} // that may be to be written
	inFlight int                     // checks
	late     time.Duration           // of the last ward whose turn came
	looked   time.Time               // when starts was called last
}

// A ward is an address that is ours to probe.
type ward struct {
	addr   netip.Addr
	checks []Check
	state  store.State // as found here; Unknown: not yet
	since  time.Time   // by the wall clock
	fails  int         // tries in a row
	spent  bool        // accused, and no try is left
	began  time.Time   // of the last try
	due    time.Time
	at     int // in the queue, -1: not there

	pending int   // checks of the try under way
	failed  error // of one of them
}

// A start is a check to make, and what its result belongs to.
type start struct {
	Target
	ward  *ward // nil: a reference
	jury  int   // not 0: for the brake's jury of that number
	juror bool  // of it, and not one of the accused
}

func newRounds(opts Options) *rounds {
	return &rounds{
		opts: opts, self: opts.Name, wards: map[netip.Addr]*ward{}, known: map[netip.Addr]store.Health{},
		accused: map[*ward]struct{}{}, unsaid: map[netip.Addr]struct{}{},
	}
}

// assign makes the addresses that are needed, and of them those that are ours by
// the probers there are. registered: we are one of them.
func (r *rounds) assign(now time.Time, needed map[netip.Addr][]Check, probers []string, registered bool) {
	r.needed = needed
	if !registered {
		probers = nil
	}
	r.vote = newElection(probers)
	for addr, w := range r.wards {
		if _, ok := needed[addr]; !ok || !r.ours(addr) {
			r.dismiss(w)
		}
	}
	for addr, checks := range needed {
		if !r.ours(addr) {
			continue
		}
		slices.SortFunc(checks, Check.compare)
		if w := r.wards[addr]; w != nil {
			w.checks = checks
			continue
		}
		w := &ward{addr: addr, checks: checks, due: now.Add(rand.N(r.opts.Interval)), at: -1}
		r.wards[addr] = w
		heap.Push(&r.queue, w)
	}
	for addr := range r.known {
		if r.orphaned(addr) {
			r.unsaid[addr] = struct{}{}
		}
	}
}

func (r *rounds) ours(addr netip.Addr) bool { return r.vote.owner(addr) == r.self }

// orphaned tells whether it is ours to delete the health of an address, as no
// record needs it.
func (r *rounds) orphaned(addr netip.Addr) bool {
	_, ok := r.needed[addr]
	return !ok && r.needed != nil && r.ours(addr)
}

// dismiss lets go of an address. What its checks under way find is not heard.
func (r *rounds) dismiss(w *ward) {
	delete(r.wards, w.addr)
	delete(r.accused, w)
	delete(r.unsaid, w.addr)
	if w.at >= 0 {
		heap.Remove(&r.queue, w.at)
	}
	w.checks = nil
}

// hear takes what etcd has, one's own writes too. Who has seen an address
// otherwise says so again.
func (r *rounds) hear(h store.Health) {
	if h.Revision == 0 {
		delete(r.known, h.Address)
	} else {
		r.known[h.Address] = h
	}
	r.unsaid[h.Address] = struct{}{}
}

// hearAll takes all that etcd has.
func (r *rounds) hearAll(all []store.Health) {
	clear(r.known)
	for _, h := range all {
		r.known[h.Address] = h
		r.unsaid[h.Address] = struct{}{}
	}
	for addr := range r.wards {
		r.unsaid[addr] = struct{}{}
	}
}

// spread gives all addresses a new turn: the process was stopped for long, and
// there is no rush.
func (r *rounds) spread(now time.Time) {
	for _, w := range r.queue {
		w.due = now.Add(rand.N(r.opts.Interval))
	}
	heap.Init(&r.queue)
}

// starts gives the checks whose time has come, as many as there are sockets for. It
// is to be called twice an interval at least.
func (r *rounds) starts(now time.Time) (all []start) {
	if !r.looked.IsZero() && now.Sub(r.looked) > r.opts.Interval {
		r.spread(now)
	}
	r.looked = now
	all = r.jury(now)
	for len(r.queue) > 0 && r.room() {
		w := r.queue[0]
		if w.due.After(now) {
			break
		}
		r.late = now.Sub(w.due)
		heap.Pop(&r.queue)
		all = append(all, w.try(now, 0)...)
		r.inFlight += len(w.checks)
	}
	return all
}

// try begins a try: all checks at once.
func (w *ward) try(now time.Time, jury int) (all []start) {
	w.began, w.pending, w.failed = now, len(w.checks), nil
	for _, check := range w.checks {
		all = append(all, start{Target: Target{w.addr, check}, ward: w, jury: jury})
	}
	return all
}

// tried takes the result of one check, and reports whether the try is at an end,
// and is of interest.
func (w *ward) tried(err error) bool {
	if w.pending--; err != nil && (w.failed == nil || verdictless(w.failed)) {
		w.failed = err
	}
	return w.pending == 0 && w.checks != nil
}

// requeue gives an address its next turn, an interval from now, more or less: what
// was together does not stay so.
func (r *rounds) requeue(now time.Time, w *ward) {
	w.due = now.Add(r.opts.Interval*95/100 + rand.N(r.opts.Interval/10+1))
	heap.Push(&r.queue, w)
}

// next is when there is something to start again; zero: nothing.
func (r *rounds) next() time.Time {
	var at time.Time
	if len(r.queue) > 0 && r.room() {
		at = r.queue[0].due
	}
	if again := r.brake.again; len(r.accused) > 0 && r.brake.asked == nil && (at.IsZero() || again.Before(at)) {
		at = again
	}
	return at
}

// result takes what a check found: nil, the address answers.
func (r *rounds) result(now time.Time, s start, err error) {
	r.inFlight--
	if s.jury != 0 {
		r.heard(now, s, err)
		return
	}
	w := s.ward
	if !w.tried(err) {
		return
	}
	switch {
	case w.failed == nil:
		r.answers(now, w)
	case verdictless(w.failed): // it says nothing about the address
	default:
		r.fails(now, w)
		return
	}
	r.requeue(w.began, w)
}

// answers notes that an address is up.
func (r *rounds) answers(now time.Time, w *ward) {
	w.fails = 0
	delete(r.accused, w)
	if w.state != store.Up {
		w.state, w.since = store.Up, now
	}
	if r.known[w.addr].State != store.Up {
		r.unsaid[w.addr] = struct{}{}
	}
}

// fails notes that an address did not answer. The next try begins a timeout after
// the last one began; when one is left it is the brake's.
func (r *rounds) fails(now time.Time, w *ward) {
	if w.fails++; w.fails == 1 {
		w.since = now
	}
	switch {
	case w.state == store.Down:
	case r.known[w.addr].State == store.Down: // known, and now by us, too
		w.state, w.since = store.Down, r.known[w.addr].Since
		r.unsaid[w.addr] = struct{}{}
	case w.fails < r.opts.Tries-1:
		w.due = w.began.Add(r.opts.Timeout)
		heap.Push(&r.queue, w)
		return
	default:
		r.accuse(w)
		return
	}
	r.requeue(w.began, w)
}

// edits gives what is to be written: at most so many.
func (r *rounds) edits(most int) (all []store.HealthEdit) {
	for addr := range r.unsaid {
		if len(all) == most {
			break
		}
		delete(r.unsaid, addr)
		known := r.known[addr]
		known.Address = addr
		w := r.wards[addr]
		if w == nil {
			if known.Revision != 0 && r.orphaned(addr) {
				all = append(all, store.HealthEdit{Health: store.Health{Address: addr, Revision: known.Revision}})
			}
			continue
		}
		if known.State == store.Down && w.state == store.Up && w.fails > 0 {
			continue // somebody else says so, and we are not sure
		}
		if w.state == store.Unknown || w.state == known.State && (w.state == store.Up || known.By == r.self) {
			continue
		}
		all = append(all, store.HealthEdit{Health: store.Health{Address: addr, State: w.state, Since: w.since, By: r.self, Revision: known.Revision}})
	}
	return all
}

// counts says how many of the wards are up, down and not known yet.
func (r *rounds) counts() (up, down, unknown int) {
	for _, w := range r.wards {
		switch w.state {
		case store.Up:
			up++
		case store.Down:
			down++
		default:
			unknown++
		}
	}
	return up, down, unknown
}

// A dueQueue has the ward first whose turn is next.
type dueQueue []*ward

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].at, q[j].at = i, j }

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) {
	w := x.(*ward)
	w.at = len(*q)
	*q = append(*q, w)
}

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	w.at = -1
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}

// room tells whether there is a socket for another try: a quarter is left for last
// tries, which are to be made when all the others take long, too.
func (r *rounds) room() bool { return r.inFlight < r.opts.Sockets-r.opts.Sockets/4 }
