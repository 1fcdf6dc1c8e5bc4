package main

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// An errand is one question on its way outside. When those who were asked are no
// longer believed to answer it is asked at once of those who are: who asked just
// before a swing waits for the swing, and not for the end of a budget.
type errand struct {
	x        *external
	question upstream.Question // without the way's options
	name     [usualName]byte   // the question's: whose it is may be gone when it is asked anew
	done     func(upstream.Answer)

	// Guarded by errands.
	prev, next *errand
	way        *way            // by which it was last asked
	open       int             // exchanges awaited
	again      int             // how often it was asked anew
	parked     bool            // it failed, and waits for what checks say of those who were asked
	over       bool            // done has been, or is about to be, called
	best       upstream.Answer // so far
}

const (
	usualName = 64          // octets of a name in wire form; a longer one has room elsewhere
	mostAgain = 2           // how often one question follows the fleet
	parkMost  = time.Second // checks have mostly been decided by then
)

// errands are those whose answers are awaited.
type errands struct {
	sync.Mutex
	first *errand
}

func (l *errands) add(e *errand) {
	l.Lock()
	defer l.Unlock()
	if e.next = l.first; e.next != nil {
		e.next.prev = e
	}
	l.first = e
}

// end takes an errand out of the locked list.
func (l *errands) end(e *errand) {
	e.over = true
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
}

// ask puts a question to whoever serves now.
func (x *external) ask(question upstream.Question, done func(upstream.Answer)) {
	w := x.now()
	e := &errand{x: x, question: question, done: done, way: w, open: 1}
	e.question.Name = append(e.name[:0], question.Name...)
	x.errands.add(e)
	x.send(e, w)
	if now := x.way.Load(); now != w { // as it changed, this one may not have been listed yet
		x.attend(now)
	}
}

func (x *external) send(e *errand, w *way) {
	question := e.question
	question.Options = append(slices.Clip(question.Options), w.options...)
	x.set.Ask(&question, e.answered)
}

// attend looks after the questions in the air when the way has changed: those
// that were asked in vain are asked anew, those that waited for a verdict get it.
func (x *external) attend(w *way) {
	var again, told []*errand
	var before *way
	var beyond bool
	x.errands.Lock()
	for e := x.errands.first; e != nil; {
		next := e.next
		if e.way != before {
			before, beyond = e.way, w.beyond(e.way)
		}
		switch {
		case beyond && e.again < mostAgain:
			e.follow(w)
			again = append(again, e)
		case e.parked && e.open == 0 && !w.doubt:
			x.errands.end(e)
			told = append(told, e)
		}
		e = next
	}
	x.errands.Unlock()
	for _, e := range again {
		x.send(e, w)
	}
	for _, e := range told {
		e.done(e.best)
	}
}

// follow notes that an errand is asked by another way.
func (e *errand) follow(w *way) {
	e.way = w
	e.again++
	e.open++
	e.x.again.Inc()
}

// answered takes in how one exchange ended.
func (e *errand) answered(a upstream.Answer) {
	x := e.x
	w := x.now()
	x.errands.Lock()
	next := e.judge(a, w)
	x.errands.Unlock()
	switch next {
	case toTell:
		e.done(e.best)
	case toSend:
		x.send(e, w)
	case toWait:
		e.wait(w)
	}
}

// What is to be done next about an errand.
type next int

const (
	nothing next = iota
	toTell
	toSend
	toWait
)

// judge notes an answer in the locked list, and says what is next.
func (e *errand) judge(a upstream.Answer, w *way) next {
	e.open--
	switch {
	case e.over:
		return nothing
	case helps(a):
		e.best = a // told before it becomes invalid
		e.x.errands.end(e)
		return toTell
	}
	if a.Err == nil || e.best.Msg == nil {
		a.Msg = slices.Clone(a.Msg)
		e.best = a
	}
	switch {
	case e.open > 0:
		return nothing
	case e.again < mostAgain && w.beyond(e.way):
		e.follow(w)
		return toSend
	case w.doubt && !e.parked && !final(a.Err):
		e.parked = true
		return toWait
	}
	e.x.errands.end(e)
	return toTell
}

// final tells whether an error leaves no time, or nobody, to wait for.
func final(err error) bool {
	return errors.Is(err, upstream.ErrTimeout) || errors.Is(err, upstream.ErrMute) || errors.Is(err, upstream.ErrOverload) || errors.Is(err, net.ErrClosed)
}

// wait has a question that failed wait for attend: a check is on its way that tells
// whether those who were asked are to blame, or the name. Where it does not tell in
// time, the failure is what there is.
func (e *errand) wait(w *way) {
	time.AfterFunc(parkMost, func() {
		l := &e.x.errands
		l.Lock()
		if e.over || e.open > 0 {
			l.Unlock()
			return
		}
		l.end(e)
		l.Unlock()
		e.done(e.best)
	})
	if now := e.x.way.Load(); now != w { // as it changed, this one may not have been parked yet
		e.x.attend(now)
	}
}

// helps tells whether an answer is one, rather than a failure or none.
func helps(a upstream.Answer) bool {
	if a.Err != nil {
		return false
	}
	rcode := wire.RcodeOf(a.Msg)
	return rcode != wire.RcodeServFail && rcode != wire.RcodeRefused
}
