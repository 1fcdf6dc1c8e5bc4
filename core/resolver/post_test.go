package resolver

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane"
)

// A mailbox is a queue in memory that notes what is delivered alone and together. It
// is no plane: it has no clients.
type mailbox struct {
	plane.Queue
	mu       sync.Mutex
	alone    []string
	together [][]string
	closed   bool
}

func (m *mailbox) Deliver(_ plane.Return, reply []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alone = append(m.alone, string(reply))
	return nil
}

func (m *mailbox) DeliverAll(replies []plane.Packet) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	var texts []string
	for _, r := range replies {
		texts = append(texts, fmt.Sprintf("%s to %d", r.Data, r.Return[0]))
	}
	m.together = append(m.together, texts)
	return nil
}

func TestPost(t *testing.T) {
	var p post
	var a, b mailbox
	reply := []byte("reply")
	p.deliver(&a, &plane.Return{1}, reply)
	p.together(func() {
		for i := range 3 {
			copy(reply, fmt.Sprint("no. ", i))
			p.deliver(&a, &plane.Return{byte(i)}, reply)
		}
		p.deliver(&b, &plane.Return{9}, reply)
		if len(a.together)+len(b.together) > 0 || p.owed.Load() != 4 {
			t.Errorf("%v and %v are gone already, %d owed", a.together, b.together, p.owed.Load())
		}
	})
	if got, want := fmt.Sprint(a.alone, a.together, b.alone, b.together), "[reply] [[no. 0 to 0 no. 1 to 1 no. 2 to 2]] [] [[no. 2 to 9]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p.owed.Load() != 0 || len(p.bags) != 0 {
		t.Errorf("%d owed, %d bags", p.owed.Load(), len(p.bags))
	}
	p.together(func() { // more than a bag holds leave before the end
		for range bagMost + 1 {
			p.deliver(&b, &plane.Return{}, reply)
		}
		if len(b.together) != 2 || len(b.together[1]) != bagMost {
			t.Errorf("%d bags", len(b.together))
		}
	})
	b.closed = true
	p.together(func() { p.deliver(&b, &plane.Return{}, reply) })
	if p.owed.Load() != 0 {
		t.Errorf("%d owed by a queue that is closed", p.owed.Load())
	}
}

// TestPostUnderLoad has each reply delivered once, whoever holds meanwhile.
func TestPostUnderLoad(t *testing.T) {
	var p post
	var box mailbox
	var running sync.WaitGroup
	const rounds, each = 200, 20
	for g := range 4 {
		running.Go(func() {
			for range rounds {
				deliver := func() {
					for range each {
						p.deliver(&box, &plane.Return{}, []byte{byte('a' + g)})
					}
				}
				if g > 0 {
					p.together(deliver)
				} else {
					deliver()
				}
			}
		})
	}
	running.Wait()
	n := len(box.alone)
	for _, bag := range box.together {
		n += len(bag)
	}
	if n != 4*rounds*each || p.owed.Load() != 0 {
		t.Errorf("%d delivered, %d owed, want %d and none", n, p.owed.Load(), 4*rounds*each)
	}
}

// TestBatchIsReleased has each batch with misses let its questions go at its end.
func TestBatchIsReleased(t *testing.T) {
	s := play(t, plot{rest: serveBy(t, func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeNameError) })})
	batch := make([]plane.Packet, 8)
	for i := range batch {
		batch[i].Data = pack(t, new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.", i), dns.TypeA))
	}
	var box mailbox
	s.handler.Answer(batch, &box)
	if a := s.handler.(*companion); a.held {
		t.Error("still held")
	}
	for deadline := time.Now().Add(10 * time.Second); s.Waiting() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d still wait", s.Waiting())
		}
	}
	n := len(box.alone)
	for _, bag := range box.together {
		n += len(bag)
	}
	if n != len(batch) {
		t.Errorf("%d late replies, want %d", n, len(batch))
	}
}

// TestMissesLeaveBehindHits has a companion keep what a batch asks until its answers are
// sent.
func TestMissesLeaveBehindHits(t *testing.T) {
	s := play(t, plot{rest: serveBy(t, func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeNameError) })})
	c := s.handler.(*companion)
	c.Join()
	defer c.Leave()
	var box mailbox
	for round := range 3 {
		batch := []plane.Packet{{Data: pack(t, new(dns.Msg).SetQuestion(fmt.Sprintf("r%d.example.", round), dns.TypeA))}}
		c.Answer(batch, &box)
		if !c.held {
			t.Error("a question left before the batch was sent")
		}
		c.Sent()
		if c.held {
			t.Error("still held behind the batch")
		}
		for deadline := time.Now().Add(10 * time.Second); s.Waiting() > 0; c.Turn() {
			if time.Now().After(deadline) {
				t.Fatalf("%d still wait", s.Waiting())
			}
		}
	}
	if n := len(box.alone) + len(box.together); n != 3 {
		t.Errorf("%d late replies, want 3", n)
	}
}
