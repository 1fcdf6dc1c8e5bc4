package socket

import (
	"encoding/binary"
	"net"
	"sync"

	"github.com/strata-dns/strata/core/plane"
)

// A tcpQueue gathers the queries of many connections into batches.
type tcpQueue struct {
	tcp      *TCP
	arrivals chan arrival // closed when nobody reads any more
	held     [maxBatch]*message
	holding  int
	touched  [maxBatch]*conn
}

// An arrival is one query on its way from a connection to the queue.
type arrival struct {
	from *conn
	*message
	size int
}

// A message is room for the largest, after its length.
type message [2 + maxMessageTCP]byte

// messages are shared by all listeners. An unused one costs only the pages that
// were once written.
var messages = sync.Pool{New: func() any { return new(message) }}

func newTCPQueue(t *TCP) *tcpQueue {
	return &tcpQueue{tcp: t, arrivals: make(chan arrival, 2*maxBatch)}
}

// Receive implements plane.Queue.
func (q *tcpQueue) Receive(batch []plane.Packet) (int, error) {
	for _, m := range q.held[:q.holding] {
		messages.Put(m)
	}
	q.holding = 0
	select {
	case <-q.tcp.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case a, ok := <-q.arrivals:
		if !ok {
			return 0, net.ErrClosed
		}
		q.unpack(a, &batch[0])
	case <-q.tcp.closed:
		return 0, net.ErrClosed
	}
	n := 1
	for ; n < min(len(batch), maxBatch); n++ {
		select {
		case a, ok := <-q.arrivals:
			if ok {
				q.unpack(a, &batch[n])
				continue
			}
		default:
		}
		break
	}
	q.tcp.counters.received.Add(uint64(n))
	return n, nil
}

// unpack makes a packet of an arrival. Its way back is the connection's number,
// which means no other connection ever.
func (q *tcpQueue) unpack(a arrival, p *plane.Packet) {
	q.held[q.holding] = a.message
	q.holding++
	p.Data = a.message[2 : 2+a.size]
	p.Client = a.from.client
	p.Stream, p.Late = true, false
	binary.NativeEndian.PutUint64(p.Return[:], a.from.id)
}

// Send implements plane.Queue. Replies to one connection leave in one write.
func (q *tcpQueue) Send(batch []plane.Packet) error {
	select {
	case <-q.tcp.closed:
		return net.ErrClosed
	default:
	}
	for len(batch) > 0 {
		part := batch[:min(len(batch), maxBatch)]
		q.send(part)
		batch = batch[len(part):]
	}
	return nil
}

func (q *tcpQueue) send(batch []plane.Packet) {
	touched, sent := 0, 0
	for i := range batch {
		p := &batch[i]
		if len(p.Data) == 0 && p.Late {
			continue
		}
		c := q.tcp.connection(binary.NativeEndian.Uint64(p.Return[:]))
		if len(p.Data) == 0 {
			if c != nil {
				c.drop()
			}
			continue
		}
		if c == nil || !c.put(p.Data) {
			q.tcp.counters.gone.Add(1)
			continue
		}
		sent++
		if touched == 0 || q.touched[touched-1] != c {
			q.touched[touched] = c
			touched++
		}
	}
	for i, c := range q.touched[:touched] {
		c.flush()
		q.touched[i] = nil
	}
	q.tcp.counters.sent.Add(uint64(sent))
}

// Deliver implements plane.Queue. A reply whose connection has gone is dropped.
func (q *tcpQueue) Deliver(to plane.Return, reply []byte) error {
	if len(reply) == 0 {
		return nil
	}
	select {
	case <-q.tcp.closed:
		return net.ErrClosed
	default:
	}
	c := q.tcp.connection(binary.NativeEndian.Uint64(to[:]))
	if c == nil || !c.put(reply) {
		q.tcp.counters.gone.Add(1)
		return nil
	}
	c.flush()
	q.tcp.counters.late.Add(1)
	return nil
}

// Close implements plane.Queue. A listener's queues end together.
func (q *tcpQueue) Close() error { return q.tcp.Close() }
