package observe

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Source is where answers come from: "hit", "junk".
type Source struct {
	Name  string
	Rules bool // a rule of ours made the answer
	Junk  bool // … as the name is junk that search lists make
}

// Options of an observer.
type Options struct {
	Version string       // that dnstap tells where the config names none
	Sources []Source     // what Event.Source means
	Log     *slog.Logger // nil: nowhere
	JSON    bool         // lines of the query log's own file are JSON
}

// An Observer reads what taps see. The zero config is everything off.
type Observer struct {
	o      Options
	pipes  [kinds]pipe
	top    tables
	log    queryLog
	dnstap tapWriter

	mu     sync.Mutex // of Set and Tap
	config Config
	taps   []*Tap
}

// Octets of one ring, and of that for late replies. A reply over TCP may take
// 64 KiB.
var ringSizes = [kinds]int{topKind: 64 << 10, logKind: 256 << 10, dnstapKind: 512 << 10}

// New makes an observer and takes up a config, as Set does.
func New(o Options, c Config) (*Observer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Observer{o: o}
	for k := range b.pipes {
		b.pipes[k].init()
	}
	b.log.o = &b.o
	b.dnstap.init(&b.o)
	return b, b.Set(c)
}

// Set takes up a config, and opens the query log's file anew. With an error all
// stays as it was.
func (b *Observer) Set(c Config) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.log.open(c.QueryLog); err != nil {
		return err
	}
	if c.Top != b.config.Top {
		b.top.reset(c.Top)
	}
	b.dnstap.set(c.Dnstap)
	b.config = c
	for _, t := range b.taps {
		b.connect(t)
	}
	for k := range b.pipes {
		b.pipes[k].rouse()
	}
	return nil
}

// Tap makes the side of one worker, whose queries come in at local.
func (b *Observer) Tap(local netip.AddrPort) *Tap {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &Tap{o: b, index: uint16(len(b.taps)), local: local, seed: uint32(time.Now().UnixNano()) | 1, query: make([]byte, 0, 512)}
	b.taps = append(b.taps, t)
	b.connect(t)
	return t
}

// connect gives a tap what the config asks for. Rings are kept when they are
// turned off: what is in them is still read.
func (b *Observer) connect(t *Tap) {
	l := &line{every: b.config.every()}
	if l.every == [kinds]uint32{} {
		t.line.Store(nil)
		return
	}
	for k, n := range l.every {
		if n == 0 {
			continue
		}
		if t.rings[k] == nil {
			t.rings[k] = newRing(ringSizes[k], b.pipes[k].wake)
			b.pipes[k].add(t.rings[k])
		}
		b.pipes[k].receiveLate(ringSizes[k])
		l.rings[k] = t.rings[k]
	}
	t.line.Store(l)
}

// every is one in how many queries each kind looks at.
func (c *Config) every() (n [kinds]uint32) {
	n[topKind], n[logKind] = uint32(c.Top.Sample), uint32(c.QueryLog.Sample)
	if c.Dnstap.Socket != "" {
		n[dnstapKind] = uint32(c.Dnstap.Sample)
	}
	return n
}

// local is where a tap's queries come in.
func (b *Observer) local(tap uint16) netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taps[tap].local
}

func (b *Observer) source(i uint16) Source {
	if int(i) < len(b.o.Sources) {
		return b.o.Sources[i]
	}
	return Source{Name: "other"}
}

// Run reads until ctx is done, and then what is left.
func (b *Observer) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { b.runTop(ctx) })
	all.Go(func() { b.runLog(ctx) })
	all.Go(func() { b.runDnstap(ctx) })
	all.Wait()
	return nil
}

// wait waits for a ring to fill, at most for a time if that is not 0. It reports
// false when ctx is done.
func (p *pipe) wait(ctx context.Context, most time.Duration) bool {
	var timer <-chan time.Time
	if most > 0 {
		timer = time.After(most)
	}
	select {
	case <-ctx.Done():
		return false
	case <-p.wake:
	case <-timer:
	}
	return true
}

// wants reports whether a kind is turned on.
func (b *Observer) wants(k kind) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	every := b.config.every()
	return every[k] > 0
}

func sameMessages(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
