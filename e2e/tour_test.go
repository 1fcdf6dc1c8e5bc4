package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// buildTour makes the program, as `make run` does.
func buildTour(t *testing.T) string {
	t.Helper()
	needBinaries(t)
	need(t, "unbound")
	path := filepath.Join(t.TempDir(), "tour")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./tour").CombinedOutput()
	if err != nil {
		t.Fatalf("build the tour: %v\n%s", err, out)
	}
	return path
}

// The tour goes well, twice at the same time, and nothing is left of it.
func TestTour(t *testing.T) {
	t.Parallel() // it mostly waits
	program := buildTour(t)
	temp := t.TempDir()
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			out, err := stack.Run(ctx, "env", "TMPDIR="+temp, program, "-bin", bin, "-only")
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			} else if !strings.Contains(out, "all as they should be") {
				err = fmt.Errorf("no verdict:\n%s", out)
			}
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	nothingLeft(t, temp)
}

// Whichever way the tour ends while it stays up, nothing is left.
func TestTourInterrupted(t *testing.T) {
	t.Parallel() // it mostly waits
	program := buildTour(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			temp := t.TempDir()
			p := &stack.Process{Name: "tour", Path: "/usr/bin/env", Args: []string{"TMPDIR=" + temp, program, "-bin", bin}, LogFile: filepath.Join(t.TempDir(), "log")}
			must(t, p.Start())
			t.Cleanup(func() { _ = p.Kill() })
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if err := stack.Until(ctx, func() bool { return strings.Contains(p.Log(), "stays up until Ctrl-C") }); err != nil {
				t.Fatalf("it does not stay up:\n%s", p.Log())
			}
			must(t, p.Signal(sig))
			if status, err := p.Wait(ctx); err != nil || status != 0 {
				t.Errorf("status %d, %v:\n%s", status, err, p.Log())
			}
			nothingLeft(t, temp)
		})
	}
}

// Killed, the tour cannot clean up; its processes must not outlive it all the same.
func TestTourKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	program := buildTour(t)
	temp := t.TempDir()
	p := &stack.Process{Name: "tour", Path: "/usr/bin/env", Args: []string{"TMPDIR=" + temp, program, "-bin", bin}, LogFile: filepath.Join(t.TempDir(), "log")}
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Kill() })
	within(t, "the tour's processes", func() bool { return len(using(t, temp)) > 4 })
	must(t, p.Kill())
	within(t, "no process", func() bool { return len(using(t, temp)) == 0 })
}

// nothingLeft looks for files in the temporary folder, and for processes that
// were started with files of it (their sockets and ports end with them).
func nothingLeft(t *testing.T, temp string) {
	t.Helper()
	files, err := os.ReadDir(temp)
	must(t, err)
	for _, f := range files {
		t.Errorf("left behind: %s", f.Name())
	}
	for _, p := range using(t, temp) {
		t.Errorf("still running: %s", p)
	}
}

// using lists processes that have a folder in their command line.
func using(t *testing.T, dir string) (all []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte(dir)) { // it may have ended meanwhile
			all = append(all, path+": "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return all
}
