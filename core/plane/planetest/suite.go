package planetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/plane"
)

// errNoReply is what a client says when nothing came.
var errNoReply = os.ErrDeadlineExceeded

// An Asker is the far end of a plane: a client of the queue under test.
type Asker interface {
	Ask(query []byte) error
	// Reply returns the next reply, or an error that is os.ErrDeadlineExceeded.
	// It checks that the reply came from the address that was asked.
	Reply(within time.Duration) ([]byte, error)
	Address() netip.AddrPort
	Close() error
}

// A Subject is a plane under test.
type Subject struct {
	Queue  plane.Queue
	Stream bool
	Room   int // octets of the largest query and reply
	// Smallest is the shortest message that can be carried; 0: one octet.
	Smallest int
	// Dial makes a new client, closed by the suite.
	Dial func(t *testing.T) Asker
	// Allocates excuses a plane that is for tests from the check of allocations.
	Allocates bool
}

// patience is how long anything may take that must happen; quiet how long
// nothing must.
const (
	patience = 10 * time.Second
	quiet    = 50 * time.Millisecond
)

// Run holds a plane against the contract of plane.Queue. open makes a new one for
// each part.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, part := range []struct {
		name string
		test func(*testing.T, Subject)
	}{
		{"echo", echo},
		{"sizes", sizes},
		{"batches", batches},
		{"clients", clients},
		{"drop", drop},
		{"late", late},
		{"late from many", lateFromMany},
		{"late together", lateTogether},
		{"room of its own", roomOfItsOwn},
		{"close ends receive", closeEndsReceive},
		{"after close", afterClose},
		{"close under load", closeUnderLoad},
		{"client gone", clientGone},
		{"no allocations", noAllocations},
	} {
		t.Run(part.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { s.Queue.Close() })
			part.test(t, s)
		})
	}
}

// query is a message of the given size that carries a number.
func query(number uint32, size int) []byte {
	q := make([]byte, size)
	for i := range q {
		q[i] = byte(i) ^ byte(number)
	}
	if size >= 4 {
		binary.BigEndian.PutUint32(q, number)
	}
	return q
}

// handle is a handler made of a function for each packet.
type handle func(p *plane.Packet, late plane.Queue)

func (h handle) Answer(batch []plane.Packet, late plane.Queue) {
	for i := range batch {
		h(&batch[i], late)
	}
}

// invert answers each packet with its octets inverted.
func invert(p *plane.Packet, _ plane.Queue) { flip(p.Data) }

func flip(b []byte) []byte {
	for i := range b {
		b[i] ^= 0xff
	}
	return b
}

// serve answers until the queue is closed, which the test waits for at its end.
func serve(t *testing.T, q plane.Queue, h plane.Handler) {
	var done sync.WaitGroup
	done.Go(func() {
		batch := make([]plane.Packet, 32)
		for {
			n, err := q.Receive(batch)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Receive: %v, want net.ErrClosed at the end", err)
				}
				return
			}
			if n < 1 || n > len(batch) {
				t.Errorf("Receive gave %d packets of %d", n, len(batch))
				return
			}
			h.Answer(batch[:n], q)
			if err := q.Send(batch[:n]); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("Send: %v", err)
			}
		}
	})
	t.Cleanup(func() { q.Close(); done.Wait() })
}

func (s Subject) dial(t *testing.T) Asker {
	t.Helper()
	c := s.Dial(t)
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(t *testing.T, c Asker, q []byte) {
	t.Helper()
	if err := c.Ask(q); err != nil {
		t.Fatalf("ask: %v", err)
	}
}

func want(t *testing.T, c Asker, reply []byte) {
	t.Helper()
	got, err := c.Reply(patience)
	if err != nil {
		t.Fatalf("no reply: %v", err)
	}
	if !bytes.Equal(got, reply) {
		t.Fatalf("reply of %d octets %.16x…, want %d octets %.16x…", len(got), got, len(reply), reply)
	}
}

// wantNothing wants silence, for as long as a reply on this host could take.
func wantNothing(t *testing.T, c Asker) {
	t.Helper()
	if got, err := c.Reply(quiet); err == nil {
		t.Fatalf("a reply of %d octets, want none", len(got))
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("no reply, as it should be, but: %v", err)
	}
}
