package hosts

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// A scene is two sites with a host each, and an echo on the second: a goroutine
// that stands for a server.
type scene struct {
	near, far *Host
	site      *Site // near's
	line      *Link
	port      string // of the echo, on far
}

func newScene(t *testing.T) *scene {
	t.Helper()
	n, err := New()
	if errors.Is(err, ErrUnable) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := n.Site("a", netip.MustParsePrefix("10.1.0.0/16"))
	must(err)
	b, err := n.Site("b", netip.MustParsePrefix("10.2.0.0/16"))
	must(err)
	s := &scene{port: "7777", site: a}
	s.near, err = a.Host("near", netip.MustParseAddr("10.1.0.10"))
	must(err)
	s.far, err = b.Host("far", netip.MustParseAddr("10.2.0.10"), netip.MustParseAddr("10.2.0.11"))
	must(err)
	s.line, err = n.Join(a, b)
	must(err)
	conn, err := s.far.ListenPacket("udp", ":"+s.port)
	must(err)
	t.Cleanup(func() { conn.Close() })
	go echo(conn)
	return s
}

func echo(conn net.PacketConn) {
	packet := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(packet[:n], from)
	}
}

// volley sends n datagrams and gives those that came back within three seconds of the
// last, in their order, and the shortest time one took.
func (s *scene) volley(t *testing.T, n int) (back []byte, least time.Duration) {
	t.Helper()
	conn, err := s.near.Dial("udp", net.JoinHostPort(s.far.Address.String(), s.port), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	least = time.Hour
	sent := make([]atomic.Int64, n)
	began := time.Now()
	go func() {
		for i := range n {
			sent[i].Store(int64(time.Since(began)))
			_, _ = conn.Write([]byte{byte(i)})
			time.Sleep(time.Millisecond) // the pace, nothing is waited for
		}
	}()
	packet := make([]byte, 1)
	for len(back) < n {
		if err := conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(packet); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			continue // a router says that there is no way
		}
		back = append(back, packet[0])
		least = min(least, time.Since(began)-time.Duration(sent[packet[0]].Load()))
	}
	return back, least
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Hosts that know their router do not lose it when others are added, or a cable is
// slowed, which changes the switch's ports.
func TestRouterStays(t *testing.T) {
	s := newScene(t)
	for i := range 6 {
		if back, _ := s.volley(t, 5); len(back) != 5 {
			t.Fatalf("with %d hosts added, %d of 5 came back", i, len(back))
		}
		_, err := s.site.Host(fmt.Sprint("more", i), netip.MustParseAddr(fmt.Sprint("10.1.0.", 20+i)))
		do(t, err)
	}
	do(t, s.near.Link.Delay(time.Millisecond, 2*time.Millisecond))
	if back, _ := s.volley(t, 5); len(back) != 5 {
		t.Errorf("slow, %d of 5 came back", len(back))
	}
}

// Links do what they are told, and are whole again after it.
func TestLink(t *testing.T) {
	for name, link := range map[string]func(*scene) *Link{
		"cable": func(s *scene) *Link { return s.far.Link },
		"line":  func(s *scene) *Link { return s.line },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			l := link(s)
			whole := func(after string) {
				t.Helper()
				for limit := time.Now().Add(time.Minute); ; {
					back, _ := s.volley(t, 20)
					if len(back) == 20 {
						return
					}
					if time.Now().After(limit) {
						t.Fatalf("%s: %d of 20 came back", after, len(back))
					}
				}
			}
			whole("as made")

			do(t, l.Cut())
			if back, _ := s.volley(t, 5); len(back) != 0 {
				t.Errorf("cut: %d came back", len(back))
			}
			do(t, l.Mend())
			whole("mended")

			do(t, l.Lose(30))
			// Both ways 49 % come through; within five standard deviations (3.5 % of 200).
			if back, _ := s.volley(t, 200); len(back) < 63 || len(back) > 133 {
				t.Errorf("of 200 with 30 %% lost each way, %d came back", len(back))
			}
			do(t, l.Lose(100))
			if back, _ := s.volley(t, 5); len(back) != 0 {
				t.Errorf("all lost: %d came back", len(back))
			}
			do(t, l.Lose(0))
			whole("no more lost")

			do(t, l.Delay(20*time.Millisecond, 20*time.Millisecond))
			if back, least := s.volley(t, 20); len(back) != 20 || least < 40*time.Millisecond {
				t.Errorf("20 ms each way: %d of 20, the first after %s", len(back), least)
			}
			do(t, l.Delay(time.Millisecond, 40*time.Millisecond))
			if back, _ := s.volley(t, 100); len(back) != 100 || slices.IsSorted(back) {
				t.Errorf("1 to 40 ms each way: %d of 100 came back, as sent: %v", len(back), slices.IsSorted(back))
			}
			do(t, l.Cut())
			do(t, l.Mend())
			whole("mended while delayed")
			do(t, l.Delay(0, 0))
			whole("no more delayed")
		})
	}
}

// A relay hands on what was left for hardware to do: large writes over TCP, which
// leave a host as one frame with no checksum, arrive as they were.
func TestRelayTCP(t *testing.T) {
	s := newScene(t)
	do(t, s.line.Delay(time.Millisecond, 3*time.Millisecond))
	sent := make([]byte, 1<<20)
	_, _ = rand.Read(sent)
	listener, err := s.far.Listen("tcp", "10.2.0.11:7778")
	do(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = conn.Write(sent)
			conn.Close()
		}
	}()
	conn, err := s.near.Dial("tcp", "10.2.0.11:7778", 5*time.Second)
	do(t, err)
	defer conn.Close()
	do(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d octets came of %d: %v", len(got), len(sent), err)
	}
}

// Programs run inside see their host only, and end with the network.
func TestProcess(t *testing.T) {
	s := newScene(t)
	out, err := s.far.Run("ip", "-brief", "address", "show", "dev", "eth0")
	if err != nil || !bytes.Contains([]byte(out), []byte("10.2.0.11/16")) {
		t.Errorf("%q, %v", out, err)
	}
	n, err := New()
	do(t, err)
	site, err := n.Site("c", netip.MustParsePrefix("10.3.0.0/16"))
	do(t, err)
	h, err := site.Host("h", netip.MustParseAddr("10.3.0.10"))
	do(t, err)
	cmd := exec.Command("sleep", "1000")
	do(t, h.Start(cmd))
	n.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("still running after the network was closed")
		_ = cmd.Process.Kill()
	}
	if err := h.Start(exec.Command("true")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("start on a host that is gone: %v", err)
	}
}
