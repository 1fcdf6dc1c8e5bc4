package resolver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
)

// A post sends late replies. Those that answers bring which came together leave
// together, by queue: none waits longer than for the batch that its answer came in.
type post struct {
	holders atomic.Int32
	moment  atomic.Int64 // when the answers came that are delivered, ns from started; 0: look at the clock

	mu    sync.Mutex
	owed  int    // replies that are kept
	bags  []*bag // one a queue
	free  []*bag
	lates []*lateReply // that were delivered
	waits waits
}

// A bag is late replies of one queue.
type bag struct {
	queue   plane.Batcher
	replies []plane.Packet // as many as ends, or more that were; Data is set when the bag is full: text may move
	ends    []int          // of each in text
	text    []byte
	shares  []shares // of the clients' limits, to be given back
}

const (
	bagMost  = 64 // replies
	bagsKept = 16
)

// together calls deliver, which delivers the replies of a batch.
func (p *post) together(deliver func()) {
	p.hold()
	p.moment.Store(int64(time.Since(started)))
	deliver()
	p.moment.Store(0)
	p.release()
}

// started is what moments count from.
var started = time.Now()

// since is how long ago something was for the answers that are being delivered: those
// that came together look at the clock once.
func (p *post) since(began time.Time) time.Duration {
	if m := p.moment.Load(); m != 0 {
		return max(0, time.Duration(m)-began.Sub(started))
	}
	return time.Since(began)
}

// hold keeps replies until the release that belongs to it. Nobody may wait in between.
func (p *post) hold() { p.holders.Add(1) }

func (p *post) release() {
	p.holders.Add(-1)
	for b := p.take(); b != nil; b = p.take() {
		p.send(b)
	}
}

// deliver sends a reply, at once or with the batch, and keeps its way back for reuse. A
// client that is gone is not an error.
func (p *post) deliver(l *lateReply, reply []byte, how cache.State, waited time.Duration) {
	if l.batcher == nil || p.holders.Load() == 0 {
		l.share.giveBack(1)
		_ = l.queue.Deliver(l.to, reply)
		p.mu.Lock()
		p.end(l, how, waited)
		p.mu.Unlock()
		return
	}
	p.mu.Lock()
	full := p.keep(l, reply)
	p.end(l, how, waited)
	p.mu.Unlock()
	if full != nil {
		p.send(full)
	}
}

// end counts a reply, whose way back is used no more.
func (p *post) end(l *lateReply, how cache.State, waited time.Duration) {
	p.waits.add(how, waited)
	l.queue, l.batcher, l.seen = nil, nil, nil
	if len(p.lates) < latesKept {
		p.lates = append(p.lates, l)
	}
}

// spare adds ways back that nobody uses, one at least.
func (p *post) spare(to []*lateReply) []*lateReply {
	p.mu.Lock()
	from := max(0, len(p.lates)-latesTaken)
	to = append(to, p.lates[from:]...)
	clear(p.lates[from:])
	p.lates = p.lates[:from]
	p.mu.Unlock()
	if len(to) == 0 {
		to = append(to, new(lateReply))
	}
	return to
}

// owing is how many replies are kept.
func (p *post) owing() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.owed)
}

// keep puts a reply into its queue's bag, and gives that when it is full. Who holds
// looks for bags behind everybody who found him holding, but for those who are in
// this very function: hence the second look.
func (p *post) keep(l *lateReply, reply []byte) *bag {
	b, at := p.bag(l.batcher)
	n := len(b.ends)
	if n == len(b.replies) {
		b.replies = append(b.replies, plane.Packet{})
	}
	b.replies[n].Return = l.to
	b.text = append(b.text, reply...)
	b.ends = append(b.ends, len(b.text))
	if last := len(b.shares) - 1; last >= 0 && b.shares[last].share == l.share {
		b.shares[last].n++
	} else {
		b.shares = append(b.shares, shares{l.share, 1})
	}
	p.owed++
	if len(b.ends) < bagMost && p.holders.Load() > 0 {
		return nil
	}
	p.bags = append(p.bags[:at], p.bags[at+1:]...)
	return b
}

// bag is the one of a queue, and where it is.
func (p *post) bag(queue plane.Batcher) (*bag, int) {
	for i, b := range p.bags {
		if b.queue == queue {
			return b, i
		}
	}
	b := new(bag)
	if n := len(p.free); n > 0 {
		b, p.free = p.free[n-1], p.free[:n-1]
	}
	b.queue = queue
	p.bags = append(p.bags, b)
	return b, len(p.bags) - 1
}

func (p *post) take() *bag {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.bags)
	if n == 0 {
		return nil
	}
	b := p.bags[n-1]
	p.bags = p.bags[:n-1]
	return b
}

// send delivers what is in a bag, which nobody else has.
func (p *post) send(b *bag) {
	from := 0
	for i, end := range b.ends {
		b.replies[i].Data = b.text[from:end]
		from = end
	}
	for _, s := range b.shares { // before their clients ask again
		s.giveBack(s.n)
	}
	clear(b.shares)
	_ = b.queue.DeliverAll(b.replies[:len(b.ends)])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed -= len(b.ends)
	b.queue, b.ends, b.text, b.shares = nil, b.ends[:0], b.text[:0], b.shares[:0]
	if len(p.free) < bagsKept {
		p.free = append(p.free, b)
	}
}
