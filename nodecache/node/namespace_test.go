package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const (
	insideVariable = "STRATA_TEST_NAMESPACE" // set: this process has a network namespace of its own
	serveVariable  = "STRATA_TEST_SERVE"     // "interface address…": have these until told to end
)

// The tests change addresses: they run in a network namespace of their own, as a
// child of what was started. Where that is not permitted they are skipped.
func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		os.Exit(serve())
	}
	if os.Getenv(insideVariable) != "" {
		goleak.VerifyTestMain(m)
		return
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(ended.ExitCode())
	case err != nil:
		os.Exit(m.Run())
	}
}

// alone skips the test outside of a namespace of its own, has lo up and no
// address of ours on it.
func alone(t *testing.T) {
	t.Helper()
	if os.Getenv(insideVariable) == "" {
		t.Skip("a network namespace of its own is not permitted here")
	}
	ip(t, "link", "set", "lo", "up")
	t.Cleanup(func() {
		for _, a := range listed(t) {
			t.Errorf("left behind: %v", a)
			_ = change(unix.RTM_DELADDR, a.ip, a.bits, a.link, "")
		}
	})
}

// ip runs ip(8).
func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no ip: make deps installs it")
	}
	if err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

// listed are the addresses that a new namespace does not have.
func listed(t *testing.T) (all []address) {
	t.Helper()
	there, err := addresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range there {
		if !a.ip.IsLoopback() && !(a.ip.Is6() && a.ip.IsLinkLocalUnicast()) {
			all = append(all, a)
		}
	}
	return all
}

// has tells whether the host has exactly these addresses.
func has(t *testing.T, want ...string) bool {
	t.Helper()
	there := listed(t)
	if len(there) != len(want) {
		return false
	}
	for i, a := range there {
		if a.ip.String() != want[i] {
			return false
		}
	}
	return true
}

func see(t *testing.T, want ...string) {
	t.Helper()
	if !has(t, want...) {
		t.Errorf("addresses %v, want %v", listed(t), want)
	}
}

// within waits until something holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen in 20 s: %s", what)
		}
	}
}

func settings(link string, list ...string) Config {
	c := Config{Interface: link}
	for _, a := range list {
		c.Addresses = append(c.Addresses, netip.MustParseAddr(a))
	}
	return c
}

// serve is the other process: it has addresses until SIGTERM.
func serve() int {
	fields := strings.Fields(os.Getenv(serveVariable))
	told, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	n, err := Open(settings(fields[0], fields[1:]...), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("serving")
	if err := n.Run(told); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// A process is another that has addresses.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	said string // its first line
}

// start starts another process and waits until it has the addresses, or could not.
func start(t *testing.T, link string, list ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveVariable+"="+link+" "+strings.Join(list, " "))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	p := &process{t: t, cmd: cmd, said: strings.TrimSpace(line)}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			p.end(syscall.SIGKILL)
		}
	})
	return p
}

// end ends it by a signal.
func (p *process) end(sig syscall.Signal) {
	p.t.Helper()
	_ = p.cmd.Process.Signal(sig)
	if err := p.cmd.Wait(); err != nil && sig != syscall.SIGKILL {
		p.t.Errorf("the other process: %v", err)
	}
}
