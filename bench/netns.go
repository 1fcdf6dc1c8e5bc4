package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Wire is two network namespaces with a veth pair between them: two hosts.
type Wire struct{ server, client string }

// The ends of a Wire.
const (
	wireServer = "10.77.0.53"
	wireClient = "10.77.0.9"
	wireEnd    = "eth0" // in both
)

// newWire makes one; close removes it.
func newWire() (*Wire, error) {
	name := "strata-bench-" + strconv.Itoa(os.Getpid())
	w := &Wire{server: name + "-s", client: name + "-c"}
	for _, args := range []string{
		"netns add " + w.server, "netns add " + w.client,
		"-n " + w.server + " link add " + wireEnd + " numrxqueues 1 numtxqueues 1 type veth peer name " + wireEnd + " numrxqueues 1 numtxqueues 1 netns " + w.client,
		"-n " + w.server + " addr add " + wireServer + "/24 dev " + wireEnd,
		"-n " + w.client + " addr add " + wireClient + "/24 dev " + wireEnd,
		"-n " + w.server + " link set lo up", "-n " + w.client + " link set lo up",
		"-n " + w.server + " link set " + wireEnd + " up", "-n " + w.client + " link set " + wireEnd + " up",
	} {
		if err := ip(args); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func (w *Wire) close() {
	_ = ip("netns del " + w.server)
	_ = ip("netns del " + w.client)
}

// know has the client know the server's Ethernet address: a server that takes all frames of
// its port answers for addresses that no kernel has.
func (w *Wire) know() error {
	out, err := exec.Command("ip", "netns", "exec", w.server, "cat", "/sys/class/net/"+wireEnd+"/address").Output()
	if err != nil {
		return fmt.Errorf("read the server's Ethernet address: %w", err)
	}
	return ip("-n " + w.client + " neigh replace " + wireServer + " lladdr " + strings.TrimSpace(string(out)) + " dev " + wireEnd)
}

func ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// dialerIn dials in the named network namespace, or, without a name, in this program's.
func dialerIn(namespace string) func(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if namespace == "" {
		return d.DialContext
	}
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = within(namespace, func() error {
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// within calls f on a thread that is in the named network namespace. The thread comes back:
// servers that it started would be killed with it (PR_SET_PDEATHSIG).
func within(namespace string, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	defer here.Close()
	there, err := os.Open(filepath.Join("/var/run/netns", namespace))
	if err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	err = f()
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		panic("leave " + namespace + ": " + back.Error()) // nothing that this thread does now would be right
	}
	return err
}
