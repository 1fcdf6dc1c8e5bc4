package socket

import "sync/atomic"

// Counts is what one queue has done since it was opened.
type Counts struct {
	Received  uint64 // queries handed to the handler
	Batches   uint64 // batches they came in
	Sent      uint64 // replies that left with their batch
	Late      uint64 // replies delivered later
	Segmented uint64 // of those sent: left as a segment of a larger message
	Unsent    uint64 // replies the kernel would not take, for want of room or of a route
	Oversize  uint64 // datagrams larger than the room, or with no sender: not handed on
	Naps      uint64 // short waits that let a batch fill
}

// Add sums counts, of several queues.
func (c *Counts) Add(other Counts) {
	c.Received += other.Received
	c.Batches += other.Batches
	c.Sent += other.Sent
	c.Late += other.Late
	c.Segmented += other.Segmented
	c.Unsent += other.Unsent
	c.Oversize += other.Oversize
	c.Naps += other.Naps
}

// counters are written once a batch by their queue's owner, and by those who
// deliver late, on cache lines of their own.
type counters struct {
	_                                                     [64]byte
	received, batches, sent, segmented, oversize, naps, _ atomic.Uint64
	_                                                     [64]byte
	late, unsent                                          atomic.Uint64
	_                                                     [64]byte
}

func (c *counters) read() Counts {
	return Counts{
		Received: c.received.Load(), Batches: c.batches.Load(), Sent: c.sent.Load(), Late: c.late.Load(),
		Segmented: c.segmented.Load(), Unsent: c.unsent.Load(), Oversize: c.oversize.Load(), Naps: c.naps.Load(),
	}
}
