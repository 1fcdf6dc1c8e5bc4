package planetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/plane"
)

func echo(t *testing.T, s Subject) {
	c := s.dial(t)
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		if p.Client != c.Address() {
			t.Errorf("packet from %v, want %v", p.Client, c.Address())
		}
		if p.Stream != s.Stream {
			t.Errorf("packet by stream: %v, want %v", p.Stream, s.Stream)
		}
		flip(p.Data)
	}))
	for i := range uint32(10) {
		ask(t, c, query(i, 40))
		want(t, c, flip(query(i, 40)))
	}
}

// sizes goes from the smallest message to the largest, and lets replies grow and
// shrink within their room.
func sizes(t *testing.T, s Subject) {
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		if cap(p.Data) < s.Room {
			t.Errorf("room of %d octets, want %d", cap(p.Data), s.Room)
		}
		if len(p.Data) == 20 {
			p.Data = p.Data[:s.Room]
			copy(p.Data, query(99, s.Room))
		}
		flip(p.Data)
	}))
	c := s.dial(t)
	for _, size := range []int{max(s.Smallest, 1), max(s.Smallest, 2), 12, 13, 511, 512, s.Room - 1, s.Room} {
		ask(t, c, query(7, size))
		want(t, c, flip(query(7, size)))
	}
	ask(t, c, query(7, 20))
	want(t, c, flip(query(99, s.Room)))
}

// batches puts more in than a batch holds. Order is not promised.
func batches(t *testing.T, s Subject) {
	const count = 200
	c := s.dial(t)
	for i := range uint32(count) {
		ask(t, c, query(i, 30+int(i%5)))
	}
	serve(t, s.Queue, handle(invert))
	wantAll(t, c, count)
}

func wantAll(t *testing.T, c Asker, count int) {
	t.Helper()
	seen := make(map[uint32]bool)
	for len(seen) < count {
		reply, err := c.Reply(patience)
		if err != nil {
			t.Fatalf("%d of %d replies, then: %v", len(seen), count, err)
		}
		number := binary.BigEndian.Uint32(flip(reply))
		if seen[number] || int(number) >= count {
			t.Fatalf("reply %d twice, or to what was not asked", number)
		}
		seen[number] = true
		if !bytes.Equal(reply, query(number, len(reply))) {
			t.Fatalf("reply %d is damaged", number)
		}
	}
}

// clients has several ask at once: each gets its own replies.
func clients(t *testing.T, s Subject) {
	const askers, each = 8, 25
	all := make([]Asker, askers)
	for i := range all {
		all[i] = s.dial(t)
	}
	serve(t, s.Queue, handle(invert))
	for n := range uint32(each) {
		for i, c := range all {
			ask(t, c, query(uint32(i)<<16|n, 40))
		}
	}
	for i, c := range all {
		for range each {
			reply, err := c.Reply(patience)
			if err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			if from := binary.BigEndian.Uint32(flip(reply)) >> 16; from != uint32(i) {
				t.Fatalf("client %d got a reply for client %d", i, from)
			}
		}
	}
}

// drop leaves packets without a reply where Data is empty: nil, or cut to zero.
func drop(t *testing.T, s Subject) {
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		switch binary.BigEndian.Uint32(p.Data) {
		case 1:
			p.Data = nil
		case 2:
			p.Data = p.Data[:0]
		default:
			flip(p.Data)
		}
	}))
	c := s.dial(t)
	for number := range uint32(4) {
		ask(t, c, query(number, 40))
	}
	got := map[uint32]bool{}
	for range 2 {
		reply, err := c.Reply(patience)
		if err != nil {
			t.Fatal(err)
		}
		got[binary.BigEndian.Uint32(flip(reply))] = true
	}
	if !got[0] || !got[3] {
		t.Fatalf("replies to %v, want to 0 and 3", got)
	}
	wantNothing(t, c)
}

// late keeps the ways back and delivers after other batches have passed, the
// last first.
func late(t *testing.T, s Subject) {
	const count = 10
	kept := make(chan plane.Return, count)
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		if binary.BigEndian.Uint32(p.Data) >= count {
			flip(p.Data)
			return
		}
		kept <- p.Return
		p.Data, p.Late = nil, true
	}))
	c := s.dial(t)
	ways := make([]plane.Return, count)
	for i := range ways {
		ask(t, c, query(uint32(i), 40))
		ways[i] = <-kept
	}
	ask(t, c, query(1000, 40))
	want(t, c, flip(query(1000, 40)))
	for i := count - 1; i >= 0; i-- {
		reply := flip(query(uint32(i), 50+i))
		if err := s.Queue.Deliver(ways[i], reply); err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		clear(reply) // it is ours again
		want(t, c, flip(query(uint32(i), 50+i)))
	}
}

// lateFromMany delivers each reply from a goroutine of its own, while others are
// answered at once.
func lateFromMany(t *testing.T, s Subject) {
	const count = 100
	var deliveries sync.WaitGroup
	t.Cleanup(deliveries.Wait) // after serving has ended
	serve(t, s.Queue, handle(func(p *plane.Packet, late plane.Queue) {
		if binary.BigEndian.Uint32(p.Data)%2 == 0 {
			flip(p.Data)
			return
		}
		to, reply := p.Return, flip(bytes.Clone(p.Data))
		p.Data, p.Late = nil, true
		deliveries.Go(func() {
			if err := late.Deliver(to, reply); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("Deliver: %v", err)
			}
		})
	}))
	c := s.dial(t)
	for i := range uint32(count) {
		ask(t, c, query(i, 60))
	}
	wantAll(t, c, count)
}

// lateTogether delivers replies of several clients in one call, where the queue takes
// that, some of them of the same size.
func lateTogether(t *testing.T, s Subject) {
	batcher, ok := s.Queue.(plane.Batcher)
	if !ok {
		t.Skip("no plane.Batcher")
	}
	const clients, each = 3, 70
	ways := make(chan plane.Packet, clients*each)
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		ways <- plane.Packet{Data: flip(bytes.Clone(p.Data)), Return: p.Return}
		p.Data, p.Late = nil, true
	}))
	var askers []Asker
	for range clients {
		c := s.dial(t)
		askers = append(askers, c)
		for i := range uint32(each) {
			ask(t, c, query(i, 40+int(i%7)))
		}
	}
	var replies []plane.Packet
	for len(replies) < clients*each {
		select {
		case r := <-ways:
			replies = append(replies, r)
		case <-time.After(patience):
			t.Fatalf("%d queries, want %d", len(replies), clients*each)
		}
	}
	if err := batcher.DeliverAll(replies); err != nil {
		t.Fatalf("DeliverAll: %v", err)
	}
	for i := range replies {
		clear(replies[i].Data) // they are ours again
	}
	for _, c := range askers {
		wantAll(t, c, each)
	}
}

// roomOfItsOwn has each packet of a batch fill its whole room before any is
// looked at again: they must not overlap, and stay as they are until Send.
func roomOfItsOwn(t *testing.T, s Subject) {
	count := 32
	if s.Stream {
		count = 3 // as much as is kept for a client that does not read yet
	}
	c := s.dial(t)
	for i := range uint32(count) {
		ask(t, c, query(i, 40))
	}
	numbers := make([]uint32, count)
	batch := make([]plane.Packet, count)
	for seen := 0; seen < count; {
		n, err := s.Queue.Receive(batch)
		if err != nil {
			t.Fatalf("Receive: %v", err)
		}
		for i := range batch[:n] {
			p := &batch[i]
			numbers[i] = binary.BigEndian.Uint32(p.Data)
			p.Data = p.Data[:s.Room]
			copy(p.Data, flip(query(numbers[i], s.Room)))
		}
		for i := range batch[:n] {
			if !bytes.Equal(batch[i].Data, flip(query(numbers[i], s.Room))) {
				t.Fatalf("packet %d of a batch of %d was written over", i, n)
			}
		}
		if err := s.Queue.Send(batch[:n]); err != nil {
			t.Fatalf("Send: %v", err)
		}
		seen += n
	}
	wantAll(t, c, count)
}

func closeEndsReceive(t *testing.T, s Subject) {
	ended := make(chan error)
	for range 3 { // it stays so
		go func() {
			_, err := s.Queue.Receive(make([]plane.Packet, 4))
			ended <- err
		}()
		if err := s.Queue.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, net.ErrClosed) {
				t.Fatalf("Receive: %v, want net.ErrClosed", err)
			}
		case <-time.After(patience):
			t.Fatal("Receive goes on after Close")
		}
	}
}

// afterClose has late replies come when nobody is there: no harm, and an error
// that says so.
func afterClose(t *testing.T, s Subject) {
	kept := make(chan plane.Return, 1)
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		kept <- p.Return
		p.Data, p.Late = nil, true
	}))
	c := s.dial(t)
	ask(t, c, query(1, 40))
	to := <-kept
	for range 2 {
		if err := s.Queue.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if err := s.Queue.Deliver(to, query(1, 40)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Deliver after Close: %v, want net.ErrClosed", err)
	}
	if b, ok := s.Queue.(plane.Batcher); ok {
		if err := b.DeliverAll([]plane.Packet{{Data: query(1, 40), Return: to}}); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("DeliverAll after Close: %v, want net.ErrClosed", err)
		}
	}
	if got, err := c.Reply(quiet); err == nil {
		t.Fatalf("a reply of %d octets after Close", len(got))
	}
}

// closeUnderLoad closes while everything is in use; the race detector looks on.
func closeUnderLoad(t *testing.T, s Subject) {
	var answered atomic.Int64
	var users sync.WaitGroup
	t.Cleanup(users.Wait) // after serving has ended
	serve(t, s.Queue, handle(func(p *plane.Packet, late plane.Queue) {
		to, reply := p.Return, bytes.Clone(p.Data)
		users.Go(func() { late.Deliver(to, reply) })
		answered.Add(1)
	}))
	c := s.dial(t)
	for deadline := time.Now().Add(patience); answered.Load() < 100; {
		if err := c.Ask(query(1, 40)); err != nil && !errors.Is(err, ErrFull) {
			t.Fatalf("ask: %v", err)
		}
		c.Reply(time.Millisecond)
		if time.Now().After(deadline) {
			t.Fatalf("%d answered", answered.Load())
		}
	}
	var closers sync.WaitGroup
	for range 4 {
		closers.Go(func() { s.Queue.Close() })
	}
	closers.Wait()
}

// clientGone answers somebody who has left, at once and late, and then others.
func clientGone(t *testing.T, s Subject) {
	kept := make(chan plane.Return, 8)
	serve(t, s.Queue, handle(func(p *plane.Packet, _ plane.Queue) {
		if binary.BigEndian.Uint32(p.Data) == 0 {
			flip(p.Data)
			return
		}
		kept <- p.Return
		flip(p.Data)
	}))
	gone := s.dial(t)
	ask(t, gone, query(1, 40))
	to := <-kept
	gone.Close()
	for range 5 {
		if err := s.Queue.Deliver(to, query(1, 40)); err != nil {
			t.Fatalf("Deliver to a client that has gone: %v", err)
		}
	}
	c := s.dial(t)
	for range 5 {
		ask(t, c, query(0, 40))
		want(t, c, flip(query(0, 40)))
	}
}
