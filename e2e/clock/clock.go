package clock

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRefused is a kernel, or a sandbox, that lets nobody trace or filter.
var ErrRefused = errors.New("ptrace or seccomp is not permitted")

// A Clock is the wall clock of the processes that it launches. Its methods may be
// called from any goroutine.
type Clock struct {
	offset   atomic.Int64 // ns
	readings atomic.Uint64
	listener int
	end      *os.File // closed: nobody answers any more
	work     chan func()
	answered chan struct{} // closed when the answering has ended
}

// New makes a clock that goes with the machine's. Errors wrap ErrRefused where the
// machine does not allow it.
func New() (*Clock, error) {
	waiting, end, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make clock: %w", err)
	}
	c := &Clock{end: end, work: make(chan func()), answered: make(chan struct{})}
	filtered := make(chan error)
	go c.thread(filtered)
	if err := <-filtered; err != nil {
		return nil, fmt.Errorf("make clock: %w", errors.Join(refused(err), waiting.Close(), end.Close()))
	}
	go c.answer(waiting)
	return c, nil
}

// refused says so in the words of this package.
func refused(err error) error {
	for _, no := range []error{unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EINVAL} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return err
}

// thread is an OS thread with the filter, which its children inherit, and which asks
// for the time over its vDSO itself. It lives as long as the clock: children end with
// the thread that made them (PR_SET_PDEATHSIG), and only that may trace them.
func (c *Clock) thread(filtered chan<- error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	listener, err := filter()
	c.listener = listener
	filtered <- err
	if err != nil {
		return
	}
	for f := range c.work {
		f()
	}
}

// Set sets the clock so far ahead of the machine's.
func (c *Clock) Set(ahead time.Duration) { c.offset.Store(int64(ahead)) }

// Now is what the clock shows.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())).Round(0) }

// Readings is how often processes have asked for the time.
func (c *Clock) Readings() uint64 { return c.readings.Load() }

// Launch starts a command with the clock. It does not outlive this process and gets no
// signal from its terminal. Errors wrap ErrRefused where nobody may be traced.
func (c *Clock) Launch(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Ptrace: true}
	launched := make(chan error)
	c.work <- func() { launched <- launch(cmd) }
	return <-launched
}

func launch(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return refused(err)
	}
	pid := cmd.Process.Pid
	err := crossOut(pid)
	if err == nil {
		err = unix.PtraceDetach(pid)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return refused(fmt.Errorf("take the vDSO from process %d: %w", pid, err))
	}
	return nil
}

// Close ends the clock, and the processes that it launched with it.
func (c *Clock) Close() error {
	close(c.work)
	err := c.end.Close()
	<-c.answered
	return err
}
