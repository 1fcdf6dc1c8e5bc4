package resolver

import (
	"context"

	"github.com/strata-dns/strata/core/upstream"
)

// Task is the resolver's and its engine's life: it ends them when nobody asks any
// more. Add it before the listeners, so that it is drained behind them.
func (r *Resolver) Task(engine *upstream.Engine) *Task { return &Task{r, engine} }

// A Task is the memory of a daemon as a daemon.Task.
type Task struct {
	r      *Resolver
	engine *upstream.Engine
}

// Run implements daemon.Task.
func (t *Task) Run(ctx context.Context) error {
	<-ctx.Done()
	t.r.Close()
	return t.engine.Close()
}

// Ready implements daemon.Task.
func (t *Task) Ready() bool { return true }

// String implements daemon.Task.
func (t *Task) String() string { return "cache" }
