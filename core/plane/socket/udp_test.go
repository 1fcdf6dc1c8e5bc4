package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// answers is a handler made of a function for each packet.
type answers func(p *plane.Packet, late plane.Queue)

func (a answers) Answer(batch []plane.Packet, late plane.Queue) {
	for i := range batch {
		a(&batch[i], late)
	}
}

// mirror sends each packet back as it came.
var mirror = answers(func(*plane.Packet, plane.Queue) {})

func listenUDP(t *testing.T, address string, o UDPOptions) *UDP {
	t.Helper()
	u, err := ListenUDP(at(address), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

// serveAll serves all queues until the test ends.
func serveAll(t *testing.T, queues []plane.Queue, h plane.Handler) {
	var serving sync.WaitGroup
	for _, q := range queues {
		serving.Go(func() {
			if err := Serve(q, h, AnyCPU); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		for _, q := range queues {
			q.Close()
		}
		serving.Wait()
	})
}

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func echoes(t *testing.T, c *far, query string) {
	t.Helper()
	if err := c.Ask([]byte(query)); err != nil {
		t.Fatal(err)
	}
	got, err := c.Reply(10 * time.Second)
	if err != nil || string(got) != query {
		t.Fatalf("asked %q, got %q, %v", query, got, err)
	}
}

func silent(t *testing.T, c *far) {
	t.Helper()
	if got, err := c.Reply(50 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %q, %v, want silence", got, err)
	}
}

// TestWorkersShare has many clients ask several workers: the kernel spreads them
// over the sockets, the first of which was bound alone.
func TestWorkersShare(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		u := listenUDP(t, address, UDPOptions{Workers: 3})
		serveAll(t, u.Queues(), mirror)
		to := u.Address()
		if to.Addr().IsUnspecified() {
			to = netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())
		}
		for i := range 100 {
			c := dialFar(t, "udp", to)
			echoes(t, c, fmt.Sprint("query ", i))
			c.Close()
		}
		var all Counts
		eventually(t, "100 counted as sent", func() bool {
			all = Counts{}
			for _, counts := range u.Counts() {
				all.Add(counts)
			}
			return all.Sent == 100
		})
		if all.Received != 100 || all.Unsent != 0 || all.Batches == 0 {
			t.Fatalf("counts: %+v", all)
		}
		for worker, counts := range u.Counts() {
			if counts.Received == 0 {
				t.Errorf("%s: worker %d got none of 100 clients", address, worker)
			}
		}
	}
}

// TestPortInUse wants an exclusive bind, whether or not the other shares, and an
// error that helps.
func TestPortInUse(t *testing.T) {
	first := listenUDP(t, "127.0.0.1:0", UDPOptions{Workers: 2})
	_, err := ListenUDP(first.Address(), UDPOptions{})
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("second listener: %v, want EADDRINUSE", err)
	}
	for _, part := range []string{first.Address().String(), "listen udp", "another process", "ss -lnp"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	listenUDP(t, first.Address().String(), UDPOptions{Share: true})

	tcp := listenTCP(t, "127.0.0.1:0", TCPOptions{})
	if _, err := ListenTCP(tcp.Address(), TCPOptions{}); !errors.Is(err, unix.EADDRINUSE) ||
		strings.Count(err.Error(), tcp.Address().String()) != 1 {
		t.Errorf("second TCP listener: %v, want EADDRINUSE and the address once", err)
	}
}

func TestBadListen(t *testing.T) {
	if _, err := ListenUDP(at("203.0.113.1:5300"), UDPOptions{}); !errors.Is(err, unix.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "no interface") {
		t.Errorf("foreign address: %v", err)
	}
	if err := advise("udp", at("127.0.0.1:53"), os.NewSyscallError("bind", unix.EACCES)); !strings.Contains(err.Error(), "127.0.0.1:53") || !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") {
		t.Errorf("no permission: %v", err)
	}
	for _, o := range []UDPOptions{{Room: 511}, {Room: 4097}} {
		if _, err := ListenUDP(at("127.0.0.1:0"), o); err == nil {
			t.Errorf("room %d accepted", o.Room)
		}
	}
	if _, err := ListenUDP(netip.AddrPort{}, UDPOptions{}); err == nil {
		t.Error("no address accepted")
	}
	if _, err := ListenUDP(at("[fe80::1%nosuch0]:0"), UDPOptions{}); err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("unknown zone: %v", err)
	}
}

// TestOversize sends a datagram that doesn't fit between two that do.
func TestOversize(t *testing.T) {
	u := listenUDP(t, "127.0.0.1:0", UDPOptions{Room: 600})
	c := dialFar(t, "udp", u.Address())
	defer c.Close()
	for _, size := range []int{600, 601, 65507, 0, 599} {
		if err := c.Ask(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	serveAll(t, u.Queues(), mirror)
	for _, want := range []int{600, 599} {
		if got, err := c.Reply(10 * time.Second); err != nil || len(got) != want {
			t.Fatalf("%d octets, %v, want %d", len(got), err, want)
		}
	}
	silent(t, c)
	if counts := u.Counts()[0]; counts.Oversize != 2 || counts.Received != 3 || counts.Sent != 2 {
		t.Errorf("counts: %+v", counts)
	}
}

// UDP_NO_CHECK6_TX and _RX of linux/udp.h: IPv6 without checksums, sent and
// taken.
const (
	udpNoCheck6TX = 101
	udpNoCheck6RX = 102
)

func acceptUnchecked(t *testing.T, c *far) {
	raw, err := c.Conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if c.Address().Addr().Is6() {
		raw.Control(func(fd uintptr) { err = set(int(fd), unix.SOL_UDP, udpNoCheck6RX, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSegments lets one client's replies leave together, of two sizes, and finds
// each datagram whole; then with a kernel that refuses to cut messages (it does
// on a socket without checksums), from which on each leaves alone.
func TestSegments(t *testing.T) {
	for _, refused := range []bool{false, true} {
		for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
			u := listenUDP(t, address, UDPOptions{})
			q := u.queues[0]
			if refused {
				level, option := unix.SOL_SOCKET, unix.SO_NO_CHECK
				if q.v6 {
					level, option = unix.SOL_UDP, udpNoCheck6TX
				}
				if err := set(q.fd, level, option, 1); err != nil {
					t.Fatal(err)
				}
			}
			to := u.Address()
			if to.Addr() == netip.IPv4Unspecified() {
				to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), to.Port())
			} else if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())
			}
			c := dialFar(t, "udp", to)
			acceptUnchecked(t, c)
			want := map[string]bool{}
			for i := range 60 {
				query := fmt.Sprintf("query %02d%s", i, strings.Repeat(".", 10*(i%2)))
				want[query] = true
				if err := c.Ask([]byte(query)); err != nil {
					t.Fatal(err)
				}
			}
			serveAll(t, u.Queues(), mirror)
			for left := len(want); left > 0; left-- {
				got, err := c.Reply(10 * time.Second)
				if err != nil || !want[string(got)] {
					t.Fatalf("%s: %q, %v, with %d left", address, got, err, left)
				}
				delete(want, string(got))
			}
			c.Close()
			eventually(t, "60 counted as sent", func() bool { return u.Counts()[0].Sent == 60 })
			if counts := u.Counts()[0]; counts.Unsent != 0 || (counts.Segmented == 60) == refused || refused && counts.Segmented != 0 {
				t.Errorf("%s, refused %v: counts %+v", address, refused, counts)
			}
		}
	}
}

// TestBurst has the kernel keep a burst that comes while nobody receives.
func TestBurst(t *testing.T) {
	u := listenUDP(t, "127.0.0.1:0", UDPOptions{})
	if n := u.ReceiveBuffer(); n < DefaultReceiveBuffer {
		t.Skipf("the kernel grants %d octets of %d: not privileged, and net.core.rmem_max is lower", n, DefaultReceiveBuffer)
	}
	c := dialFar(t, "udp", u.Address())
	const burst = 20_000
	for i := range burst {
		if err := c.Ask(fmt.Appendf(nil, "a query of forty octets, number %08d", i)); err != nil {
			t.Fatal(err)
		}
	}
	serveAll(t, u.Queues(), mirror)
	eventually(t, "the whole burst received", func() bool { return u.Counts()[0].Received == burst })
}

// TestStop answers what the kernel had taken in, and leaves it to the next
// process where the socket came from the service manager.
func TestStop(t *testing.T) {
	for _, inherited := range []bool{false, true} {
		o := UDPOptions{}
		if inherited {
			o.Files = []*os.File{udpFile(t, "127.0.0.1:0")}
		}
		u := listenUDP(t, "127.0.0.1:0", o)
		c := dialFar(t, "udp", u.Address())
		for range 100 {
			if err := c.Ask([]byte("early")); err != nil {
				t.Fatal(err)
			}
		}
		u.Stop()
		if err := Serve(u.Queues()[0], mirror, AnyCPU); err != nil {
			t.Fatal(err)
		}
		got := int(u.Counts()[0].Sent)
		if inherited && got != 0 || !inherited && got != 100 {
			t.Errorf("inherited %v: %d of 100 answered after stop", inherited, got)
		}
		if inherited {
			next := listenUDP(t, "127.0.0.1:0", o)
			u.Close()
			serveAll(t, next.Queues(), mirror)
			eventually(t, "answered by the next process", func() bool { return next.Counts()[0].Sent == 100 })
		}
		c.Close()
	}
}

// TestDeliverAfterStop keeps late replies possible between Stop and Close.
func TestDeliverAfterStop(t *testing.T) {
	u := listenUDP(t, "127.0.0.1:0", UDPOptions{})
	c := dialFar(t, "udp", u.Address())
	defer c.Close()
	c.Ask([]byte("late"))
	batch := make([]plane.Packet, 4)
	q := u.Queues()[0]
	if _, err := q.Receive(batch); err != nil {
		t.Fatal(err)
	}
	u.Stop()
	if _, err := q.Receive(batch[1:]); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Receive after Stop: %v", err)
	}
	if err := q.Deliver(batch[0].Return, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Reply(10 * time.Second); err != nil || string(got) != "answer" {
		t.Fatalf("%q, %v", got, err)
	}
}

// udpFile is a bound socket as a service manager would hand it over.
func udpFile(t *testing.T, address string) *os.File {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file, err := c.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// TestInherited serves sockets of the service manager: one shared by two
// workers, and the kind of wildcard it opens, which takes both families.
func TestInherited(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		u := listenUDP(t, "192.0.2.1:1", UDPOptions{Workers: 2, Files: []*os.File{udpFile(t, address)}})
		serveAll(t, u.Queues(), mirror)
		for _, ask := range []string{"127.0.0.5", "127.0.0.1", "::1"} {
			if address == "127.0.0.1:0" && ask != "127.0.0.1" {
				continue
			}
			c := dialFar(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(ask), u.Address().Port()))
			echoes(t, c, "from "+ask)
			c.Close()
		}
	}
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	file, err := stream.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := ListenUDP(at("127.0.0.1:0"), UDPOptions{Files: []*os.File{file}}); err == nil || !strings.Contains(err.Error(), "ListenDatagram=") {
		t.Errorf("stream socket for datagrams: %v", err)
	}
	two := []*os.File{udpFile(t, "127.0.0.1:0"), udpFile(t, "127.0.0.1:0")}
	if _, err := ListenUDP(at("127.0.0.1:0"), UDPOptions{Workers: 1, Files: two}); err == nil {
		t.Error("one worker for two sockets accepted")
	}
}

func TestServePinned(t *testing.T) {
	u := listenUDP(t, "127.0.0.1:0", UDPOptions{})
	ended := make(chan error)
	go func() { ended <- Serve(u.Queues()[0], mirror, 1023) }()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "CPU 1023") {
		t.Errorf("a CPU that is not there: %v", err)
	}
	go func() { ended <- Serve(u.Queues()[0], mirror, 0) }()
	c := dialFar(t, "udp", u.Address())
	defer c.Close()
	echoes(t, c, "pinned")
	u.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
