package upstream

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A shard is a share of the engine that works alone: one lock over all of it.
type shard struct {
	engine *Engine
	index  int

	mu        sync.Mutex
	closed    bool
	lots      lots
	wheel     wheel
	sockets   []*socket         // all, retired ones among them
	byFD      map[int32]*socket // the same
	spare     []*socket         // closed ones, for reuse
	doomed    bool              // the receiver should look for sockets to close
	conns     map[*conn]struct{}
	flights   []*flight // unused
	lingering int
	room      int             // questions that are counted as in flight, and are not
	waits     int             // queries over UDP without a reply
	times     []time.Duration // of replies that came together, and are not measured yet
	timesOf   *server         // whose these are
	asks      uint64          // since the shard began
	bunch     uint64          // queries that leave together
	held      *outbox         // of questions while the engine is held; nil for none
	heldAt    int64           // when the first of these was asked: it is about now for all of them
	scratch   [64]byte
	due       []*flight

	holds   atomic.Bool // held is not nil
	awaited atomic.Bool // there are queries over UDP without a reply; written under the lock

	tended bool          // by somebody else than our own goroutine
	rests  chan struct{} // closed when that has stopped; nil where nobody waits for it
	over   bool          // everything is closed

	wakeAt int64         // when the clock goroutine looks next
	wake   chan struct{} // earlier than that
	epoll  epoll
}

const (
	sparePlenty  = 1024                   // flights kept for reuse
	dozeAfter    = 8 * time.Millisecond   // a busy shard looks at its wheel this often; below hedgeLeast
	housekeeping = 250 * time.Millisecond // while anything is open
	turnMost     = 128                    // flights looked at under one hold of the lock
	idleForever  = int64(1) << 62
	roomMost     = 64 // questions
	roomShare    = 16 // of MaxInFlight, one part for all shards' room
)

func newShard(e *Engine, index int) (*shard, error) {
	s := &shard{
		engine: e, index: index, byFD: map[int32]*socket{}, conns: map[*conn]struct{}{},
		wake: make(chan struct{}, 1), wakeAt: idleForever, bunch: 1,
	}
	return s, s.epoll.open()
}

// begin starts a flight; it ends with one call of done.
func (s *shard) begin(q *Question, servers []*server, budget time.Duration, done func(Answer)) {
	s.mu.Lock()
	if err := s.enter(); err != nil {
		s.mu.Unlock()
		done(Answer{Err: err})
		return
	}
	s.asks++
	o, now := s.questions()
	f := s.flight()
	f.fill(q)
	f.servers, f.done = servers, done
	f.scout = servers[0].down() && mute(servers, now)
	f.began, f.deadline = now, now+int64(budget)
	s.launch(f, now, o)
	o = s.letGo(o)
	s.mu.Unlock()
	if o != nil {
		o.flush(s)
		outboxes.Put(o)
	}
}

// enter counts a question that begins, unless that may not be.
func (s *shard) enter() error {
	e := s.engine
	switch {
	case s.closed:
		return net.ErrClosed
	case s.room > 0:
		s.room--
	case e.inFlight.Add(1) > int64(e.options.MaxInFlight):
		e.inFlight.Add(-1)
		return ErrOverload
	}
	return nil
}

// leave undoes enter. What a shard has counted it counts for the next question, some at
// most, so that in the common way of things nothing is written that all shards look at.
func (s *shard) leave() {
	e := s.engine
	if s.room < min(roomMost, e.options.MaxInFlight/(roomShare*len(e.shards))) {
		s.room++
		return
	}
	e.inFlight.Add(-1)
}

// flight returns an empty one.
func (s *shard) flight() *flight {
	n := len(s.flights)
	if n == 0 {
		return &flight{slot: -1}
	}
	f := s.flights[n-1]
	s.flights = s.flights[:n-1]
	return f
}

// recycle keeps a flight for reuse, unless there are plenty: memory taken in
// a storm goes back to the collector.
func (s *shard) recycle(f *flight) {
	text := f.text[:0]
	*f = flight{slot: -1, text: text}
	if len(s.flights) < sparePlenty {
		s.flights = append(s.flights, f)
	}
}

// wakeBy makes sure that the clock looks at the wheel by then.
func (s *shard) wakeBy(due int64) {
	if due >= s.wakeAt {
		return
	}
	s.wakeAt = due
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keepTime turns the wheel until the engine closes. It sleeps as long as nothing
// is due; but a shard that is being asked it looks after so often that
// asking need not wake it.
func (s *shard) keepTime() {
	defer s.engine.running.Done()
	var o outbox
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	asks := uint64(0)
	for lastLook := int64(0); ; {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return
		}
		now := s.engine.now()
		s.turn(now, &o)
		if now-lastLook >= int64(housekeeping) {
			lastLook = now
			s.tidy(now)
		}
		s.wakeAt = s.nextLook(now, asks != s.asks)
		asks = s.asks
		pause := time.Duration(s.wakeAt - now)
		s.mu.Unlock()
		o.flush(s)
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-s.wake:
		}
	}
}

// turn looks at flights that are due, at most turnMost: those who ask wait for the
// lock meanwhile.
func (s *shard) turn(now int64, o *outbox) {
	s.bunch++
	s.due = s.wheel.turn(now, s.due[:0], turnMost)
	for i, f := range s.due {
		s.due[i] = nil
		s.look(f, now, o)
	}
	for _, c := range o.silent {
		s.lose(c, ErrSilent, now, o)
	}
	clear(o.silent)
	o.silent = o.silent[:0]
}

// nextLook is when keepTime must be back.
func (s *shard) nextLook(now int64, busy bool) int64 {
	next := idleForever
	if len(s.sockets)+len(s.conns) > 0 {
		next = now + int64(housekeeping)
	}
	if due, ok := s.wheel.next(); ok {
		next = min(next, due)
	}
	if busy {
		next = min(next, now+int64(dozeAfter))
	}
	return max(next, now)
}

// tidy retires old sockets and closes idle connections.
func (s *shard) tidy(now int64) {
	closable := false
	for _, k := range s.sockets {
		if !k.retired && now-k.born > int64(socketLife) {
			s.retire(k)
		}
		closable = closable || k.closable(now)
	}
	if closable && !s.doomed {
		s.doomed = true
		s.epoll.poke()
	}
	for c := range s.conns {
		if c.idle(now) {
			s.hangUp(c)
		}
	}
}

// closeDoomed closes the sockets that nobody needs. The receiver's.
func (s *shard) closeDoomed(now int64) {
	s.doomed = false
	for i := len(s.sockets) - 1; i >= 0; i-- {
		if k := s.sockets[i]; k.closable(now) {
			s.closeSocket(k)
		}
	}
}

// close ends all flights and connections; the receiver closes the sockets.
func (s *shard) close() {
	var o outbox
	s.mu.Lock()
	s.closed = true
	for _, head := range s.wheel.slots {
		for f := head; f != nil; {
			next := f.next
			if f.done != nil {
				s.finishClosed(f, &o)
			}
			s.free(f)
			f = next
		}
	}
	for c := range s.conns {
		s.hangUp(c)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	s.epoll.poke()
	s.mu.Unlock()
	o.flush(s)
}

func (s *shard) finishClosed(f *flight, o *outbox) {
	o.done = append(o.done, completion{f.done, Answer{Err: net.ErrClosed}})
	f.done = nil
	s.leave()
}
