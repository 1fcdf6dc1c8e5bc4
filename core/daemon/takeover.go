package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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

// succeed has the old process let go and takes its connections. An answer that
// breaks off is asked for again, as another successor may have the socket by now;
// where there is none in time the old process is gone, and we go on alone.
func (d *Daemon) succeed(ctx context.Context, old *predecessor) error {
	inTime, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	look := time.NewTicker(startLook)
	defer look.Stop()
	call := succession{daemon: d, over: cancel}
	for !call.begun && inTime.Err() == nil {
		err := call.make(ctx, inTime)
		if said := control.CommandError(""); errors.As(err, &said) { // by who was first
			call.refused = said
		}
		switch {
		case call.refused != nil:
			return fmt.Errorf("take over from %d: %w", old.PID, call.refused)
		case err != nil && call.begun && !call.whole:
			d.log.Warn("the old process did not end well", "error", err)
		}
		select {
		case <-look.C:
		case <-inTime.Done():
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if !call.begun {
		d.log.Warn("no answer from the old process: going on without", "after", releaseLimit)
		close(old.over)
	}
	d.log.Info("took over", "from", old.PID, "connections", call.connections)
	return nil
}

// A succession is the call that ends the old process.
type succession struct {
	daemon      *Daemon
	over        func() // ends the wait for its beginning
	begun       bool   // the old process has let go
	whole       bool   // and has given all
	connections int
	refused     error
}

// make makes the call: it must begin in time, and then lasts as long as the old
// process drains.
func (s *succession) make(ctx, inTime context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(inTime, func() {
		if inTime.Err() == context.DeadlineExceeded {
			cancel()
		}
	})()
	request := control.Request{Args: []string{"handover", "serve", s.daemon.old.ID}}
	return control.DoFiles(ctx, s.daemon.socketPath, request, writerFunc(s.hear), func(conn *os.File) {
		s.connections++
		s.daemon.adopt(conn)
	})
}

// hear is told what the old process says.
func (s *succession) hear(said []byte) {
	switch string(said) {
	case taken:
		s.refused = errors.New("another process was first")
	case released, late:
		s.begun = true
		s.over()
		close(s.daemon.old.over)
	case given:
		s.whole = true
	}
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
