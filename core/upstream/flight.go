package upstream

import (
	"slices"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// maxAttempts bounds what one question may cost, hedges, retries over TCP and
// probes all counted.
const maxAttempts = 8

// A flight is one question on its way. All of it is under its shard's lock. It
// is over for its asker when done is nil; it then lingers until the queries that
// are still open are answered or the budget is over, so that slow servers are
// measured and dead ones noticed.
type flight struct {
	// The wheel's.
	prev, next *flight
	due        int64
	slot       int32

	strange int32 // mismatches with the right ID
	sent    int8  // attempts used
	open    int8  // attempts that a reply is awaited for
	onTime  int8  // of those sent, not extra ones: what the asker's pauses count
	extra   int8  // which attempt is for our own sake, from 1; 0: none
	retried bool
	lingers bool
	scout   bool // it began while its servers were silent: it is to tell whether they still are

	do, cd, rd bool
	nameLen    uint8
	typ, class uint16
	text       []byte // name and options
	mix        uint64 // of the name's case

	done     func(Answer)
	servers  []*server // the set's, as it was when asked
	asked    marks     // of those
	failed   marks     // of those, need not be asked again
	began    int64
	deadline int64 // when the budget is over
	attempts [maxAttempts]attempt

	last *bad  // the best of the bad replies
	err  error // why the last one that could not be asked could not
}

// A bad reply is handed over for want of a better one.
type bad struct {
	msg []byte
	by  *server
	in  time.Duration
}

func (f *flight) name() []byte    { return f.text[:f.nameLen] }
func (f *flight) options() []byte { return f.text[f.nameLen:] }

// fill copies the question.
func (f *flight) fill(q *Question) {
	f.text = append(append(f.text[:0], q.Name...), q.Options...)
	f.nameLen = uint8(len(q.Name))
	f.typ, f.class, f.do, f.cd, f.rd = q.Type, q.Class, q.DO, q.CD, q.RD
}

// launch sends the first query, and perhaps one for our own sake beside it.
func (s *shard) launch(f *flight, now int64, o *outbox) {
	s.proceed(f, now, false, o)
	if f.done == nil || f.sent == maxAttempts || len(f.servers) == 1 {
		return
	}
	if i := extra(f.servers, f.asked, now); i >= 0 {
		if s.transmit(f, i, route{}, now, o) == nil { // nobody waits for it
			f.extra = f.sent
		}
	}
}

// proceed asks the next server, and sets the time for the one after. late: because
// those asked have not answered yet.
func (s *shard) proceed(f *flight, now int64, late bool, o *outbox) {
	for f.sent < maxAttempts {
		lot := uint32(0)
		if len(f.servers) > 1 {
			lot = s.lots.uint32()
		}
		i := choose(f.servers, f.asked, f.failed|f.onStreams(), lot)
		if i < 0 {
			break
		}
		what := cHedges
		if f.asked.has(i) {
			what = cResends
		}
		if err := s.transmit(f, i, route{guarded: f.strange > 0}, now, o); err != nil {
			s.noAnswer(f, i, err, now, o)
			continue
		}
		if late {
			s.count(f.servers[i], what)
		}
		f.onTime++
		s.wait(f, now+int64(pause(f.servers[i], int(f.onTime), s.fresh(f))))
		return
	}
	if f.open == 0 {
		s.settle(f, now, o)
		return
	}
	s.wait(f, f.deadline)
}

// onStreams is the servers that are asked over a connection, which loses nothing:
// asking again would not help.
func (f *flight) onStreams() (servers marks) {
	for i := range f.attempts[:f.sent] {
		if a := &f.attempts[i]; a.open && a.conn != nil {
			servers.add(int(a.index))
		}
	}
	return servers
}

// wait schedules the next look at a flight, at the latest when its budget is over.
func (s *shard) wait(f *flight, until int64) {
	until = min(until, f.deadline)
	if s.impatient(f) {
		until = min(until, f.patience())
	}
	s.wheel.set(f, until)
	s.wakeBy(until)
}

// fresh reports whether there is a server that was not asked yet.
func (s *shard) fresh(f *flight) bool {
	for i := range f.servers {
		if !(f.asked | f.failed).has(i) {
			return true
		}
	}
	return false
}

// noAnswer notes that a server cannot be reached.
func (s *shard) noAnswer(f *flight, i int, err error, now int64, o *outbox) {
	f.asked.add(i)
	f.failed.add(i)
	f.err = err
	s.count(f.servers[i], cErrors)
	f.servers[i].lastErr.Store(&err)
	o.exchange(f.servers[i], false, 0, err)
}

// elsewhere goes on after a server failed: at once to a server not asked yet;
// otherwise whoever is still open may answer; otherwise it is over.
func (s *shard) elsewhere(f *flight, now int64, o *outbox) {
	switch {
	case f.done == nil:
		if f.open == 0 {
			s.free(f)
		}
	case s.fresh(f) && f.sent < maxAttempts:
		s.proceed(f, now, false, o)
	case f.open == 0:
		s.settle(f, now, o)
	case f.last != nil:
		s.wait(f, f.due) // or less
	}
}

// look is what becomes of a flight whose time has come.
func (s *shard) look(f *flight, now int64, o *outbox) {
	if now >= f.deadline {
		s.expire(f, now, o)
		return
	}
	for i := range f.attempts[:f.sent] {
		if a := &f.attempts[i]; a.open {
			f.to(a).overdue(now)
		}
	}
	if s.impatient(f) && now >= f.patience() {
		s.settle(f, now, o)
		return
	}
	if s.vain(f, now) {
		s.bide(f, now)
		return
	}
	s.proceed(f, now, true, o)
}

// expire ends a flight whose budget is over. Queries that had a fair time count
// against their servers.
func (s *shard) expire(f *flight, now int64, o *outbox) {
	for i := range f.attempts[:f.sent] {
		a := &f.attempts[i]
		fair := min(f.deadline-f.began, int64(max(silentLeast, 2*f.to(a).p95())))
		if !a.open || now-a.sent < fair {
			continue
		}
		s.count(f.to(a), cTimeouts)
		f.to(a).overdue(now)
		o.exchange(f.to(a), false, 0, ErrTimeout)
		if a.conn != nil && a.conn.lastRead < a.sent {
			o.silent = append(o.silent, a.conn)
		}
	}
	for i := range f.attempts[:f.sent] {
		s.drop(f, &f.attempts[i])
	}
	if f.err = ErrTimeout; f.done != nil {
		s.settle(f, now, o)
		return
	}
	s.free(f)
}

// settle ends a flight that nobody is left to answer: with the last bad
// reply, where there was one.
func (s *shard) settle(f *flight, now int64, o *outbox) {
	if f.last != nil {
		s.finish(f, Answer{Msg: f.last.msg, Server: f.last.by.Addr, RTT: f.last.in}, o)
		return
	}
	if f.err == nil {
		f.err = ErrReply
	}
	s.finish(f, Answer{Err: f.err}, o)
}

// finish hands an answer over. The flight lingers where queries are open.
func (s *shard) finish(f *flight, a Answer, o *outbox) {
	o.done = append(o.done, completion{f.done, a})
	f.done = nil
	s.leave()
	if f.open == 0 || s.lingering >= maxLingering {
		s.free(f)
		return
	}
	f.lingers = true
	s.lingering++
	s.wait(f, f.deadline)
}

// replied is what becomes of a message with the ID of an open attempt.
func (s *shard) replied(f *flight, n int, msg []byte, cut bool, now int64, o *outbox) {
	a := &f.attempts[n]
	v := f.judge(a, msg, cut)
	if (v == otherQuestion || v == otherSubnet) && a.stream() { // it is from the server all the same
		s.count(f.to(a), strangeness(v))
		v = garbled
	}
	if !v.believed() {
		s.disbelieve(f, a, v, now, o)
		return
	}
	rtt := time.Duration(now - a.sent)
	s.drop(f, a)
	s.believe(f, a, rtt)
	if f.done == nil || v != truncated && v != noEDNS {
		s.rate(f, f.to(a), v, rtt, now, o)
	}
	switch {
	case f.done == nil:
		if f.open == 0 {
			s.free(f)
		}
	case v <= useful:
		s.learn(f, a, msg, now)
		f.foldQuestion(msg)
		s.finish(f, Answer{Msg: msg, Server: f.to(a).Addr, Addresses: v == addresses, RTT: rtt}, o)
	case v == truncated:
		s.count(f.to(a), cTruncated)
		s.again(f, a, route{stream: true}, now, o)
	case v == noEDNS:
		s.again(f, a, route{stream: a.stream(), plain: true}, now, o)
	case v == garbled && !a.stream() && !s.fresh(f): // it may have been damaged on the way
		s.again(f, a, route{stream: true}, now, o)
	default:
		s.keep(f, a, v, msg, rtt)
		s.elsewhere(f, now, o)
	}
}

// disbelieve is what becomes of a message that is no reply to its attempt's query.
func (s *shard) disbelieve(f *flight, a *attempt, v verdict, now int64, o *outbox) {
	s.count(f.to(a), strangeness(v))
	f.strange++
	if (v == otherCase || v == otherSubnet) && f.strange == 1 && f.done != nil && f.sent < maxAttempts {
		// Somebody guessed all the rest, or the server has ways of its own: over TCP it is told.
		_ = s.transmit(f, int(a.index), route{guarded: true}, now, o)
	}
	s.suspect(a.socket, now, o)
}

// learn remembers in what ways a server may be asked.
func (s *shard) learn(f *flight, a *attempt, msg []byte, now int64) {
	if !a.edns && f.to(a).noEDNS.Load() <= now { // it understood without
		f.to(a).noEDNS.Store(now + int64(plainFor))
	}
	if a.stream() && !f.sameCase(msg, f.mixOf(a)) { // over a stream nobody else could have said so
		f.to(a).noMix.Store(now + int64(plainFor))
	}
}

// believe counts a reply and what it tells of the way to its server.
func (s *shard) believe(f *flight, a *attempt, rtt time.Duration) {
	to := f.to(a)
	s.count(to, cAnswered)
	s.timed(to, rtt)
	to.reply()
	switch {
	case !a.measure:
	case f.extra > 0 && a == &f.attempts[f.extra-1] && rtt < to.smoothed()/2:
		s.measure()
		to.anew(rtt)
	default:
		if to != s.timesOf {
			s.measure()
		}
		s.times, s.timesOf = append(s.times, rtt), to
	}
}

// measure has a server know the times of its replies that came together: its lock is taken
// once for all of them.
func (s *shard) measure() {
	if len(s.times) > 0 {
		s.timesOf.measure(s.times...)
	}
	s.times, s.timesOf = s.times[:0], nil
}

// rate counts what a reply is worth. An authoritative server may well refer to
// others, where a zone is cut: that does not count against it.
func (s *shard) rate(f *flight, to *server, v verdict, rtt time.Duration, now int64, o *outbox) {
	switch {
	case v == failing, v == garbled, v == lame && f.rd:
		s.count(to, cFailed)
		to.bad(now)
	case v == lame:
		s.count(to, cFailed)
	default:
		to.good()
	}
	if v == garbled {
		s.count(to, cGarbled)
	}
	o.exchange(to, v < failing, rtt, nil)
}

// keep saves a bad reply, for want of a better one. What is asked from now on is not
// asked because nobody answers.
func (s *shard) keep(f *flight, a *attempt, v verdict, msg []byte, rtt time.Duration) {
	f.failed.add(int(a.index))
	f.onTime = 0
	if v == garbled || !f.sameQuestion(msg) || wire.Flags(msg)&wire.FlagTC != 0 {
		return
	}
	f.last = &bad{slices.Clone(msg), f.to(a), rtt}
	f.foldQuestion(f.last.msg)
}

// again asks the same server in another way. It lives, so that others are given
// a while before they are asked too.
func (s *shard) again(f *flight, a *attempt, by route, now int64, o *outbox) {
	i := int(a.index)
	if f.sent == maxAttempts {
		s.elsewhere(f, now, o)
		return
	}
	if err := s.transmit(f, i, by, now, o); err != nil {
		s.noAnswer(f, i, err, now, o)
		s.elsewhere(f, now, o)
		return
	}
	s.wait(f, now+int64(max(againPause, 2*f.to(a).hedge())))
}

const (
	againPause   = 200 * time.Millisecond
	plainFor     = 10 * time.Minute // how long a server without EDNS, or that folds names, is remembered
	maxLingering = 16384            // flights of a shard
)

// free gives a flight back.
func (s *shard) free(f *flight) {
	s.wheel.clear(f)
	for i := range f.attempts[:f.sent] {
		s.drop(f, &f.attempts[i])
	}
	if f.lingers {
		s.lingering--
	}
	s.recycle(f)
}
