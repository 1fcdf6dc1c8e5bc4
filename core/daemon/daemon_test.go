package daemon

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Drained in reverse, then ended; the pages show it meanwhile.
func TestDrain(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	store, socket, route := newPart("store", j), newPart("socket", j), newPart("route", j)
	var readiness string
	var reload error
	route.drain = func(context.Context) error {
		_, readiness = get(t, d, "/readyz")
		reload = d.Reload(t.Context())
		return errors.New("a drain that fails stops nothing")
	}
	d.Add(store, socket, route)
	if err := begin(t, d)(); err != nil {
		t.Fatal(err)
	}
	if got := j.String(); !strings.HasPrefix(got, "drain:route drain:socket drain:store end:") || strings.Count(got, "end:") != 3 {
		t.Errorf("got %s", got)
	}
	if !errors.Is(reload, errDraining) {
		t.Errorf("reload while draining: %v", reload)
	}
	if readiness != "not ready: draining\n" {
		t.Errorf("readyz while draining: %q", readiness)
	}
	if _, err := os.Lstat(d.socketPath); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is still there: %v", err)
	}
}

// A drain that takes too long is told so, and the tasks are ended all the same.
func TestDrainLimit(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	d.drainLimit = time.Second
	slow := newPart("slow", j)
	slow.drain = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	d.Add(slow)
	if err := begin(t, d)(); err != nil {
		t.Fatal(err)
	}
	if got := j.String(); got != "drain:slow end:slow" {
		t.Errorf("got %s", got)
	}
}

// A task that will not end is named.
func TestStuckTask(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	d.drainLimit = time.Second // in which what is fine has ended
	release := make(chan struct{})
	stuck := newPart("stuck", j)
	stuck.run = func(context.Context) error {
		<-release
		return nil
	}
	d.Add(stuck, newPart("fine", j))
	err := begin(t, d)()
	close(release)
	if err == nil || err.Error() != "drain: after 1s still running: stuck" {
		t.Errorf("got %v", err)
	}
}

// One task that fails, or just returns, ends all; its name is in the error.
func TestFailureEndsAll(t *testing.T) {
	broken := errors.New("broken")
	for want, run := range map[string]func(context.Context) error{
		"bad: broken":          func(context.Context) error { return broken },
		"bad: ended by itself": func(context.Context) error { return nil },
	} {
		d, j := testDaemon(t), new(journal)
		bad := newPart("bad", j)
		bad.run = run
		d.Add(newPart("good", j), bad)
		err := d.Run(t.Context())
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if want == "bad: broken" && !errors.Is(err, broken) {
			t.Error("the cause is not wrapped")
		}
		if got := j.String(); !strings.HasSuffix(got, "end:good") {
			t.Errorf("got %s", got)
		}
	}
}

func TestReadiness(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	store := newPart("store", j)
	store.ready.Store(false)
	store.reason = "etcd is away"
	d.Add(newPart("socket", j), store)
	begin(t, d)
	if code, body := get(t, d, "/readyz?verbose"); code != 503 || body != "[+] socket: ready\n[-] store: etcd is away\nnot ready: store: etcd is away\n" {
		t.Errorf("got %d %q", code, body)
	}
	store.ready.Store(true)
	if code, body := get(t, d, "/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("got %d %q", code, body)
	}
	if code, _ := get(t, d, "/livez"); code != 200 {
		t.Errorf("livez %d", code)
	}
	store.stuck.Store(true)
	if code, _ := get(t, d, "/livez"); code != 503 {
		t.Errorf("livez of a stuck task %d", code)
	}
}

// Two daemons do not share a port or a socket, and the second leaves nothing open.
func TestPortInUse(t *testing.T) {
	d := testDaemon(t)
	begin(t, d)
	second := testDaemon(t)
	second.socketPath = d.socketPath
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("got %v", err)
	}
	second = testDaemon(t)
	second.adminAddr = d.page.Addr().String()
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
	if _, err := ctl(t, d, false, "status"); err != nil {
		t.Errorf("the first daemon: %v", err)
	}
}

// What tasks hold is given back where they never run, and by themselves where they do.
func TestNeverRun(t *testing.T) {
	first := testDaemon(t)
	begin(t, first)
	first.IfNeverRun(func() error { t.Error("its tasks run"); return nil })
	first.Leave()
	second, given := testDaemon(t), 0
	second.adminAddr = first.page.Addr().String()
	second.IfNeverRun(func() error { given++; return errors.New("it was broken") })
	second.IfNeverRun(func() error { given++; return nil })
	if err := second.Run(t.Context()); err == nil {
		t.Error("two have one address")
	}
	if second.Leave(); given != 2 {
		t.Errorf("%d of 2 were given back", given)
	}
}

// A second signal ends the process while it drains.
func TestSecondSignal(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	exited := make(chan int, 1)
	d.exit = func(status int) { exited <- status }
	draining, release := make(chan struct{}), make(chan struct{})
	slow := newPart("slow", j)
	slow.drain = func(context.Context) error {
		close(draining)
		<-release
		return nil
	}
	d.Add(slow)
	end := begin(t, d)
	d.signals <- syscall.SIGTERM
	<-draining
	d.signals <- syscall.SIGINT
	if status := <-exited; status != 130 {
		t.Errorf("status %d", status)
	}
	if _, err := os.Lstat(d.socketPath); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is still there: %v", err)
	}
	close(release)
	if err := end(); err != nil {
		t.Error(err)
	}
}
