package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/daemon/control"
)

// A door is a task with one listening socket and one established connection.
type door struct {
	*part
	listener *net.TCPListener
	conn     *net.TCPConn
	heir     func(*os.File) error
	adopted  atomic.Int32
}

func newDoor(t *testing.T, j *journal, name string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		c.Close()
	})
	d := &door{part: newPart(name, j), listener: l.(*net.TCPListener), conn: c.(*net.TCPConn)}
	d.drain = func(context.Context) error {
		if d.heir == nil {
			return nil
		}
		file, err := d.conn.File()
		if err != nil {
			return err
		}
		defer file.Close()
		return d.heir(file)
	}
	return d
}

func (d *door) Sockets() ([]*os.File, error) {
	file, err := d.listener.File()
	return []*os.File{file}, err
}

func (d *door) Bequeath(heir func(*os.File) error) { d.heir = heir }

func (d *door) Adopt(*os.File) (bool, error) {
	d.adopted.Add(1)
	return true, nil
}

// next makes a daemon on the same pages and socket as another.
func next(d *Daemon) *Daemon {
	return New(Options{Name: d.name, Admin: d.page.Addr().String(), Control: d.socketPath, DrainLimit: 2 * time.Second, Log: slog.New(slog.DiscardHandler)})
}

// run runs a daemon without waiting for its pages.
func run(t *testing.T, d *Daemon) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func TestTakeOver(t *testing.T) {
	first, j := testDaemon(t), new(journal)
	old, fresh := newDoor(t, j, "old"), newDoor(t, j, "new")
	first.Add(old)
	first.OnHandover(func() error { j.note("save"); return nil })
	ended := begin(t, first)

	second := next(first)
	if err := second.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := j.String(); got != "save" {
		t.Errorf("before the sockets came: %q", got)
	}
	sockets := second.Sockets()
	if len(sockets) != 1 {
		t.Fatalf("%d sockets", len(sockets))
	}
	own, err := net.FileListener(sockets[0])
	if err != nil || own.Addr().String() != old.listener.Addr().String() {
		t.Errorf("got %v, %v", own, err)
	}
	own.Close()
	fresh.ready.Store(false)
	second.Add(fresh)
	end := run(t, second)
	select {
	case <-second.Hold():
		t.Error("not held though a task is not ready")
	case <-time.After(50 * time.Millisecond):
	}
	if !first.Ready() || second.Ready() {
		t.Errorf("ready: the old one %v, the new one %v", first.Ready(), second.Ready())
	}
	fresh.ready.Store(true)
	until(t, "the new one serves", second.Ready)
	if err := ended(); err != nil { // it had ended by itself
		t.Error(err)
	}
	if got := j.String(); !strings.HasPrefix(got, "save drain:old end:old") {
		t.Errorf("the old one: %q", got)
	}
	if n := fresh.adopted.Load(); n != 1 {
		t.Errorf("%d connections taken over", n)
	}
	if code, body := get(t, second, "/readyz"); code != 200 {
		t.Errorf("the page: %d %s", code, body)
	}
	if out, err := ctl(t, second, true, "status"); err != nil || !strings.Contains(out, `"new"`) {
		t.Errorf("the control socket: %s, %v", out, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(first.socketPath); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is still there: %v", err)
	}
}

// A successor that never gets ready changes nothing.
func TestTakeOverFails(t *testing.T) {
	first, j := testDaemon(t), new(journal)
	first.Add(newDoor(t, j, "old"))
	ended := begin(t, first)
	second := next(first)
	if err := second.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := newDoor(t, j, "new")
	fresh.ready.Store(false)
	second.Add(fresh)
	end := run(t, second)
	until(t, "it runs", func() bool { return second.phase.Load() == running })
	if err := end(); err != nil {
		t.Error(err)
	}
	if out, err := ctl(t, first, true, "status"); err != nil || !strings.Contains(out, `"old"`) || !first.Ready() {
		t.Errorf("the old one: %s, %v", out, err)
	}
	third := next(first) // and it can be replaced by another
	if err := third.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	endThird := run(t, third)
	until(t, "another one serves", third.Ready)
	if err := errors.Join(ended(), endThird()); err != nil {
		t.Error(err)
	}
}

// Of two successors one ends with an error that says why.
func TestTakeOverByTwo(t *testing.T) {
	first, j := testDaemon(t), new(journal)
	first.Add(newDoor(t, j, "old"))
	ended := begin(t, first)
	var both [2]*Daemon
	results := make(chan error, 2)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range both {
		both[i] = next(first)
		if err := both[i].TakeOver(t.Context()); err != nil {
			t.Fatal(err)
		}
		both[i].Add(newDoor(t, j, "new"))
	}
	for _, d := range both {
		go func() { results <- d.Run(ctx) }()
	}
	if err := <-results; err == nil || !strings.Contains(err.Error(), "another process was first") {
		t.Errorf("the second: %v", err)
	}
	until(t, "one serves", func() bool { return both[0].Ready() != both[1].Ready() })
	cancel()
	if err := errors.Join(<-results, ended()); err != nil {
		t.Error(err)
	}
}

func TestTakeOverRefused(t *testing.T) {
	first := testDaemon(t)
	if err := New(Options{Name: "test", Control: first.socketPath, Log: slog.New(slog.DiscardHandler)}).TakeOver(t.Context()); err != nil {
		t.Errorf("with nobody there: %v", err)
	}
	begin(t, first)
	stranger := New(Options{Name: "other", Control: first.socketPath, Log: slog.New(slog.DiscardHandler)})
	if err := stranger.TakeOver(t.Context()); err == nil || !strings.Contains(err.Error(), "this is a test, no other") {
		t.Errorf("another program: %v", err)
	}
	for _, args := range [][]string{{"handover"}, {"handover", "serve", "another"}, {"handover", "what", "test"}} {
		if err := control.Do(t.Context(), first.socketPath, control.Request{Args: args}, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
