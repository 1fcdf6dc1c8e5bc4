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
	conn, server := listen(t)
	e := newEngine(t, Options{Budget: time.Second})
	s := newSet(t, e, server)
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
	flooded := wire.MustName("told.flooded.example")
	if e.Refusing() || s.Refuses(flooded) {
		t.Error("refused before anybody is silent")
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
	// Who asks beforehand is told the same.
	for flood(probeBurst); !s.Refuses(flooded); {
		flood(1) // its turn had come again
	}
	if n := s.Stats()[0].Refused; n != uint64(refused.Load())+1 || !e.Refusing() {
		t.Errorf("%d counted as refused, want %d and one told beforehand", n, refused.Load())
	}
	if n := testing.AllocsPerRun(100, func() { s.Refuses(flooded) }); n != 0 {
		t.Errorf("%v allocations to be told", n)
	}
	// A neighbour's question is asked, and when its answer is there so are all others.
	go reflect(conn)
	name := "www.example.net"
	for i := 0; wire.HashName(parent(wire.MustName(name)))%probeShares == wire.HashName(parent(wire.MustName("n.flooded.example")))%probeShares; i++ {
		name = fmt.Sprintf("www.example%d.net", i)
	}
	if s.Refuses(wire.MustName(name)) {
		t.Error("a neighbour's refused beforehand")
	}
	if _, err := ask(t, s, question(name)); err != nil {
		t.Fatal(err)
	}
	before = refused.Load()
	flood(100)
	if n := refused.Load() - before; n > 0 || s.Refuses(flooded) {
		t.Errorf("%d refused while the server answers", n)
	}
	for deadline := time.Now().Add(10 * time.Second); e.Refusing(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("said to refuse for ever")
		}
	}
}

// reflect answers every query with itself, until the socket is closed.
func reflect(conn *net.UDPConn) { reflectWhile(conn, func() bool { return true }) }

// reflectWhile is reflect, of what comes while yes says so.
func reflectWhile(conn *net.UDPConn, yes func() bool) {
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if buf[2] |= 0x80; yes() {
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}
}

// TestRepeatsToSilentServers has many questions wait for a server that says nothing at
// all: few of them are asked again. Once it answers they all are.
func TestRepeatsToSilentServers(t *testing.T) {
	const questions = 1000
	conn, server := listen(t)
	var alive atomic.Bool
	go reflectWhile(conn, alive.Load)
	e := newEngine(t, Options{Budget: 30 * time.Second})
	s := newSet(t, e, server)
	began := time.Now()
	answers := make(chan error, questions)
	for i := range questions {
		s.Ask(question(fmt.Sprintf("n%d.flooded.example", i)), func(a Answer) { answers <- a.Err })
	}
	stats := func() ServerStats { return s.Stats()[0] }
	for !stats().Down || time.Since(began) < 2*time.Second { // two repeats of each would have been sent
		if time.Sleep(time.Millisecond); time.Since(began) > 20*time.Second {
			t.Fatal("never backed off")
		}
	}
	repeats, most := int(stats().Resends), probeBurst+int(time.Since(began)/probePause)+1
	if repeats == 0 || repeats > most {
		t.Errorf("%d of %d questions asked again, want %d at most", repeats, questions, most)
	}
	alive.Store(true)
	refused := 0 // those of a slow machine's that came behind the back-off
	for range questions {
		if err := <-answers; errors.Is(err, ErrMute) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := int(stats().Resends); n < questions-refused {
		t.Errorf("%d of %d questions asked again when the server was back", n, questions-refused)
	}
}

func TestVain(t *testing.T) {
	servers := withRTT(time.Millisecond)
	f := &flight{servers: servers, open: 1}
	f.fill(question("a.flooded.example"))
	now := second
	for range silentCount {
		servers[0].ask(now)
	}
	now += second
	var s shard
	if s.vain(f, now) {
		t.Error("in vain before the server is backed off")
	}
	servers[0].overdue(now)
	for range probeBurst {
		if s.vain(f, now) {
			t.Fatal("none of a burst is asked again")
		}
	}
	if !s.vain(f, now) {
		t.Error("more than a burst is asked again")
	}
	f.scout = true
	if s.vain(f, now) {
		t.Error("a question that is to find out is not asked again")
	}
	f.scout, f.open = false, 0
	if s.vain(f, now) {
		t.Error("a question that waits for nothing is not asked again")
	}
	f.open = 1
	servers[0].reply()
	if s.vain(f, now) {
		t.Error("in vain though the server replies")
	}
}
