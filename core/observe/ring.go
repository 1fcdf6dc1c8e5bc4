package observe

import (
	"encoding/binary"
	"sync/atomic"
)

// A ring takes events from one goroutine to another. What does not fit is dropped
// and counted. Records are in one piece and begin at multiples of 8: four octets
// of length, 0 for "go on at the beginning", then the event.
type ring struct {
	buf  []byte // a power of two of octets
	wake chan<- struct{}

	// The writer's. Positions only grow; where they are in buf is their remainder.
	_       [64]byte
	head    uint64        // behind what is written
	tail    uint64        // what the reader was seen to have read
	shown   atomic.Uint64 // behind what the reader may read
	dropped atomic.Uint64
	_       [64]byte

	read atomic.Uint64 // the reader's: behind what it has read
	_    [64]byte
}

const recordLength = 4

func newRing(size int, wake chan<- struct{}) *ring { return &ring{buf: make([]byte, size), wake: wake} }

// put writes an event, which show lets the reader see.
func (r *ring) put(e *Event) {
	size := e.size()
	n := (recordLength + size + 7) &^ 7
	at := int(r.head & uint64(len(r.buf)-1))
	skip := 0
	if at+n > len(r.buf) {
		skip = len(r.buf) - at
	}
	if !r.room(uint64(n + skip)) {
		r.dropped.Add(1)
		return
	}
	if skip > 0 {
		binary.LittleEndian.PutUint32(r.buf[at:], 0)
		at = 0
	}
	binary.LittleEndian.PutUint32(r.buf[at:], uint32(size))
	e.put(r.buf[at+recordLength : at+recordLength+size])
	r.head += uint64(n + skip)
}

func (r *ring) room(n uint64) bool {
	if r.head+n-r.tail <= uint64(len(r.buf)) {
		return true
	}
	r.tail = r.read.Load()
	return r.head+n-r.tail <= uint64(len(r.buf))
}

// show lets the reader see what was put, and wakes it when a quarter is in use.
func (r *ring) show() {
	if r.shown.Load() == r.head {
		return
	}
	r.shown.Store(r.head)
	quarter := uint64(len(r.buf) / 4)
	if r.head-r.tail < quarter {
		return
	}
	if r.tail = r.read.Load(); r.head-r.tail < quarter {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // it is awake
	}
}

// drain reads what there is now, until see reports false for an event: not what comes
// meanwhile, which may have no end. Events are see's during the call only.
func (r *ring) drain(see func(*Event) bool) bool {
	var e Event
	for at, end := r.read.Load(), r.shown.Load(); at != end; r.read.Store(at) {
		b := r.buf[at&uint64(len(r.buf)-1):]
		size := int(binary.LittleEndian.Uint32(b))
		if size == 0 {
			at += uint64(len(b))
			continue
		}
		e.get(b[recordLength : recordLength+size])
		at += uint64((recordLength + size + 7) &^ 7)
		if !see(&e) {
			r.read.Store(at)
			return false
		}
	}
	return true
}
