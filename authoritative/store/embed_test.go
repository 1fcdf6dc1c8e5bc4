package store

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

func options(t *testing.T, dir string) EmbedOptions {
	return EmbedOptions{Dir: dir, ClientURL: "http://127.0.0.1:0", PeerURL: "http://127.0.0.1:0", Log: testLog(t), noSync: true}
}

func TestEmbedKeepsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "here")
	text := &stack.Text{}
	for i := range 2 {
		began := time.Now()
		opts := options(t, dir)
		opts.Log = slog.New(slog.NewTextHandler(text, nil))
		m, err := Embed(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
		c := client(t, m.Endpoints()...)
		res, err := c.Add(t.Context(), record(t, "example.org", "A", "static", 30, "10.0.0.1"))
		if err != nil || res.Changed() != (i == 0) {
			t.Error(i, res, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		began = time.Now()
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		t.Logf("stopped after %s", time.Since(began).Round(time.Millisecond))
		select {
		case <-m.Failed():
			t.Error("a member that was stopped has not failed")
		default:
		}
	}
	if said := text.String(); said != "" {
		t.Errorf("nothing was wrong, and yet: %s", said)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
}

func TestEmbedRefuses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	used := "http://" + l.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		edit func(*EmbedOptions)
		want string
	}{
		"client port in use": {func(o *EmbedOptions) { o.ClientURL = used }, "address already in use"},
		"peer port in use":   {func(o *EmbedOptions) { o.PeerURL = used }, "address already in use"},
		"no directory":       {func(o *EmbedOptions) { o.Dir = "" }, "no directory given"},
		"a file":             {func(o *EmbedOptions) { o.Dir = file }, "not a directory"},
		"a URL without port": {func(o *EmbedOptions) { o.ClientURL = "http://127.0.0.1" }, "want http://ADDRESS:PORT"},
		"no URL":             {func(o *EmbedOptions) { o.PeerURL = "127.0.0.1:2380" }, "peer URL"},
		"not in its cluster": {func(o *EmbedOptions) { o.InitialCluster = map[string]string{"x": "http://127.0.0.1:1"} }, "strata"},
		"no quorum": {func(o *EmbedOptions) {
			urls := freeURLs(t, 2)
			o.PeerURL, o.Ready = urls[0], 500*time.Millisecond
			o.InitialCluster = map[string]string{"strata": urls[0], "x": urls[1]}
		}, "no leader within 500ms"},
	} {
		opts := options(t, t.TempDir())
		tc.edit(&opts)
		began := time.Now()
		m, err := Embed(t.Context(), opts)
		if took := time.Since(began); took > 15*time.Second || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: took %s: %v", what, took, err)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "embed etcd") {
			t.Errorf("%s: %v", what, err)
		}
		if m != nil {
			m.Stop(t.Context())
		}
	}
}

func TestEmbedDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, err := Embed(t.Context(), options(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop(t.Context())
	if _, err := Embed(t.Context(), options(t, dir)); !errors.Is(err, syscall.EWOULDBLOCK) || !strings.Contains(err.Error(), "used by another process") {
		t.Error(err)
	}
}

// A damaged log is an error to read, not the end of the process.
func TestEmbedDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, err := Embed(t.Context(), options(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		b[16+i] ^= 0xff
	}
	if err := os.WriteFile(logs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	p := launchMember(t, EmbedOptions{Dir: dir, ClientURL: "http://127.0.0.1:0", PeerURL: "http://127.0.0.1:0"})
	if _, started := <-p.ready; started {
		t.Fatal("started")
	}
	p.kill() // it has ended by itself; this waits for it
	if said := p.err.String(); p.cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(said, "embed etcd in "+dir+": etcd gave up starting: ") {
		t.Errorf("exit %d: %s", p.cmd.ProcessState.ExitCode(), said)
	}
}

func TestEmbedStopIsBounded(t *testing.T) {
	t.Parallel()
	m, err := Embed(t.Context(), options(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := m.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Error("took", took)
	}
	if err := m.Stop(t.Context()); err != nil { // and it does end
		t.Error(err)
	}
}
