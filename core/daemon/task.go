package daemon

import "context"

// A Task is one long-lived part of a daemon: a listener, a watch, a checker.
// Ready and String may be called at any time, from any goroutine.
type Task interface {
	// Run works until ctx is done, and then returns nil once it has let go of
	// everything. Returning earlier, with or without an error, ends the daemon:
	// a server that lost a part must not look whole.
	Run(ctx context.Context) error
	// Ready tells whether the task does its part for a client right now.
	Ready() bool
	// String names the task in logs and pages: "socket 127.0.0.1:53".
	String() string
}

// A Reasoner is a task that can say why it is not ready, or how it does its part
// when it is, in half a sentence:
// "etcd: no answer since 12s". An empty reason is left out.
type Reasoner interface{ Reason() string }

// A Drainer is a task with something to do before it is ended: withdraw a
// route, stop accepting and answer what is in flight. Drain returns when that
// is done, or when ctx is. Tasks are drained one after another, the last added
// first, all within one limit; Run goes on meanwhile, or has failed already.
type Drainer interface {
	Drain(ctx context.Context) error
}

// A Pulser is a task that can tell whether it still moves. While one does not,
// the service manager's watchdog is not fed and /livez fails.
type Pulser interface{ Alive() bool }

// Func makes a task of a function that is ready as soon as it runs.
func Func(name string, run func(ctx context.Context) error) Task {
	return &function{name: name, run: run}
}
