package xdp

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const insideKey = "STRATA_XDP_INSIDE"

// The tests run in a network namespace of their own, where that can be made.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(insideKey) != "" {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	again := exec.Command(self, os.Args[1:]...)
	again.Env = append(os.Environ(), insideKey+"=yes")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := again.Run(); err == nil {
		os.Exit(0)
	} else if again.ProcessState == nil {
		fmt.Println("no network namespace can be made:", err)
		os.Exit(m.Run())
	}
	os.Exit(1)
}

func needInside(t testing.TB) {
	t.Helper()
	if os.Getenv(insideKey) == "" {
		t.Skip("needs root, to load XDP programs in a network namespace")
	}
}

func ip(t testing.TB, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
	return string(out)
}

// newLink makes a pair of interfaces, whose first is returned.
func newLink(t *testing.T) string {
	t.Helper()
	needInside(t)
	ip(t, "link add xdp0 type veth peer name xdp1")
	t.Cleanup(func() { ip(t, "link del xdp0") })
	ip(t, "link set xdp0 up")
	ip(t, "link set xdp1 up")
	return "xdp0"
}

func newLog() (*slog.Logger, *bytes.Buffer) {
	b := new(bytes.Buffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b
}
