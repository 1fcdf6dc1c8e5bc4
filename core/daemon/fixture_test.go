package daemon

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/daemon/control"
)

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
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
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
