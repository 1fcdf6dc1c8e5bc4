package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A space is a network namespace, and an OS thread that stays in it: processes that
// the thread starts are in the namespace and end with this process, since the
// kernel sends PR_SET_PDEATHSIG when the thread that made a child ends (prctl(2)).
type space struct {
	net  *os.File // the namespace
	work chan func()
	done chan struct{} // closed with the space
}

// newSpace makes a namespace with loopback up. It fails with [ErrUnable] where that
// is not allowed (not root) or not in this kernel.
func newSpace() (*space, error) {
	s := &space{work: make(chan func()), done: make(chan struct{})}
	made := make(chan error)
	go s.live(made)
	if err := <-made; err != nil {
		return nil, fmt.Errorf("%w: make a network namespace: %w", ErrUnable, err)
	}
	// Nothing here speaks IPv6; without it no interface announces itself.
	if err := s.sysctl("ipv6/conf/all/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.close()
		return nil, err
	}
	if err := s.ip("link set lo up"); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// live makes the namespace, and works in it until the space is closed.
func (s *space) live(made chan<- error) {
	// Never unlocked: the thread ends with the goroutine and is not used again.
	runtime.LockOSThread()
	err := syscall.Unshare(syscall.CLONE_NEWNET)
	if err == nil {
		s.net, err = os.Open("/proc/thread-self/ns/net")
	}
	made <- err
	if err != nil {
		return
	}
	for {
		select {
		case f := <-s.work:
			f()
		case <-s.done:
			return
		}
	}
}

// close lets go of the namespace and ends what was started in it.
func (s *space) close() {
	close(s.done)
	s.net.Close()
}

// do calls f on the space's thread.
func (s *space) do(f func() error) error {
	err := make(chan error)
	select {
	case s.work <- func() { err <- f() }:
		return <-err
	case <-s.done:
		return net.ErrClosed
	}
}

// path names the namespace for the commands of other namespaces.
func (s *space) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.net.Fd()) }

// start starts a command in the namespace, in a process group of its own.
func (s *space) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return s.do(cmd.Start)
}

// run runs a command in the namespace to its end. The error has what it complained
// about.
func (s *space) run(input, program string, args ...string) (output string, err error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err = s.start(cmd); err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), err
}

// ip runs commands of ip(8), one a line.
func (s *space) ip(lines ...string) error {
	_, err := s.run(strings.Join(lines, "\n"), "ip", "-batch", "-")
	if err != nil {
		return fmt.Errorf("%q: %w", lines, err)
	}
	return nil
}

// brisk is a command of ip(8) that has an interface ask ten times a second, rather
// than once, for a neighbour it does not hear, lest stories measure ARP.
func brisk(name string) string {
	return "ntable change name arp_cache dev " + name + " retrans 100 ucast_probes 10 mcast_probes 10"
}

// sysctl sets a variable of /proc/sys/net, which shows each thread its own
// namespace.
func (s *space) sysctl(name, value string) error {
	return s.do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// visit calls f on a thread that is in the namespace meanwhile. Sockets that f
// opens stay there. f must not hand work to other goroutines.
func (s *space) visit(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err := unix.Setns(int(s.net.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		err = f()
		// A thread that doesn't find home stays locked and ends here.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// dial connects from the namespace to a literal address.
func (s *space) dial(network, address string, limit time.Duration) (conn net.Conn, err error) {
	err = s.visit(func() error {
		conn, err = net.DialTimeout(network, address, limit)
		return err
	})
	return conn, err
}
