package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func scanner(t testing.TB, timeout time.Duration) *Scanner {
	t.Helper()
	s, err := NewScanner(timeout)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// check makes one check and waits for what it found.
func check(t testing.TB, s *Scanner, addr, text string) error {
	t.Helper()
	c, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan error, 2)
	s.Start(Target{netip.MustParseAddr(addr), c}, func(err error) { found <- err })
	select {
	case err := <-found:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s %s: no result", addr, text)
		return nil
	}
}

// listening gives the port of a listener that takes connections.
func listening(t testing.TB, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// full gives the port of a listener whose queue is full: whoever comes waits.
func full(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*unix.SockaddrInet4).Port
	for range 4 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		_ = unix.Connect(c, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	return port
}

func TestScanTCP(t *testing.T) {
	t.Parallel()
	s := scanner(t, time.Second)
	port := listening(t, "127.0.0.1:0")
	if err := check(t, s, "127.0.0.1", fmt.Sprint("tcp:", port)); err != nil {
		t.Error(err)
	}
	if err := check(t, s, "127.0.0.2", fmt.Sprint("tcp:", port)); !errors.Is(err, syscall.ECONNREFUSED) || verdictless(err) {
		t.Error(err)
	}
	began := time.Now()
	if err := check(t, s, "127.0.0.1", fmt.Sprint("tcp:", full(t))); !errors.Is(err, errTimeout) || time.Since(began) < time.Second {
		t.Error(err, time.Since(began))
	}
	if v6, err := net.Listen("tcp", "[::1]:0"); err == nil {
		v6.Close()
		port := listening(t, "[::1]:0")
		if err := check(t, s, "::1", fmt.Sprint("tcp:", port)); err != nil {
			t.Error(err)
		}
	}
}

func TestScanUDP(t *testing.T) {
	t.Parallel()
	s := scanner(t, 500*time.Millisecond)
	for _, answering := range []bool{true, false} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if answering {
			go func() {
				b := make([]byte, 512)
				for {
					n, from, err := conn.ReadFrom(b)
					if err != nil {
						return
					}
					_, _ = conn.WriteTo(b[:n], from)
				}
			}()
		}
		began := time.Now()
		port := conn.LocalAddr().(*net.UDPAddr).Port
		if err := check(t, s, "127.0.0.1", fmt.Sprint("udp:", port)); err != nil {
			t.Error(answering, err)
		}
		if silent := time.Since(began) >= 500*time.Millisecond; !answering && !silent {
			t.Error("silence was not waited for")
		}
		if err := check(t, s, "127.0.0.2", fmt.Sprint("udp:", port)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(answering, err)
		}
	}
}

func TestScanHTTP(t *testing.T) {
	t.Parallel()
	s := scanner(t, 3*time.Second)
	var asked atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.Method + " " + r.RequestURI + " " + r.Host + " " + r.UserAgent()
		asked.Store(&line)
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/bad":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/slow":
			<-r.Context().Done()
		default:
			fmt.Fprint(w, strings.Repeat("well ", 10_000))
		}
	}))
	defer server.Close()
	at := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	for path, want := range map[string]string{"": "", "/healthz?full=1": "", "/moved": "", "/bad": "status 503", "/slow": errTimeout.Error()} {
		err := check(t, s, at.Addr().String(), fmt.Sprintf("http:%d%s", at.Port(), path))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if err := check(t, s, at.Addr().String(), fmt.Sprintf("http:%d/x", at.Port())); err != nil || *asked.Load() != "GET /x "+at.String()+" strata-probe" {
		t.Error(err, *asked.Load())
	}
	// Something else listens there; it closes at once.
	if err := check(t, s, "127.0.0.1", fmt.Sprint("http:", listening(t, "127.0.0.1:0"))); err == nil || verdictless(err) {
		t.Error(err)
	}
}

func TestScanICMP(t *testing.T) {
	t.Parallel()
	probe, raw, err := socket(Target{netip.MustParseAddr("127.0.0.1"), Check{Kind: ICMP}})
	if err != nil {
		t.Skipf("neither net.ipv4.ping_group_range nor CAP_NET_RAW lets us send echo requests: %v", err)
	}
	unix.Close(probe)
	t.Logf("raw: %v", raw)
	s := scanner(t, time.Second)
	if err := check(t, s, "127.0.0.1", "icmp"); err != nil {
		t.Error(err)
	}
	if err := check(t, s, "127.1.2.3", "icmp"); err != nil {
		t.Error(err)
	}
}

// A socket that cannot be had says nothing about the address.
func TestScanLocal(t *testing.T) {
	for _, err := range []error{unix.EADDRNOTAVAIL, unix.EMFILE, unix.EPERM} {
		if got := verdict("connect", err); !verdictless(got) || !errors.Is(got, err) {
			t.Error(got)
		}
	}
	for _, err := range []error{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ETIMEDOUT} {
		if got := verdict("connect", err); verdictless(got) {
			t.Error(got)
		}
	}
}

// No descriptor is left behind, and each check has one result.
func TestScanMany(t *testing.T) {
	s := scanner(t, 2*time.Second)
	port := listening(t, "0.0.0.0:0")
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := descriptors()
	var results [3000]atomic.Int32
	var all sync.WaitGroup
	for i := range results {
		all.Add(1)
		target := Target{netip.AddrFrom4([4]byte{127, 9, byte(i >> 8), byte(i)}), Check{Kind: TCP, Port: uint16(port)}}
		if i%3 == 0 {
			target.Check.Port = 1 // refused
		}
		s.Start(target, func(err error) {
			if (err != nil) != (i%3 == 0) {
				t.Errorf("%s: %v", target, err)
			}
			if results[i].Add(1) == 1 {
				all.Done()
			}
		})
	}
	all.Wait()
	for i := range results {
		if n := results[i].Load(); n != 1 {
			t.Fatalf("%d results of %d", n, i)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); descriptors() > before+5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors before, %d after", before, descriptors())
		}
	}
}

// BenchmarkScan and BenchmarkDial make the same TCP probes, 64 at a time: by the
// scanner, and by a goroutine each with net.Dialer.
func BenchmarkScan(b *testing.B) {
	s := scanner(b, 2*time.Second)
	target := Target{netip.MustParseAddr("127.0.0.1"), Check{Kind: TCP, Port: uint16(listening(b, "127.0.0.1:0"))}}
	slots := make(chan struct{}, 64)
	b.ReportAllocs()
	for b.Loop() {
		slots <- struct{}{}
		s.Start(target, func(error) { <-slots })
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
}

func BenchmarkDial(b *testing.B) {
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(listening(b, "127.0.0.1:0")))
	slots := make(chan struct{}, 64)
	b.ReportAllocs()
	for b.Loop() {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			d := net.Dialer{Timeout: 2 * time.Second}
			conn, err := d.Dial("tcp", address)
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}()
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
}

// FuzzStatus: an answer is over or not, whatever it is, and what comes later does
// not change it.
func FuzzStatus(f *testing.F) {
	for _, seed := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.0 302", "HTTP/1.1 99", "SSH-2.0-OpenSSH_9", "HTTP/1.1 +20"} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, ended bool) {
		over, err := status(b, ended)
		if ended && !over {
			t.Fatalf("%q is never over", b)
		}
		if over && len(b) >= statusLine {
			if again, later := status(append(b[:len(b):len(b)], "more"...), false); !again || (err == nil) != (later == nil) {
				t.Fatalf("%q: %v, and with more %v", b, err, later)
			}
		}
	})
}

// FuzzEchoed: whatever comes on a raw socket.
func FuzzEchoed(f *testing.F) {
	a := attempt{target: Target{netip.MustParseAddr("127.0.0.1"), Check{Kind: ICMP}}, raw: true, fd: 7, id: 9}
	good := append([]byte{0x45, 19: 0}, a.echo()...)
	good[20] = 0
	f.Add(good)
	f.Add([]byte{0x4f, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a.echoed(b) && len(b) < 28 {
			t.Fatalf("%x", b)
		}
	})
}
