package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// A Prober probes its share of the addresses, and says in etcd what it finds. It is
// a daemon.Task.
type Prober struct {
	opts    Options
	targets *Targets
	watcher *store.Watcher
	scanner *Scanner
	rounds  *rounds // Run's goroutine only

	mu       sync.Mutex // what others tell, until Run takes it
	all      []store.Health
	changed  []store.Health
	heard    bool // all of etcd's health, once
	probers  map[string]int64
	news     chan struct{}
	landed   []landing
	landings chan struct{}

	registration atomic.Pointer[store.Registration]
	state        atomic.Pointer[Status]
	trouble      atomic.Pointer[string]
	counters     counters
}

// A landing is the result of a check.
type landing struct {
	start
	err error
}

// New makes a prober; Run sets it going. The error is the scanner's, which finds no
// descriptors.
func New(opts Options) (*Prober, error) {
	scanner, err := NewScanner(opts.Timeout)
	if err != nil {
		return nil, err
	}
	targets := NewTargets(opts.Log)
	p := &Prober{
		opts: opts, targets: targets, scanner: scanner, rounds: newRounds(opts),
		watcher: store.NewWatcher(opts.Client, targets, store.WatchOptions{}),
		news:    make(chan struct{}, 1), landings: make(chan struct{}, 1),
	}
	p.state.Store(&Status{Name: opts.Name})
	return p, nil
}

// Run implements daemon.Task. It ends with ctx, and takes the registration back.
func (p *Prober) Run(ctx context.Context) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { cancel(p.scanner.Run(inner)) })
	running.Go(func() { cancel(p.watcher.Run(inner)) })
	running.Go(func() { p.opts.Client.FollowHealth(inner, (*healthNews)(p)) })
	running.Go(func() { p.opts.Client.FollowProbers(inner, p.tellProbers) })
	running.Go(func() { p.register(inner) })
	p.loop(inner)
	cancel(nil)
	if err := context.Cause(inner); ctx.Err() == nil && err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// register keeps the prober registered.
func (p *Prober) register(ctx context.Context) {
	followed, wait := int64(0), 100*time.Millisecond
	for ctx.Err() == nil {
		r, err := p.opts.Client.Register(ctx, p.opts.Name, p.opts.Lease, followed)
		if err != nil {
			p.fail(ctx, err)
			sleep(ctx, wait)
			wait = min(2*wait, 2*time.Second)
			continue
		}
		wait = 100 * time.Millisecond
		followed = r.Revision()
		p.trouble.Store(nil)
		p.registration.Store(r)
		p.opts.Log.Info("registered", "name", p.opts.Name, "lease", p.opts.Lease)
		p.knock()
		p.keep(ctx, r)
		p.registration.Store(nil)
		p.knock()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		r.Release(last)
		cancel()
	}
}

// keep waits for the registration's end: that of its lease, or that another prober
// has taken the name.
func (p *Prober) keep(ctx context.Context, r *store.Registration) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.Lost():
			if ctx.Err() == nil {
				p.opts.Log.Warn("the registration has run out: others have this prober's share until it is back", "name", p.opts.Name)
			}
			return
		case <-look.C:
			p.mu.Lock()
			now := p.probers[p.opts.Name]
			p.mu.Unlock()
			if now > r.Revision() {
				p.opts.Log.Error("another prober has registered by the same name; waiting until it is gone: set probe.name", "name", p.opts.Name)
				return
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (p *Prober) knock() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *Prober) tellProbers(there map[string]int64) {
	p.mu.Lock()
	p.probers = there
	p.mu.Unlock()
	p.knock()
}

// healthNews is what the Prober is as a store.HealthSink.
type healthNews Prober

// ReplaceHealth implements store.HealthSink.
func (p *healthNews) ReplaceHealth(all []store.Health) {
	p.mu.Lock()
	p.all, p.changed, p.heard = all, nil, true
	if p.all == nil {
		p.all = []store.Health{}
	}
	p.mu.Unlock()
	(*Prober)(p).knock()
}

// ApplyHealth implements store.HealthSink.
func (p *healthNews) ApplyHealth(changed []store.Health) {
	p.mu.Lock()
	p.changed = append(p.changed, changed...)
	p.mu.Unlock()
	(*Prober)(p).knock()
}

// assignPause keeps the reckoning of shares, which looks at all addresses, from
// being made for each of many changes.
const assignPause = 100 * time.Millisecond

// loop is the only one that touches rounds.
func (p *Prober) loop(ctx context.Context) {
	writer := newWriter(p)
	defer writer.end()
	var assigned time.Time
	stale := true // shares are to be reckoned anew
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		p.land()
		stale = p.take() || stale
		now := time.Now()
		if stale && now.Sub(assigned) >= assignPause {
			p.assign(now)
			assigned, stale = now, false
		}
		for _, s := range p.rounds.starts(now) {
			p.launch(s)
		}
		p.sayBrake()
		writer.offer(ctx)
		p.publish()
		timer.Reset(p.patience(now, stale))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.landings:
		case <-writer.ready:
		case <-p.news:
		case <-p.targets.changed:
			stale = true
		}
	}
}

// patience is how long nothing has to be done: half an interval at most, as rounds
// want it.
func (p *Prober) patience(now time.Time, stale bool) time.Duration {
	most := min(p.opts.Interval/2, time.Second)
	if stale {
		most = min(most, assignPause)
	}
	if next := p.rounds.next(); !next.IsZero() {
		most = min(most, next.Sub(now))
	}
	return max(most, time.Millisecond)
}

func (p *Prober) launch(s start) {
	p.scanner.Start(s.Target, func(err error) {
		p.counters.count(s.Check.Kind, err)
		p.mu.Lock()
		p.landed = append(p.landed, landing{s, err})
		first := len(p.landed) == 1
		p.mu.Unlock()
		if !first {
			return
		}
		select {
		case p.landings <- struct{}{}:
		default:
		}
	})
}

// land hands results to the rounds.
func (p *Prober) land() {
	p.mu.Lock()
	landed := p.landed
	p.landed = nil
	p.mu.Unlock()
	now := time.Now()
	for _, l := range landed {
		if l.err != nil && verdictless(l.err) {
			p.counters.say(p.opts.Log, l)
		}
		p.rounds.result(now, l.start, l.err)
	}
}

// take hands what etcd tells to the rounds, and reports whether shares may have
// moved.
func (p *Prober) take() (moved bool) {
	p.mu.Lock()
	all, changed := p.all, p.changed
	p.all, p.changed = nil, nil
	p.mu.Unlock()
	if all != nil {
		p.rounds.hearAll(all)
		moved = true
	}
	for _, h := range changed {
		p.rounds.hear(h)
	}
	return moved || p.membership() != p.state.Load().members
}

// A membership is what shares depend on beside the addresses.
type membership struct {
	count   int
	newest  int64
	sum     int64
	current int64 // own registration, 0: none
}

func (p *Prober) membership() (m membership) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, revision := range p.probers {
		m.count++
		m.newest = max(m.newest, revision)
		m.sum += revision
	}
	if r := p.registration.Load(); r != nil && p.heard && p.probers[p.opts.Name] == r.Revision() {
		m.current = r.Revision()
	}
	return m
}

func (p *Prober) assign(now time.Time) {
	needed, synced := p.targets.all()
	if !synced {
		needed = nil
	}
	members := p.membership()
	p.mu.Lock()
	names := make([]string, 0, len(p.probers))
	for name := range p.probers {
		names = append(names, name)
	}
	p.mu.Unlock()
	before := len(p.rounds.wards)
	p.rounds.assign(now, needed, names, members.current != 0)
	status := *p.state.Load()
	status.members, status.Needed = members, len(needed)
	p.state.Store(&status)
	if after := len(p.rounds.wards); before != after {
		p.opts.Log.Info("share of the addresses", "probers", len(names), "all", len(needed), "own", after, "before", before)
	}
}

// sayBrake says when the brake begins and ends.
func (p *Prober) sayBrake() {
	b := &p.rounds.brake
	if was := p.state.Load().Braked; was == b.on {
		return
	}
	status := *p.state.Load()
	status.Braked = b.on
	p.state.Store(&status)
	if b.on {
		p.counters.brakes.Add(1)
		p.opts.Log.Error("most addresses seem to have gone at once: nothing is written down until they answer again or a reference does; is this prober cut off?",
			"share", fmt.Sprintf("%.0f %%", b.share*100), "limit", fmt.Sprintf("%.0f %% (probe.brake)", p.opts.Brake*100), "withheld", len(p.rounds.accused))
	} else {
		p.opts.Log.Info("the brake is off: enough addresses, or a reference, answer again, or they are no longer ours")
	}
}

// fail notes what keeps the prober from its work.
func (p *Prober) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	p.counters.failures.Add(1)
	text := err.Error()
	if old := p.trouble.Swap(&text); old == nil || *old != text {
		p.opts.Log.Warn("trying again", "error", err)
	}
}
