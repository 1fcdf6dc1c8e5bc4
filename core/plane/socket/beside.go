package socket

import "github.com/strata-dns/strata/core/plane"

// A beside is what a queue's goroutine does between batches.
type beside struct {
	plane.Companion      // nil for none
	due             bool // its descriptor was seen to be readable
}

// turn has the companion take what it may have.
func (b *beside) turn() {
	if b.Companion == nil || !b.due && !b.Awaits() {
		return
	}
	b.due = false
	b.Turn()
}

// fd is what to wait for beside the queue's own; negative for nothing, which poll(2)
// passes over.
func (b *beside) fd() int {
	if b.Companion == nil {
		return -1
	}
	return b.FD()
}

// awaited is fd while the companion expects something.
func (b *beside) awaited() int {
	if b.Companion == nil || !b.Awaits() {
		return -1
	}
	return b.FD()
}
