// Package planetest has what is needed to test against planes: a plane in
// memory, for those who answer packets, and the suite every plane must pass, for
// those who carry them.
package planetest

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/plane"
)

// Room is the octets a datagram of the in-memory plane has room for.
const Room = 1232

// A Queue is a plane.Queue in memory. Its clients put queries in with Client.Ask;
// what is not asked for at once by Receive waits, up to depth, beyond which it is
// dropped as a socket would.
type Queue struct {
	queries chan message
	buffers [][]byte
	stream  bool

	mu      sync.Mutex
	clients map[uint64]*Client
	last    uint64
	closed  chan struct{}
	once    sync.Once
}

// A message is a query on its way from a client.
type message struct {
	from *Client
	data []byte
}

const depth = 1024

// NewQueue makes a queue of datagrams.
func NewQueue() *Queue { return newQueue(false) }

// NewStreamQueue makes a queue whose packets come by stream: with room for 65,535
// octets.
func NewStreamQueue() *Queue { return newQueue(true) }

func newQueue(stream bool) *Queue {
	return &Queue{
		queries: make(chan message, depth), stream: stream,
		clients: make(map[uint64]*Client), closed: make(chan struct{}),
	}
}

// Pair is a queue of datagrams and a client of it.
func Pair() (*Queue, *Client) {
	q := NewQueue()
	return q, q.Client(netip.MustParseAddrPort("192.0.2.1:5353"))
}

// Client makes a client of the queue, which sees it at the given address.
func (q *Queue) Client(address netip.AddrPort) *Client {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last++
	c := &Client{queue: q, number: q.last, address: address, replies: make(chan []byte, depth)}
	q.clients[c.number] = c
	return c
}

func (q *Queue) room() int {
	if q.stream {
		return 65535
	}
	return Room
}

// Receive implements plane.Queue.
func (q *Queue) Receive(batch []plane.Packet) (int, error) {
	for len(q.buffers) < len(batch) {
		q.buffers = append(q.buffers, make([]byte, q.room()))
	}
	if q.isClosed() {
		return 0, net.ErrClosed
	}
	select {
	case first := <-q.queries:
		q.unpack(first, &batch[0], q.buffers[0])
	case <-q.closed:
		return 0, net.ErrClosed
	}
	n := 1
	for n < len(batch) && len(q.queries) > 0 {
		q.unpack(<-q.queries, &batch[n], q.buffers[n])
		n++
	}
	return n, nil
}

func (q *Queue) unpack(from message, p *plane.Packet, buffer []byte) {
	p.Data = append(buffer[:0], from.data...)
	p.Client = from.from.address
	p.Stream, p.Late = q.stream, false
	binary.NativeEndian.PutUint64(p.Return[:], from.from.number)
}

// Send implements plane.Queue.
func (q *Queue) Send(batch []plane.Packet) error {
	if q.isClosed() {
		return net.ErrClosed
	}
	for i := range batch {
		if len(batch[i].Data) > 0 {
			q.reply(&batch[i].Return, batch[i].Data)
		}
	}
	return nil
}

// Deliver implements plane.Queue.
func (q *Queue) Deliver(to plane.Return, reply []byte) error {
	if q.isClosed() {
		return net.ErrClosed
	}
	if len(reply) > 0 {
		q.reply(&to, reply)
	}
	return nil
}

// reply hands a copy to the client, if there is one and it has room.
func (q *Queue) reply(to *plane.Return, data []byte) {
	q.mu.Lock()
	c := q.clients[binary.NativeEndian.Uint64(to[:])]
	q.mu.Unlock()
	if c == nil {
		return
	}
	select {
	case c.replies <- append([]byte(nil), data...):
	default:
	}
}

// Close implements plane.Queue.
func (q *Queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *Queue) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

// A Client asks a Queue. Its methods may be called from any goroutine.
type Client struct {
	queue   *Queue
	number  uint64
	address netip.AddrPort
	replies chan []byte
}

// ErrFull is returned when a query found no room, as a socket would have dropped
// it.
var ErrFull = errors.New("queue is full")

// Ask sends a query. It is copied.
func (c *Client) Ask(data []byte) error {
	if len(data) > c.queue.room() {
		return nil // dropped, as by any plane
	}
	if c.queue.isClosed() {
		return net.ErrClosed
	}
	select {
	case c.queue.queries <- message{c, append([]byte(nil), data...)}:
		return nil
	default:
		return ErrFull
	}
}

// Reply waits for the next reply, up to the given time; os.ErrDeadlineExceeded's
// kind tells that there was none.
func (c *Client) Reply(within time.Duration) ([]byte, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case data := <-c.replies:
		return data, nil
	case <-timer.C:
		return nil, errNoReply
	}
}

// Address is the client's, as packets show it.
func (c *Client) Address() netip.AddrPort { return c.address }

// Close makes the client unreachable: replies to it are dropped.
func (c *Client) Close() error {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	delete(c.queue.clients, c.number)
	return nil
}
