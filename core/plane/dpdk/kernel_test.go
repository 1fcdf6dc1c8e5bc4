//go:build dpdk

package dpdk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/plane/frame"
)

func TestXDPDevice(t *testing.T) {
	for _, c := range []struct {
		args        []string
		port, iface string
	}{
		{[]string{"--vdev=net_af_xdp0,iface=eth1"}, "net_af_xdp0", "eth1"},
		{[]string{"--vdev=net_af_xdp_b,start_queue=2,iface=eth1,queue_count=4"}, "net_af_xdp_b", "eth1"},
		{[]string{"--vdev", "net_af_xdp0,iface=eth1"}, "net_af_xdp0", "eth1"},
		{[]string{"--no-pci", "net_af_xdp0,iface=eth1"}, "", ""},
		{[]string{"net_af_xdp0,iface=eth1"}, "", ""},
		{[]string{"--vdev=net_af_xdp0"}, "", ""}, // the driver says what is missing
		{[]string{"--vdev=net_af_xdp0,iface=eth1,xdp_prog=/etc/own.o"}, "", ""},
		{[]string{"--vdev=net_af_packet0,iface=eth1"}, "", ""},
		{[]string{"--no-pci"}, "", ""},
	} {
		port, iface, ok := xdpDevice(c.args, len(c.args)-1)
		if port != c.port && ok || iface != c.iface && ok || ok != (c.port != "") {
			t.Errorf("%q: %q, %q, %v", c.args, port, iface, ok)
		}
	}
}

// newException has one port; wake is told of frames.
func newException() (e *exception, wake chan struct{}) {
	wake = make(chan struct{}, 1)
	return &exception{wake: wake, macs: [][6]byte{{2, 0, 0, 0, 0, 1}}}, wake
}

func framed(to [6]byte, payload string) []byte {
	return append(append(to[:], 2, 0, 0, 0, 0, 9, 8, 0), payload...)
}

// TestOffer: what the kernel gets.
func TestOffer(t *testing.T) {
	own, other, everybody, group := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, [6]byte{1, 0, 0x5e}
	for v := range frame.Verdicts {
		want := v == frame.Foreign || v == frame.Other || v == frame.Fragment || v == frame.Options
		for to, meant := range map[[6]byte]bool{own: true, other: false, everybody: true, group: true} {
			e, _ := newException()
			e.offer(framed(to, "something"), v, 0)
			got := false
			e.drain(func(via byte, b []byte) error {
				got = via == 0 && bytes.Equal(b, framed(to, "something"))
				return nil
			})
			if got != (want && meant) {
				t.Errorf("%s to %x: %v", v, to, got)
			}
		}
	}
}

// TestOfferBounded: what is too much, or too long, is dropped and counted; what waits is given
// in order, also over the end of the ring.
func TestOfferBounded(t *testing.T) {
	e, wake := newException()
	to := e.macs[0]
	for round := range 3 {
		for i := range maxExceptions + 10 {
			e.offer(framed(to, fmt.Sprint(i)), frame.Other, 0)
		}
		select {
		case <-wake:
		default:
			t.Error("nobody was woken")
		}
		next := 0
		e.drain(func(_ byte, b []byte) error {
			if string(b[14:]) != fmt.Sprint(next) {
				t.Fatalf("%s, want %d", b[14:], next)
			}
			next++
			return nil
		})
		if full := e.full.Load(); next != maxExceptions || full != uint64(round+1)*10 {
			t.Errorf("%d were given, %d dropped", next, full)
		}
	}
	e.offer(framed(to, strings.Repeat("x", 2048)), frame.Other, 0)
	e.offer(framed(to, "refused"), frame.Other, 0)
	e.drain(func(byte, []byte) error { return errors.New("down") })
	if up, full := e.up.Load(), e.full.Load(); up != 3*maxExceptions || full != 32 {
		t.Errorf("%d up, %d dropped", up, full)
	}
}

// TestOfferAllocates nothing, and the two ends need no lock.
func TestOfferAllocates(t *testing.T) {
	e, wake := newException()
	b := framed(e.macs[0], "something")
	given := make(chan int)
	go func() {
		n := 0
		for range wake {
			e.drain(func(byte, []byte) error { n++; return nil })
		}
		given <- n
	}()
	if n := testing.AllocsPerRun(1000, func() { e.offer(b, frame.Other, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	close(wake)
	if n := <-given; uint64(n)+e.full.Load() != 1001 {
		t.Errorf("%d given, %d dropped", n, e.full.Load())
	}
}

// TestXDPRefused: what is against our program on an interface is one clear error.
func TestXDPRefused(t *testing.T) {
	clients := needInside(t)
	device := "--vdev=net_af_xdp0,iface=" + portName
	refused := func(c *exec.Cmd, want ...string) {
		t.Helper()
		out, err := c.CombinedOutput()
		// libbpf has a line of its own on standard error.
		if err == nil || strings.Count("\n"+string(out), "\ndpdk: ") != 1 || !strings.HasSuffix(string(out), "\n") {
			t.Errorf("%v: %s", err, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s\nwant %q", out, w)
			}
		}
	}
	refused(command(t, lastCPU(), "--vdev=net_af_xdp0,iface=nosuch0"), "dpdk: port net_af_xdp0: interface nosuch0: Link not found")

	// A veth takes no program while its peer sends frames longer than a page.
	if err := ip("-n", clients, "link", "set", "eth0", "mtu", "9000"); err != nil {
		t.Fatal(err)
	}
	refused(command(t, lastCPU(), device), "dpdk: interface "+portName+": attach the program: ")
	if err := ip("-n", clients, "link", "set", "eth0", "mtu", "1500"); err != nil {
		t.Fatal(err)
	}

	p := start(t, device)
	refused(command(t, lastCPU(), device), "dpdk: port net_af_xdp0: interface "+portName+": another process of ours serves it")
	p.end(t)

	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("needs setpriv (util-linux), to go without capabilities")
	}
	c := command(t, lastCPU(), device)
	without := exec.CommandContext(t.Context(), "setpriv", "--bounding-set", "-net_admin,-bpf,-sys_admin", c.Path)
	without.Env = c.Env
	refused(without, "to steer queries to the plane this process lacks CAP_NET_ADMIN, CAP_BPF")
}

// TestXDPLessPrivileged: CAP_SYS_ADMIN is not needed.
func TestXDPLessPrivileged(t *testing.T) {
	needInside(t)
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("needs setpriv (util-linux), to go without capabilities")
	}
	c := command(t, lastCPU(), "--vdev=net_af_xdp0,iface="+portName)
	without := exec.CommandContext(t.Context(), "setpriv", "--bounding-set", "-sys_admin", c.Path)
	without.Env = c.Env
	p := startCommand(t, without)
	p.end(t)
}

// startCommand waits until a child is ready.
func startCommand(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	p := &process{c, bufio.NewReader(out)}
	if line, err := p.out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready dpdk ") {
		t.Fatalf("not ready: %v: %s", err, line)
	}
	return p
}

// TestReceiveQueues: of an interface that there is, and of one that is not.
func TestReceiveQueues(t *testing.T) {
	if lo, none := receiveQueues("lo"), receiveQueues("nosuch0"); lo != 1 || none != 0 {
		t.Errorf("lo has %d, nosuch0 %d", lo, none)
	}
}
