// Package plane is the contract between what carries packets (kernel sockets,
// DPDK ports, a test's memory) and what answers them. It knows no DNS.
//
// A plane owns one or more queues; each queue is served by one goroutine that
// receives a batch, has it answered in place, and sends it. A reply that is not
// ready when the batch is sent is delivered later, from any goroutine, by the
// return path that was copied out of the packet.
package plane

import "net/netip"

// ReturnSize is the room a plane has to remember how a reply travels back: a
// socket keeps the client's and the local address, a frame plane the Ethernet,
// VLAN, IP and UDP headers (14 + 4 + 40 + 8 octets), a stream a connection's
// index and generation.
const ReturnSize = 80

// Return is a reply's way back: opaque to all but the queue that filled it,
// copyable, and of fixed size, so that a waiting query needs no allocation for it.
type Return [ReturnSize]byte

// A Packet is one query, and the room its reply is written into.
type Packet struct {
	// Data holds the query on receipt. The handler replaces it by the reply,
	// written into the same backing array (its capacity is the room: at least
	// 512 octets for datagrams, 65,535 for streams). Empty after Answer means no
	// reply now: the query is dropped, or its answer is delivered later.
	Data   []byte
	Client netip.AddrPort
	Stream bool // came over TCP or TLS: no size limit but 65,535
	// Late is set by the handler where Data is left empty and a reply is to be
	// delivered later: a stream counts such queries as in flight until then, and
	// forgets those that are dropped.
	Late   bool
	Return Return
}

// A Queue is one receive/transmit pair, owned by one goroutine.
type Queue interface {
	// Receive fills at most len(batch) packets and blocks until there is at
	// least one. Each Data is valid until the next Send. It returns
	// net.ErrClosed after Close, and no other error ends a queue.
	Receive(batch []Packet) (n int, err error)
	// Send replies to each packet of the batch, or drops it where Data is empty.
	// What the network will not take at once is dropped rather than queued.
	Send(batch []Packet) error
	// Deliver sends one late reply, from any goroutine. The reply is copied
	// or sent before Deliver returns.
	Deliver(to Return, reply []byte) error
	// Close ends Receive with net.ErrClosed. It may be called more than once.
	Close() error
}

// A Batcher is a Queue to which several late replies together are cheaper.
type Batcher interface {
	Queue
	// DeliverAll is Deliver for the Data and the Return of each packet; all else of
	// it is left aside.
	DeliverAll(replies []Packet) error
}

// A Handler answers a batch in place. It gets batches, because looking 32 names
// up together hides memory latency. late is where answers go that are not
// ready yet; it stays valid after Answer returns.
type Handler interface {
	Answer(batch []Packet, late Queue)
}

// A Companion is a Handler that takes in late answers itself, between batches, on the
// goroutine that serves its queue: what a query asked for and the reply then change no
// thread. A plane that knows nothing of companions serves them as any Handler.
type Companion interface {
	Handler
	// Join is called before all else, and Leave in the end, by the goroutine that serves.
	Join()
	Leave()
	// Sent is called behind the Send of each batch: what others wait for may be done
	// then, when those who have their answers have them.
	Sent()
	// FD is a descriptor that is readable when Turn has something to do; negative
	// where there is none.
	FD() int
	// Awaits reports whether there may soon be something.
	Awaits() bool
	// Turn takes what there is, about a batch at most, and does not wait.
	Turn()
}
