package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	four = "169.254.20.10"
	six  = "fd00::10"
)

func open(t *testing.T, c Config) *Node {
	t.Helper()
	n, err := Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// What is added can be bound to at once, and nothing of it stays.
func TestAddAndRemove(t *testing.T) {
	alone(t)
	n := open(t, settings("lo", four, six))
	see(t, four, six)
	for _, a := range []string{four + ":53", "[" + six + "]:53"} {
		c, err := net.ListenPacket("udp", a)
		if err != nil {
			t.Errorf("right after it was added: %v", err)
			continue
		}
		_ = c.Close()
	}
	n.Close()
	see(t)
}

// An interface is made, and goes with its last address. The kernel of this test may
// have no dummy: an ifb carries nothing either.
func TestInterface(t *testing.T) {
	alone(t)
	old := kind
	t.Cleanup(func() { kind = old })
	probe := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, LinkType: kind}
	if err := netlink.LinkAdd(probe); errors.Is(err, unix.EOPNOTSUPP) {
		kind = "ifb"
		probe.LinkType = kind
		if err := netlink.LinkAdd(probe); err != nil {
			t.Skipf("neither dummy nor ifb interfaces: %v", err)
		}
	}
	ip(t, "link", "del", "probe")

	n, second := open(t, settings("strata0", four, six)), open(t, settings("strata0", six))
	see(t, four, six)
	l, err := netlink.LinkByName("strata0")
	if err != nil || l.Attrs().Flags&net.FlagUp == 0 {
		t.Fatalf("strata0: %v %v", l, err)
	}
	n.Close()
	see(t, six)
	second.Close()
	see(t)
	if _, err := netlink.LinkByName("strata0"); err == nil {
		t.Error("strata0 is still there")
	}

	ip(t, "link", "add", "theirs", "type", kind)
	n = open(t, settings("theirs", four))
	n.Close()
	see(t)
	ip(t, "link", "del", "theirs") // it is still there
}

// Where there is no dummy the address comes to lo.
func TestNoDummy(t *testing.T) {
	alone(t)
	old := kind
	kind = "nosuchkind"
	t.Cleanup(func() { kind = old })
	var log bytes.Buffer
	n, err := Open(settings("strata0", four), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if !strings.Contains(ip(t, "addr", "show", "lo"), four) || !strings.Contains(log.String(), "no dummy interfaces") {
		t.Errorf("%s\n%s", ip(t, "addr"), log.String())
	}
}

// An address that was there before is used, and stays.
func TestSomebodyElses(t *testing.T) {
	alone(t)
	ip(t, "addr", "add", four+"/32", "dev", "lo")
	open(t, settings("strata0", four)).Close()
	see(t, four)
	ip(t, "addr", "del", four+"/32", "dev", "lo")
}

// While an old and a new process overlap, in any order of ends, the address stays
// until the last is gone.
func TestOverlap(t *testing.T) {
	alone(t)
	for range 5 {
		old := start(t, "lo", four, six)
		fresh := start(t, "lo", four, six)
		see(t, four, six)
		old.end(syscall.SIGTERM)
		see(t, four, six)
		third := start(t, "lo", four)
		fresh.end(syscall.SIGTERM)
		see(t, four)
		third.end(syscall.SIGTERM)
		see(t)
	}
}

// The old one ends at the very moment at which new ones start, again and again: who
// has come always has the address.
func TestComingAndGoing(t *testing.T) {
	alone(t)
	before := open(t, settings("lo", four))
	for range 100 {
		var both sync.WaitGroup
		both.Go(before.Close)
		fresh := open(t, settings("lo", four))
		both.Wait()
		if !has(t, four) {
			t.Fatal("the address went with the old one")
		}
		before = fresh
	}
	before.Close()
}

// What a killed process left is taken over, and what nobody wants is swept.
func TestKilled(t *testing.T) {
	alone(t)
	old := start(t, "lo", four, six, "169.254.20.11")
	old.end(syscall.SIGKILL)
	see(t, four, "169.254.20.11", six)
	n := open(t, settings("lo", four, six))
	see(t, four, six)
	n.Close()
	see(t)
}

// What somebody removes is put back, and told.
func TestPutBack(t *testing.T) {
	alone(t)
	var log bytes.Buffer
	n, err := Open(settings("lo", four, six), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	for i := range 3 {
		ip(t, "addr", "del", four+"/32", "dev", "lo")
		ip(t, "addr", "del", six+"/128", "dev", "lo")
		within(t, "both are back", func() bool {
			return has(t, four, six) && testutil.ToFloat64(n.Metric()) == float64(2*(i+1))
		})
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	see(t)
	if got := strings.Count(log.String(), "put back"); got != 6 {
		t.Errorf("told %d times:\n%s", got, log.String())
	}
}

// Without the capability the error says which; an address that is there already
// needs none.
func TestNoCapability(t *testing.T) {
	alone(t)
	refused := withoutCapability(t, func() error {
		n, err := Open(settings("lo", four), slog.New(slog.DiscardHandler))
		if err == nil {
			n.Close()
		}
		return err
	})
	if refused == nil || !strings.Contains(refused.Error(), "node: add 169.254.20.10 to lo: operation not permitted: it needs CAP_NET_ADMIN") {
		t.Errorf("got %v", refused)
	}
	ip(t, "addr", "add", four+"/32", "dev", "lo")
	defer ip(t, "addr", "del", four+"/32", "dev", "lo")
	if err := withoutCapability(t, func() error {
		n, err := Open(settings("lo", four), slog.New(slog.DiscardHandler))
		if err == nil {
			n.Close()
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// Where IPv6 is switched off, it is said so, and nothing of what was added stays.
func TestNoIPv6(t *testing.T) {
	alone(t)
	const off = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"
	if err := os.WriteFile(off, []byte("1"), 0); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(off, []byte("0"), 0) })
	_, err := Open(settings("lo", four, six), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "add fd00::10 to lo: permission denied: IPv6 is switched off there") {
		t.Errorf("got %v", err)
	}
	see(t)
}
