package resolver

import (
	"time"

	"github.com/strata-dns/strata/core/plane"
)

// hold begins the wait for upstream of a batch's queries: what they ask leaves
// together, at the batch's end, and so do replies that turn out not to be late.
func (a *answerer) hold(late plane.Queue) {
	if a.queue != late {
		a.queue = late
		a.batcher, _ = late.(plane.Batcher)
	}
	if a.held {
		return
	}
	a.held, a.began = true, time.Now()
	a.r.post.hold()
	if a.r.engine != nil {
		a.r.engine.Hold()
	}
}

// release sends what was held.
func (a *answerer) release() {
	if !a.held {
		return
	}
	a.held = false
	if a.r.engine != nil {
		a.r.engine.Release()
	}
	a.r.post.release()
}
