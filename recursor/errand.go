package main

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// An errand is one question on its way outside. When those who were asked are no
// longer believed to answer it is asked at once of those who are: who asked just
// before a swing waits for the swing, and not for the end of a budget.
type errand struct {
	x        *external
	question upstream.Question // without the way's options
	done     func(upstream.Answer)

	// Guarded by errands.
	prev, next *errand
	way        *way            // by which it was last asked
	open       int             // exchanges awaited
	again      int             // how often it was asked anew
	resort     bool            // the last resort was asked, too
	parked     bool            // it failed, and waits for what checks say of those who were asked
	over       bool            // done has been, or is about to be, called
	worst      upstream.Answer // what is answered for want of a better one
}

const (
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
	x.errands.add(e)
	x.send(e, x.set, w)
	if now := x.way.Load(); now != w { // as it changed, this one may not have been listed yet
		x.attend(now)
	}
}

func (x *external) send(e *errand, to *upstream.Set, w *way) {
	question := e.question
	question.Options = append(question.Options, w.options...)
	resolver.Exchange(to, &question, e.answered)
}

// attend looks after the questions in the air when the way has changed: those who
// were asked in vain are replaced, and who waited to know whether they are is told.
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
		x.send(e, x.set, w)
	}
	for _, e := range told {
		e.done(e.worst)
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
	e.open--
	if e.over {
		x.errands.Unlock()
		return
	}
	if !helps(a) {
		if to := e.elsewhere(a, w); to != nil || e.open > 0 {
			e.keep(a)
			x.errands.Unlock()
			if to != nil {
				x.send(e, to, w)
			}
			return
		}
		e.keep(a)
		if w.doubt && !e.parked && !final(a.Err) {
			e.parked = true
			x.errands.Unlock()
			e.wait(w)
			return
		}
		a = e.worst
	}
	x.errands.end(e)
	x.errands.Unlock()
	e.done(a)
}

// elsewhere notes and gives who else is to be asked, now that all who were have
// failed: those who serve by now, or, where nobody is known to be up, who was
// given up; nil for nobody.
func (e *errand) elsewhere(a upstream.Answer, w *way) *upstream.Set {
	switch {
	case e.open > 0, errors.Is(a.Err, upstream.ErrOverload):
	case e.again < mostAgain && w.beyond(e.way):
		e.follow(w)
		return e.x.set
	case !e.resort && w.last:
		e.resort = true
		e.open++
		return e.x.rest
	}
	return nil
}

// keep saves an answer that does not help. Its message is valid for a moment only.
func (e *errand) keep(a upstream.Answer) {
	if a.Err == nil || e.worst.Msg == nil {
		a.Msg = slices.Clone(a.Msg)
		e.worst = a
	}
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
		e.done(e.worst)
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
