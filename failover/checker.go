package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Probe asks a server one question and tells whether the answer will do: nil,
// an error that wraps ErrCacheable or ErrWrong, or any other where there was no
// usable answer. It returns when ctx ends, which is at the check's timeout.
type Probe func(ctx context.Context, server Server, question Question) error

// A Checker is the task that makes the checks a fleet calls for, at the times
// it calls for them, and reports the results. It is a fleet's only one.
//
// All questions of a check are asked at once. A wrong answer to any fails it,
// else a good answer to any passes it.
type Checker struct {
	fleet    *Fleet
	plan     Plan
	probe    Probe
	parallel int
	running  atomic.Bool
	ways     map[string]*way // by address; Run's own
}

// A way is how a server's checks have gone over UDP and TCP.
type way struct {
	stream, failed bool
	since          int // checks since the last over TCP
}

// NewChecker returns a checker that makes at most parallel checks at a time; 0
// means 16. Errors are those of Plan.Check.
func NewChecker(fleet *Fleet, plan Plan, probe Probe, parallel int) (*Checker, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	if parallel <= 0 {
		parallel = 16
	}
	return &Checker{fleet: fleet, plan: plan, probe: probe, parallel: parallel, ways: map[string]*way{}}, nil
}

// Ready tells whether checks are being made.
func (c *Checker) Ready() bool { return c.running.Load() }

// String names the task.
func (c *Checker) String() string { return "failover checks" }

// Run makes checks until ctx ends, waits for those in flight, whose results no
// longer count, and returns nil.
func (c *Checker) Run(ctx context.Context) error {
	c.running.Store(true)
	defer c.running.Store(false)
	ended := make(chan Result, c.parallel)
	var flying sync.WaitGroup
	defer flying.Wait()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for free := c.parallel; ; {
		for _, check := range c.fleet.Take(time.Now(), free) {
			free--
			asked := c.plan.questions(c.choose(check.Server.Address))
			flying.Go(func() { ended <- c.check(ctx, check, asked) })
		}
		if free > 0 { // else the next to end makes room
			alarm.Reset(time.Until(c.fleet.Next()))
		}
		select {
		case <-ctx.Done():
			return nil
		case r := <-ended:
			free++
			c.report(ctx, r)
		case <-alarm.C:
		case <-c.fleet.Wake():
		}
	}
}

// choose tells whether a server's next check goes over TCP.
func (c *Checker) choose(address string) (stream bool) {
	w := c.ways[address]
	if w == nil {
		w = &way{}
		c.ways[address] = w
	}
	if !w.failed {
		w.since++
		w.stream = c.plan.StreamEvery > 0 && w.since >= c.plan.StreamEvery
	}
	if w.stream {
		w.since = 0
	}
	return w.stream
}

// report hands a result on, unless the check was cut short by a stop. Run does
// it, so that the next check of that server knows how this one went.
func (c *Checker) report(ctx context.Context, r Result) {
	if ctx.Err() != nil {
		return
	}
	c.ways[r.Server].failed = !r.OK
	c.fleet.Result(r)
}

// check makes one check.
func (c *Checker) check(ctx context.Context, check Check, asked []Question) Result {
	answers := make([]error, len(asked))
	var first atomic.Int64 // the quickest good answer, in ns
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, check.Timeout, fmt.Errorf("no answer within %v", check.Timeout))
	defer cancel()
	var asking sync.WaitGroup
	for i, q := range asked {
		asking.Go(func() {
			answers[i] = c.ask(ctx, check.Server, q)
			if answers[i] == nil {
				first.CompareAndSwap(0, int64(time.Since(began)))
			}
		})
	}
	asking.Wait()
	err := verdict(answers)
	return Result{
		Server: check.Server.Address, At: time.Now(), OK: err == nil, How: Active,
		RTT: time.Duration(first.Load()), Err: err,
	}
}

// ask puts one question and says which it was where that fails.
func (c *Checker) ask(ctx context.Context, server Server, q Question) error {
	err := c.probe(ctx, server, q)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.DeadlineExceeded) {
		err = cause
	}
	over := " over UDP"
	switch {
	case strings.Contains(server.Address, "://"): // tls://…, whatever the question says
		over = ""
	case q.Stream:
		over = " over TCP"
	}
	return fmt.Errorf("ask %s for %s %s%s: %w", server.Address, q.Name, q.Type, over, err)
}
