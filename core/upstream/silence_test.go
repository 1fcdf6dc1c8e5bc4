package upstream

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

func TestProbes(t *testing.T) {
	var p probes
	now := 5 * second
	flooded, other := wire.MustName("a.flooded.example"), wire.MustName("b.example.org")
	for i := range probeBurst {
		if !p.admit(flooded, now) {
			t.Fatalf("question %d refused", i)
		}
	}
	if p.admit(wire.MustName("b.flooded.example"), now) {
		t.Error("one more than a burst admitted")
	}
	if wire.HashName(parent(flooded))%probeShares != wire.HashName(parent(other))%probeShares && !p.admit(other, now) {
		t.Error("another parent's name refused")
	}
	admitted := 0
	for range 1000 { // a second of a flood
		now += int64(time.Millisecond)
		if p.admit(flooded, now) {
			admitted++
		}
	}
	if want := int(time.Second / probePause); admitted < want-1 || admitted > want+1 {
		t.Errorf("%d admitted in a second, want %d", admitted, want)
	}
	now += second * 60
	for i := range probeBurst {
		if !p.admit(flooded, now) {
			t.Fatalf("after a minute: question %d refused", i)
		}
	}
	if !p.admit([]byte{0}, now) || !p.admit(wire.MustName("example"), now) {
		t.Error("the root, or a name below it, refused")
	}
}

func TestMute(t *testing.T) {
	servers := withRTT(time.Millisecond, time.Millisecond)
	now := second
	ask := func(s *server, times int) {
		for range times {
			s.ask(now)
		}
	}
	ask(servers[0], 5)
	now += second
	if mute(servers, now) {
		t.Error("mute before anybody is backed off")
	}
	servers[0].overdue(now)
	if mute(servers, now) {
		t.Error("mute with one that was not asked")
	}
	ask(servers[1], 5)
	for range failureCount {
		servers[1].reply()
		servers[1].bad(now)
	}
	ask(servers[1], 1)
	if now += second; !servers[1].down() || mute(servers, now) {
		t.Error("mute with one that answers, be it with failures")
	}
	ask(servers[1], 5)
	if now += second; !mute(servers, now) {
		t.Error("not mute, with both silent")
	}
	servers[0].reply()
	if mute(servers, now) {
		t.Error("mute after a reply")
	}
}

// TestFloodOfSilentServers has a flood of questions to a server that says nothing
// refused but for some; those of others' names still wait, and tell when it is back.
func TestFloodOfSilentServers(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	e := newEngine(t, Options{Budget: time.Second})
	s := newSet(t, e, Server{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()})
	var refused, asked atomic.Int32
	flood := func(n int) {
		for range n {
			s.Ask(question(fmt.Sprintf("n%d.flooded.example", asked.Add(1))), func(a Answer) {
				if errors.Is(a.Err, ErrMute) {
					refused.Add(1)
				}
			})
		}
	}
	for deadline := time.Now().Add(10 * time.Second); !s.Stats()[0].Down; time.Sleep(time.Millisecond) {
		if flood(1); time.Now().After(deadline) {
			t.Fatal("never backed off")
		}
	}
	before := refused.Load()
	began := time.Now()
	flood(10_000)
	admitted := 10_000 - int(refused.Load()-before)
	if most := probeBurst + int(time.Since(began)/probePause) + 1; admitted > most {
		t.Errorf("%d of 10,000 questions asked, want %d at most", admitted, most)
	}
	if n := s.Stats()[0].Refused; n != uint64(refused.Load()) {
		t.Errorf("%d counted as refused, want %d", n, refused.Load())
	}
	// A neighbour's question is asked, and when its answer is there so are all others.
	go reflect(conn)
	name := "www.example.net"
	for i := 0; wire.HashName(parent(wire.MustName(name)))%probeShares == wire.HashName(parent(wire.MustName("n.flooded.example")))%probeShares; i++ {
		name = fmt.Sprintf("www.example%d.net", i)
	}
	if _, err := ask(t, s, question(name)); err != nil {
		t.Fatal(err)
	}
	before = refused.Load()
	flood(100)
	if n := refused.Load() - before; n > 0 {
		t.Errorf("%d refused while the server answers", n)
	}
}

// reflect answers every query with itself, until the socket is closed.
func reflect(conn *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		buf[2] |= 0x80
		_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
	}
}
