package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a process may take to end after SIGTERM before it is
// killed: daemons drain for 5 s and end for 5 s at most, on a machine that is not busy.
const stopLimit = 30 * time.Second

// A Process is one program of the stack. It can be stopped and started again.
type Process struct {
	Name    string // for people: "recursor dc1"
	Path    string // of the program
	Args    []string
	LogFile string // stdout and stderr of all its runs

	// Launch starts its command elsewhere than on this host; nil: here.
	Launch func(*exec.Cmd) error

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the running cmd has been waited for
}

// Start starts it. Wait for what it is to do with Stack.Ready.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it runs already", p.Name)
	}
	log, err := os.OpenFile(p.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	start := Launch
	if p.Launch != nil {
		start = p.Launch
	}
	if err := start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // ProcessState says how it ended
		close(ended)
	}()
	return nil
}

// environment is this process's own without what would change a daemon's config
// or make it talk to a service manager.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "STRATA_") || strings.HasPrefix(v, "LISTEN_") ||
			strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "WATCHDOG_")
	})
}

// running is Running for who holds the lock.
func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Running tells whether it has been started and has not ended.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// PID is the process's ID, 0 when it does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// Signal sends a signal to the running process. After SIGSTOP it returns when all of
// its threads have stopped: until then one may still answer.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("signal %s: %w", p.Name, os.ErrProcessDone)
	}
	if err := p.cmd.Process.Signal(sig); err != nil || sig != syscall.SIGSTOP {
		return err
	}
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return Until(limit, func() bool { return stopped(p.cmd.Process.Pid) })
}

// stopped tells whether all threads of a process are (state T, proc_pid_stat(5)).
func stopped(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return err == nil && !slices.ContainsFunc(stats, func(name string) bool {
		text, err := os.ReadFile(name)
		_, state, ok := strings.Cut(string(text), ") ")
		return err == nil && (!ok || !strings.HasPrefix(state, "T"))
	})
}

// Wait waits until the process has ended, and returns its exit status: -1 after
// a signal. The error is that of ctx.
func (p *Process) Wait(ctx context.Context) (status int, err error) {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd == nil {
		return 0, fmt.Errorf("wait for %s: it was never started", p.Name)
	}
	select {
	case <-ended:
		return cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for %s: %w", p.Name, ctx.Err())
	}
}

// Stop ends it: SIGTERM, and SIGKILL for its whole group if that takes longer
// than half a minute. Anything but exit status 0 is an error, as is having been killed.
func (p *Process) Stop() error {
	if !p.Running() {
		return nil
	}
	_ = p.Signal(syscall.SIGTERM) // fails only when it ends by itself just now
	_ = p.Signal(syscall.SIGCONT) // it may have been stopped
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	status, err := p.Wait(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("stop %s: it did not end within %s of SIGTERM", p.Name, stopLimit), p.Kill())
	}
	if status != 0 {
		return fmt.Errorf("stop %s: exit status %d; its log ends:\n%s", p.Name, status, p.Tail(5))
	}
	return nil
}

// Kill ends it and its group at once, with SIGKILL, and waits for the end.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.ended
	return nil
}

// Log is what the process has written so far, in all its runs.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Resident is the process's resident memory in octets, without pages that it
// shares with files (RssAnon and RssShmem of /proc/PID/status, proc(5)).
func (p *Process) Resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read memory of %s: %w", p.Name, err)
	}
	var sum int64
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(line), ":")
		if key != "RssAnon" && key != "RssShmem" {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read memory of %s: %w", p.Name, err)
		}
		sum += n << 10
	}
	return sum, nil
}
