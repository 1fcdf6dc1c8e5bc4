//go:build dpdk

package dpdk

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/plane/planetest"
)

// A tap's other end is an interface of this kernel. It has checksum offloads, receive
// interrupts and several queues, as cards do.
const tapPort = "tap53"

func startTap(t *testing.T, idle, lcores string) *process {
	t.Helper()
	needInside(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun, for a tap")
	}
	p := startIdle(t, idle, lcores, "--vdev=net_tap0,iface="+tapPort)
	for _, args := range []string{
		// The driver gives its own Ethernet address to the interface.
		"link set " + tapPort + " address 02:00:00:00:00:09",
		"addr add 10.0.0.9/24 dev " + tapPort, "addr add fd53::9/64 dev " + tapPort + " nodad",
		"link set " + tapPort + " up",
	} {
		if err := ip(strings.Fields(args)...); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// asks asks until there is a reply, which a lost frame may put off. Those to what was asked before
// may come late, and twice.
func asks(t *testing.T, c planetest.Asker, question string) time.Duration {
	t.Helper()
	other := "no reply"
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		began := time.Now()
		if err := c.Ask([]byte(question)); err != nil {
			t.Fatal(err)
		}
		for b, err := c.Reply(time.Second); err == nil; b, err = c.Reply(time.Second) {
			if string(b) == strings.ToUpper(question) {
				return time.Since(began)
			}
			other = string(b)
		}
	}
	t.Fatalf("%q is answered %q", question, other)
	return 0
}

func dialHere(t *testing.T, to netip.Addr) planetest.Asker {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return asker{c}
}

// TestOffload: the port writes and looks at checksums, which the kernel at its other end
// verifies.
func TestOffload(t *testing.T) {
	p := startTap(t, "backoff", lastCPU())
	for _, to := range []netip.Prefix{service4, service6} {
		c := dialHere(t, to.Addr())
		for _, question := range []string{"who has it", "odd", strings.Repeat("long", 300)} {
			asks(t, c, question)
		}
	}
	said := p.end(t)
	if !strings.Contains(said, "Sums:true Checks:true") {
		t.Errorf("the port does not do checksums:\n%s", said)
	}
}

// TestIdle: an lcore without traffic sleeps, and yet answers what comes.
func TestIdle(t *testing.T) {
	for _, idle := range []string{"backoff", "interrupt"} {
		t.Run(idle, func(t *testing.T) {
			p := startTap(t, idle, lastCPU())
			c := dialHere(t, service4.Addr())
			asks(t, c, "who has it")
			var slowest time.Duration
			before, began := p.used(t), time.Now()
			for range 5 {
				for quiet := time.Now().Add(400 * time.Millisecond); time.Now().Before(quiet); {
					time.Sleep(time.Until(quiet))
				}
				slowest = max(slowest, asks(t, c, "after a while"))
			}
			share := (p.used(t) - before).Seconds() / time.Since(began).Seconds()
			t.Logf("idle: %.1f %% of a CPU; slowest reply after 400 ms: %s", 100*share, slowest)
			// It is 1 or 2 %; polling is 100 %.
			if share > 0.2 {
				t.Errorf("idle, and yet %.0f %% of a CPU", 100*share)
			}
			if said := p.end(t); strings.Contains(said, "Naps:0") {
				t.Errorf("it never slept:\n%s", said)
			}
		})
	}
}

// used is the CPU time that a process has had.
func (p *process) used(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+2:])
	ticks := 0
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(string(f))
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// TestQueues: clients reach all lcores, each of which answers.
func TestQueues(t *testing.T) {
	needInside(t)
	if runtime.NumCPU() < 2 {
		t.Skip("needs two CPUs")
	}
	for _, idle := range []string{"backoff", "interrupt"} {
		t.Run(idle, func(t *testing.T) {
			p := startTap(t, idle, "0,1")
			for range 64 {
				asks(t, dialHere(t, service4.Addr()), "who has it")
			}
			said := p.end(t)
			for _, line := range strings.Split(said, "\n") {
				var got, sent int
				if n, _ := fmt.Sscanf(line, "received %d sent %d", &got, &sent); n == 2 && (got == 0 || sent == 0) {
					t.Errorf("an lcore without queries:\n%s", said)
				}
			}
			if strings.Count(said, "received ") != 2 {
				t.Errorf("not two lcores:\n%s", said)
			}
		})
	}
}
