package socket

import (
	"net"
	"slices"
	"sync"

	"github.com/strata-dns/strata/core/plane"
)

// outboxes are those of late replies, which come from any goroutine.
var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// DeliverAll implements plane.Batcher.
func (q *udpQueue) DeliverAll(replies []plane.Packet) error {
	if !q.enter() {
		return net.ErrClosed
	}
	defer q.leave()
	o := outboxes.Get().(*outbox)
	defer outboxes.Put(o)
	for part := range slices.Chunk(replies, maxBatch) {
		o.pack(part, q)
		n := q.flush(o, part)
		q.late.Add(n.sent)
		if n.unsent > 0 {
			q.unsent.Add(n.unsent)
		}
	}
	return nil
}
