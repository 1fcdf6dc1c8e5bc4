package resolver

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/policy"
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

// deliver has a reply be delivered, on a way back of its own.
func deliver(p *post, to *mailbox, back plane.Return, reply []byte) {
	p.deliver(&lateReply{queue: to, batcher: to, to: back}, reply, cache.Hit, time.Millisecond)
}

func TestPost(t *testing.T) {
	var p post
	var a, b mailbox
	reply := []byte("reply")
	deliver(&p, &a, plane.Return{1}, reply)
	p.together(func() {
		for i := range 3 {
			copy(reply, fmt.Sprint("no. ", i))
			deliver(&p, &a, plane.Return{byte(i)}, reply)
		}
		deliver(&p, &b, plane.Return{9}, reply)
		if len(a.together)+len(b.together) > 0 || p.owing() != 4 {
			t.Errorf("%v and %v are gone already, %d owed", a.together, b.together, p.owing())
		}
	})
	if got, want := fmt.Sprint(a.alone, a.together, b.alone, b.together), "[reply] [[no. 0 to 0 no. 1 to 1 no. 2 to 2]] [] [[no. 2 to 9]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p.owing() != 0 || len(p.bags) != 0 {
		t.Errorf("%d owed, %d bags", p.owing(), len(p.bags))
	}
	p.together(func() { // more than a bag holds leave before the end
		for range bagMost + 1 {
			deliver(&p, &b, plane.Return{}, reply)
		}
		if len(b.together) != 2 || len(b.together[1]) != bagMost {
			t.Errorf("%d bags", len(b.together))
		}
	})
	b.closed = true
	p.together(func() { deliver(&p, &b, plane.Return{}, reply) })
	if p.owing() != 0 {
		t.Errorf("%d owed by a queue that is closed", p.owing())
	}
}

// TestWaits counts how long askers waited, as bounds include themselves, and by outcome.
func TestWaits(t *testing.T) {
	var p post
	var box mailbox
	for how, all := range map[cache.State][]time.Duration{
		cache.Hit:     {time.Microsecond, 200 * time.Microsecond, 201 * time.Microsecond, 5 * time.Second},
		cache.Failure: {5*time.Second + 1},
	} {
		for _, waited := range all {
			p.deliver(&lateReply{queue: &box, batcher: &box}, nil, how, waited)
		}
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&p)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "strata_resolver_answer_seconds" {
		t.Fatalf("%v, %v", families, err)
	}
	got := map[string]string{}
	for _, m := range families[0].Metric {
		h := m.GetHistogram()
		text := fmt.Sprintf("%d in %.3f s:", h.GetSampleCount(), h.GetSampleSum())
		for _, b := range h.Bucket {
			if b.GetUpperBound() == 0.0002 || b.GetUpperBound() == 0.0005 || b.GetUpperBound() == 5 {
				text += fmt.Sprintf(" %d", b.GetCumulativeCount())
			}
		}
		got[m.Label[0].GetValue()] = text
	}
	want := map[string]string{"upstream": "4 in 5.000 s: 2 3 4", "stale": "0 in 0.000 s: 0 0 0", "failure": "1 in 5.000 s: 0 0 0"}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if len(p.lates) != 5 || len(p.spare(nil)) != 5 || len(p.lates) != 0 || len(p.spare(nil)) != 1 {
		t.Errorf("%d ways back are kept", len(p.lates))
	}
}

// TestSharesAreGivenBack: what waiting queries have of their clients' limits is free again
// when their replies leave, whether alone or together.
func TestSharesAreGivenBack(t *testing.T) {
	limit, err := policy.NewInFlight(policy.Rate{InFlight: 4})
	if err != nil {
		t.Fatal(err)
	}
	clients := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	var p post
	var box mailbox
	for _, together := range []bool{false, true} {
		var waiting []*lateReply
		for i := range 8 {
			place, ok := limit.Take(clients[i/4])
			if !ok {
				t.Fatalf("together %v: no room for query %d", together, i)
			}
			waiting = append(waiting, &lateReply{queue: &box, batcher: &box, share: share{limit, place}})
		}
		for _, c := range clients {
			if _, ok := limit.Take(c); ok {
				t.Errorf("together %v: room for more", together)
			}
		}
		answer := func() {
			for _, l := range waiting {
				p.deliver(l, nil, cache.Hit, 0)
			}
		}
		if together {
			p.together(answer)
		} else {
			answer()
		}
	}
	for i := range 8 {
		if _, ok := limit.Take(clients[i/4]); !ok {
			t.Errorf("query %d finds no room", i)
		}
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
						deliver(&p, &box, plane.Return{}, []byte{byte('a' + g)})
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
	if n != 4*rounds*each || p.owing() != 0 {
		t.Errorf("%d delivered, %d owed, want %d and none", n, p.owing(), 4*rounds*each)
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
