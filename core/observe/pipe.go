package observe

import (
	"sync"
	"sync/atomic"
)

// A pipe joins the rings of one kind and gives what is in them to its observer.
type pipe struct {
	wake chan struct{} // a ring is a quarter full, or the config has changed
	late lateRing

	mu      sync.Mutex // held to read the rings
	rings   atomic.Pointer[[]*ring]
	written atomic.Uint64 // events that were taken
	failed  atomic.Uint64 // events lost in writing
}

func (p *pipe) init() {
	p.wake = make(chan struct{}, 1)
	p.rings.Store(&[]*ring{})
}

// add has one more ring read.
func (p *pipe) add(r *ring) {
	rings := append([]*ring(nil), *p.rings.Load()...)
	rings = append(rings, r)
	p.rings.Store(&rings)
}

// drain reads all rings, until see reports false for an event.
func (p *pipe) drain(see func(*Event) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range *p.rings.Load() {
		if !r.drain(see) {
			return false
		}
	}
	return true
}

// dropped is how many events found no room.
func (p *pipe) dropped() (n uint64) {
	for _, r := range *p.rings.Load() {
		n += r.dropped.Load()
	}
	return n
}

// rouse has the reader look.
func (p *pipe) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// receiveLate makes the ring for late replies, where there is none yet.
func (p *pipe) receiveLate(size int) {
	p.late.mu.Lock()
	defer p.late.mu.Unlock()
	if p.late.ring == nil {
		p.late.ring = newRing(size, p.wake)
		p.add(p.late.ring)
	}
}
