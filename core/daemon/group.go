package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// errEnded is a task that returned before it was told to.
var errEnded = errors.New("ended by itself")

// group is a set of tasks that run together.
type group struct {
	cancel context.CancelFunc
	failed chan error    // the first end that nobody asked for
	done   chan struct{} // closed when all have returned

	mu      sync.Mutex
	running map[int]Task // by place in the list: tasks need not be comparable
}

// start runs each task in a goroutine of its own.
func start(tasks []Task) *group {
	ctx, cancel := context.WithCancel(context.Background())
	g := &group{
		cancel:  cancel,
		failed:  make(chan error, 1),
		done:    make(chan struct{}),
		running: make(map[int]Task, len(tasks)),
	}
	for i, task := range tasks {
		g.running[i] = task
	}
	var all sync.WaitGroup
	for i, task := range tasks {
		all.Go(func() { g.run(ctx, i, task) })
	}
	go func() {
		all.Wait()
		close(g.done)
	}()
	return g
}

func (g *group) run(ctx context.Context, i int, task Task) {
	err := task.Run(ctx)
	g.mu.Lock()
	delete(g.running, i)
	g.mu.Unlock()
	switch {
	case err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)):
		err = fmt.Errorf("%s: %w", task, err)
	case ctx.Err() == nil:
		err = fmt.Errorf("%s: %w", task, errEnded)
	default:
		return
	}
	select {
	case g.failed <- err:
	default: // the first is the cause, later ones its consequences
	}
}

// stop ends all tasks. It returns nil when they have returned, or an error that
// names those which have not when ctx is done.
func (g *group) stop(ctx context.Context) error {
	g.cancel()
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.running) == 0 {
		return nil
	}
	var names []string
	for _, task := range g.running {
		names = append(names, task.String())
	}
	slices.Sort(names)
	return fmt.Errorf("still running: %s", strings.Join(names, ", "))
}
