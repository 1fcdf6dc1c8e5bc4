package listen_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/e2e/stack"
)

// A shout answers with capital letters, and says over what the query came.
type shout struct{ stream bool }

func (s shout) Answer(batch []plane.Packet, _ plane.Queue) {
	for i := range batch {
		p := &batch[i]
		over := "udp "
		if s.stream {
			over = "tcp "
		}
		if p.Stream != s.stream {
			over = "mixed up "
		}
		p.Data = append(p.Data[:0], over+strings.ToUpper(string(p.Data))...)
	}
}

// options listen on the addresses with two workers each.
func options(addresses ...string) listen.Options {
	o := listen.Options{Workers: 2, MaxUDP: 1232, Handler: func(_ netip.AddrPort, stream bool) plane.Handler { return shout{stream} }}
	for _, a := range addresses {
		o.Addresses = append(o.Addresses, netip.MustParseAddrPort(a))
	}
	return o
}

func newDaemon() *daemon.Daemon {
	return daemon.New(daemon.Options{Name: "test", Log: slog.New(slog.DiscardHandler)})
}

// run runs a daemon until the test ends and returns the addresses it listens on.
func run(t *testing.T, d *daemon.Daemon) (addresses []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(5 * time.Second); !d.Ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not ready")
		}
	}
	for _, task := range d.Overview().Tasks {
		if a, ok := strings.CutPrefix(task.Name, "socket "); ok {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

func ask(t *testing.T, network, address, query string) string {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if network == "tcp" {
		query = string([]byte{0, byte(len(query))}) + query
	}
	if _, err := io.WriteString(c, query); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if network == "tcp" {
		if n > 2 {
			return string(buf[2:n])
		}
		m, err := io.ReadFull(c, buf[:buf[1]])
		if err != nil {
			t.Fatal(err)
		}
		n = m
	}
	return string(buf[:n])
}

func TestBothProtocolsOnEachAddress(t *testing.T) {
	d := newDaemon()
	if err := listen.Add(d, options("127.0.0.1:0", "[::1]:0")); err != nil {
		t.Fatal(err)
	}
	addresses := run(t, d)
	if len(addresses) != 2 {
		t.Fatalf("listening on %v", addresses)
	}
	for _, a := range addresses {
		for _, network := range []string{"udp", "tcp"} {
			if got := ask(t, network, a, "a query of some length"); got != network+" A QUERY OF SOME LENGTH" {
				t.Errorf("%s over %s: %q", a, network, got)
			}
		}
	}
	n, err := testutil.GatherAndCount(d.Registry(), "strata_udp_total", "strata_tcp_total", "strata_tcp_connections")
	if err != nil || n != 2*(2*8+11+1) {
		t.Errorf("%d metrics, %v", n, err)
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := options("127.0.0.1:0", taken.LocalAddr().String())
	err = listen.Add(newDaemon(), o)
	if err == nil || !strings.Contains(err.Error(), taken.LocalAddr().String()) || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("%v", err)
	}
}

// TestInherited hands sockets over as the service manager does, to a child that
// asks itself over them.
func TestInherited(t *testing.T) {
	if os.Getenv("LISTEN_FDS") != "" && os.Getenv("STRATA_TEST_CHILD") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		child(t)
		return
	}
	address := stack.Loopback(stack.FreePort(t))
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	uf, err := udp.File()
	if err != nil {
		t.Fatal(err)
	}
	defer uf.Close()
	tf, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer tf.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(self, []string{self, "-test.run=^TestInherited$", "-test.v"}, &os.ProcAttr{
		Env:   append(os.Environ(), "LISTEN_FDS=2", "STRATA_TEST_CHILD="+udp.LocalAddr().String()),
		Files: []*os.File{nil, os.Stdout, os.Stderr, uf, tf},
	})
	if err != nil {
		t.Fatal(err)
	}
	// From here on only the child reads from the sockets.
	state, err := p.Wait()
	if err != nil || !state.Success() {
		t.Errorf("child: %v, %v", state, err)
	}
}

func child(t *testing.T) {
	d := newDaemon()
	if err := listen.Add(d, options(os.Getenv("STRATA_TEST_CHILD"))); err != nil {
		t.Fatal(err) // without the inherited sockets: in use, by the parent
	}
	a := run(t, d)[0]
	if a != os.Getenv("STRATA_TEST_CHILD") {
		t.Errorf("listening on %s", a)
	}
	for _, network := range []string{"udp", "tcp"} {
		if got := ask(t, network, a, "handed over"); got != network+" HANDED OVER" {
			t.Errorf("over %s: %q", network, got)
		}
	}
}
