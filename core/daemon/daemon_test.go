package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/daemon/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// part is a task whose every answer a test chooses. What happens to it is noted
// in a journal that several parts may share.
type part struct {
	name    string
	journal *journal
	ready   atomic.Bool
	stuck   atomic.Bool
	reason  string
	run     func(ctx context.Context) error
	drain   func(ctx context.Context) error
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, " ")
}

func newPart(name string, j *journal) *part {
	p := &part{name: name, journal: j}
	p.ready.Store(true)
	return p
}

func (p *part) Run(ctx context.Context) error {
	if p.run != nil {
		return p.run(ctx)
	}
	<-ctx.Done()
	p.journal.note("end:" + p.name)
	return nil
}

func (p *part) Drain(ctx context.Context) error {
	p.journal.note("drain:" + p.name)
	if p.drain != nil {
		return p.drain(ctx)
	}
	return nil
}

func (p *part) Ready() bool    { return p.ready.Load() }
func (p *part) Alive() bool    { return !p.stuck.Load() }
func (p *part) Reason() string { return p.reason }
func (p *part) String() string { return p.name }

// testDaemon makes a daemon with pages and socket on ground of its own.
func testDaemon(t *testing.T) *Daemon {
	t.Helper()
	d := New(Options{
		Name:       "test",
		Admin:      "127.0.0.1:0",
		Control:    filepath.Join(t.TempDir(), "s.sock"),
		ConfigFile: "test.yaml",
		DrainLimit: 2 * time.Second,
		Log:        slog.New(slog.DiscardHandler),
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return d
}

// begin runs a daemon, waits until its pages answer, and returns how to end it.
func begin(t *testing.T, d *Daemon) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	until(t, "the daemon runs", func() bool { return d.phase.Load() == running && d.page.Ready() && d.socket.Load().Ready() })
	end = sync.OnceValue(func() error {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = end() })
	return end
}

// until polls for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen in 10 s: %s", what)
		}
	}
}

func get(t *testing.T, d *Daemon, path string) (int, string) {
	t.Helper()
	response, err := http.Get("http://" + d.page.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func ctl(t *testing.T, d *Daemon, asJSON bool, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := control.Do(t.Context(), d.socketPath, control.Request{Args: args, JSON: asJSON}, &out)
	return out.String(), err
}

// Drained in reverse, then ended; the pages show it meanwhile.
func TestDrain(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	store, socket, route := newPart("store", j), newPart("socket", j), newPart("route", j)
	var readiness string
	route.drain = func(context.Context) error {
		_, readiness = get(t, d, "/readyz")
		return errors.New("a drain that fails stops nothing")
	}
	d.Add(store, socket, route)
	if err := begin(t, d)(); err != nil {
		t.Fatal(err)
	}
	if got := j.String(); !strings.HasPrefix(got, "drain:route drain:socket drain:store end:") || strings.Count(got, "end:") != 3 {
		t.Errorf("got %s", got)
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
	d.drainLimit = 20 * time.Millisecond
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
	d.drainLimit = 20 * time.Millisecond
	release := make(chan struct{})
	stuck := newPart("stuck", j)
	stuck.run = func(context.Context) error {
		<-release
		return nil
	}
	d.Add(stuck, newPart("fine", j))
	err := begin(t, d)()
	close(release)
	if err == nil || err.Error() != "drain: after 20ms still running: stuck" {
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

// A failed reload leaves its mark everywhere until one succeeds.
func TestReload(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	d.Add(newPart("socket", j))
	var wrong atomic.Bool
	d.OnReload(func(context.Context) error {
		if wrong.Load() {
			return errors.New("test.yaml:3: bad")
		}
		return nil
	})
	begin(t, d)
	if _, body := get(t, d, "/metrics"); !strings.Contains(body, "strata_config_reload_failed 0\n") {
		t.Errorf("metrics: %s", body)
	}
	wrong.Store(true)
	_, err := ctl(t, d, false, "reload")
	if err == nil || err.Error() != "reload: the old config stays: test.yaml:3: bad" {
		t.Errorf("got %v", err)
	}
	var status struct {
		Config struct {
			Reload Reload `json:"reload"`
		} `json:"config"`
	}
	_, body := get(t, d, "/status")
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if r := status.Config.Reload; !r.Failed || r.Error != "test.yaml:3: bad" || r.Attempt.Before(r.Success) {
		t.Errorf("got %+v", r)
	}
	if _, body := get(t, d, "/metrics"); !strings.Contains(body, "strata_config_reload_failed 1\n") {
		t.Errorf("metrics: %s", body)
	}
	if _, body := get(t, d, "/"); !strings.Contains(body, "test.yaml:3: bad") {
		t.Errorf("page: %s", body)
	}
	wrong.Store(false)
	if out, err := ctl(t, d, false, "reload"); err != nil || out != "reloaded test.yaml\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if r := d.LastReload(); r.Failed || r.Error != "" || r.Success.Before(r.Attempt) {
		t.Errorf("got %+v", r)
	}
}

func TestReloadOfNothing(t *testing.T) {
	d := testDaemon(t)
	begin(t, d)
	if _, err := ctl(t, d, false, "reload"); !strings.Contains(err.Error(), "nothing to reload") {
		t.Errorf("got %v", err)
	}
}

func TestStatusAndStats(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	d.Add(newPart("socket", j), newPart("socket", j)) // two of one name must not break a scrape
	d.AddStatus("cache", func() any { return map[string]int{"entries": 7} })
	d.AddStatus("broken", func() any { return make(chan int) })
	queries := prometheus.NewCounter(prometheus.CounterOpts{Name: "strata_queries_total", Help: "Questions."})
	queries.Add(42)
	d.Registry().MustRegister(queries)
	begin(t, d)

	out, err := ctl(t, d, true, "status")
	var status map[string]json.RawMessage
	if err != nil || json.Unmarshal([]byte(out), &status) != nil {
		t.Fatalf("got %q, %v", out, err)
	}
	if string(status["name"]) != `"test"` || string(status["cache"]) != `{"entries":7}` || !strings.Contains(string(status["broken"]), "cannot be shown") {
		t.Errorf("got %s", out)
	}
	if _, body := get(t, d, "/status"); len(body) == 0 || !json.Valid([]byte(body)) {
		t.Errorf("got %s", body)
	}
	if out, err := ctl(t, d, false, "status"); err != nil || !strings.Contains(out, "cache:\n  entries: 7\n") {
		t.Errorf("got %q, %v", out, err)
	}
	if out, err := ctl(t, d, false, "stats", "queries"); err != nil || out != "strata_queries_total  42\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := ctl(t, d, false, "stats", "nowhere"); err == nil {
		t.Error("stats of nothing are no error")
	}
	if code, body := get(t, d, "/metrics"); code != 200 || !strings.Contains(body, `strata_task_ready{task="socket"} 1`) ||
		!strings.Contains(body, `strata_build_info{commit="`) || !strings.Contains(body, "go_goroutines") || !strings.Contains(body, "process_open_fds") {
		t.Errorf("metrics: %d %s", code, body)
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

// systemd hears of readiness, of reloads, of the watchdog while all tasks move,
// and of the end.
func TestServiceManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.sock")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	os.Unsetenv("WATCHDOG_PID")
	next := func() string {
		t.Helper()
		buf := make([]byte, 4096)
		manager.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	hear := func(want string) {
		t.Helper()
		for range 1000 {
			if strings.HasPrefix(next(), want) {
				return
			}
		}
		t.Fatalf("never heard %q", want)
	}

	d, j := testDaemon(t), new(journal)
	store := newPart("store", j)
	store.ready.Store(false)
	store.reason = "away"
	d.Add(store)
	d.OnReload(func(context.Context) error { return nil })
	end := begin(t, d)
	hear("EXTEND_TIMEOUT_USEC=15000000\nSTATUS=waiting for store: away")
	store.ready.Store(true)
	hear("READY=1\nSTATUS=ready")
	hear("WATCHDOG=1")
	d.signals <- syscall.SIGHUP
	hear("RELOADING=1\nMONOTONIC_USEC=")
	hear("READY=1")
	go func() { _ = end() }()
	hear("STOPPING=1")
	if err := end(); err != nil {
		t.Error(err)
	}
}

// The watchdog is left to bite when a task no longer moves.
func TestWatchdogStarves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.sock")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "10000")
	d, j := testDaemon(t), new(journal)
	store := newPart("store", j)
	store.stuck.Store(true)
	d.Add(store)
	end := begin(t, d)
	// READY comes with the 100 ms look, some twenty feeding times later.
	var heard []string
	buf := make([]byte, 4096)
	for len(heard) == 0 || !strings.HasPrefix(heard[len(heard)-1], "READY=1") {
		manager.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, string(buf[:n]))
	}
	for _, message := range heard {
		if strings.Contains(message, "WATCHDOG") {
			t.Errorf("fed: %q", heard)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
