package resolver

import "time"

// hold begins the wait for upstream of a batch's queries: what they ask leaves
// together, at the batch's end.
func (a *answerer) hold() {
	if a.held {
		return
	}
	a.held, a.began = true, time.Now()
	if a.r.engine != nil {
		a.r.engine.Hold()
	}
}

// release sends what waits.
func (a *answerer) release() {
	if !a.held {
		return
	}
	a.held = false
	if a.r.engine != nil {
		a.r.engine.Release()
	}
}
