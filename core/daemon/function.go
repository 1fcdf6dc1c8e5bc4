package daemon

import (
	"context"
	"sync/atomic"
)

// function is a Task around a function.
type function struct {
	name    string
	run     func(ctx context.Context) error
	running atomic.Bool
}

func (f *function) Run(ctx context.Context) error {
	f.running.Store(true)
	defer f.running.Store(false)
	return f.run(ctx)
}

func (f *function) Ready() bool    { return f.running.Load() }
func (f *function) String() string { return f.name }
