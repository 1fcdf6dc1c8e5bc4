package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/daemon/control"
)

// A predecessor is the old process as the new one sees it.
type predecessor struct {
	offer
	listen         Sockets
	admin, control *os.File
	hold           chan struct{} // closed when our tasks may begin to read
	over           chan struct{} // closed when we answer alone
}

// TakeOver asks the daemon that answers on the control socket for its sockets, to
// go on with them: call it before listeners and whatever reads what the old one
// saves are made. Where nobody answers there is nothing to take over. Run then
// begins to serve beside the old one and ends that one when all tasks are ready.
func (d *Daemon) TakeOver(ctx context.Context) error {
	old := &predecessor{hold: make(chan struct{}), over: make(chan struct{})}
	var text bytes.Buffer
	var files []*os.File
	keep := func(f *os.File) { files = append(files, f) }
	err := control.DoFiles(ctx, d.socketPath, control.Request{Args: []string{"handover", "sockets", d.name}}, &text, keep)
	if errors.Is(err, control.ErrNobody) {
		d.log.Info("nobody to take over from", "control", d.socketPath)
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text.Bytes(), &old.offer)
	}
	if err == nil && len(files) != len(old.Kinds) {
		err = fmt.Errorf("%d of %d sockets came", len(files), len(old.Kinds))
	}
	if err == nil && !slices.Contains(old.Kinds, controlKind) {
		err = errors.New("its control socket did not come")
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return fmt.Errorf("take over from the running %s: %w", d.name, err)
	}
	for i, f := range files {
		switch old.Kinds[i] {
		case listenKind:
			old.listen = append(old.listen, f)
		case adminKind:
			old.admin = f
		case controlKind:
			old.control = f
		default: // of a newer version than ours
			f.Close()
		}
	}
	d.log.Info("taking over", "from", old.PID)
	d.old = old
	return nil
}

// taking tells whether another process still answers for this one.
func (d *Daemon) taking() bool {
	if d.old == nil {
		return false
	}
	select {
	case <-d.old.over:
		return false
	default:
		return true
	}
}

// Hold is closed when tasks may take queries; nil: at once. Listeners that go on
// with another process's sockets must wait for it.
func (d *Daemon) Hold() <-chan struct{} {
	if d.old == nil {
		return nil
	}
	return d.old.hold
}

// releaseLimit bounds the wait for the old process to let go of its sockets.
const releaseLimit = 5 * time.Second

// successor is the task that ends the old process.
type successor struct{ daemon *Daemon }

func (s *successor) Ready() bool    { return true }
func (s *successor) String() string { return "succession" }

func (s *successor) Run(ctx context.Context) error {
	d, old := s.daemon, s.daemon.old
	if !d.awaitTasks(ctx) {
		return nil
	}
	close(old.hold)
	if !d.awaitTasks(ctx) { // they read now
		return nil
	}
	if err := d.succeed(ctx, old); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// awaitTasks waits until all tasks are ready, and reports false when ctx was done
// before.
func (d *Daemon) awaitTasks(ctx context.Context) bool {
	look := time.NewTicker(startLook)
	defer look.Stop()
	for d.unready() != "" {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
	}
	return true
}

// succeed has the old process let go and takes its connections. Where that one is
// gone, we go on alone.
func (d *Daemon) succeed(ctx context.Context, old *predecessor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tooLate := time.AfterFunc(releaseLimit, cancel)
	defer tooLate.Stop()
	var once sync.Once
	alone := func() { once.Do(func() { close(old.over) }) }
	var refused error
	connections, whole := 0, false
	err := control.DoFiles(ctx, d.socketPath, control.Request{Args: []string{"handover", "serve", old.ID}}, writerFunc(func(p []byte) {
		switch string(p) {
		case taken:
			refused = errors.New("another process was first")
		case released, late:
			tooLate.Stop()
			alone()
		case given:
			whole = true
		}
	}), func(conn *os.File) {
		connections++
		d.adopt(conn)
	})
	if refused != nil {
		return refused
	}
	alone()
	if err != nil && !whole {
		d.log.Warn("the old process did not end well", "error", err)
	}
	d.log.Info("took over", "from", old.PID, "connections", connections)
	return nil
}

// Adopt has listeners go on with connections of a process before us, which the
// service manager kept. It closes them.
func (d *Daemon) Adopt(connections []*os.File) {
	for _, conn := range connections {
		d.adopt(conn)
	}
	if len(connections) > 0 {
		unstore()
		d.log.Info("connections taken over", "number", len(connections))
	}
}

// adopt has the listener that a connection belongs to go on with it.
func (d *Daemon) adopt(conn *os.File) {
	defer conn.Close()
	for _, l := range d.listeners() {
		ours, err := l.Adopt(conn)
		if err != nil {
			d.log.Warn("connection not taken over", "error", err)
		}
		if ours {
			return
		}
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	if len(p) > 0 {
		f(p)
	}
	return len(p), nil
}

// behind is a task of the house that begins when the old process has let go.
type behind struct {
	Task
	over  <-chan struct{}
	close func() // instead of Run, when it never came to that
}

// behind makes a task wait for the old process, where there is one.
func (d *Daemon) behind(task Task, close func()) Task {
	if d.old == nil {
		return task
	}
	return &behind{task, d.old.over, close}
}

func (b *behind) Run(ctx context.Context) error {
	select {
	case <-b.over:
		return b.Task.Run(ctx)
	case <-ctx.Done():
		b.close()
		return nil
	}
}
