package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBadServersAreRefused(t *testing.T) {
	e := newEngine(t, Options{})
	good := netip.MustParseAddrPort("192.0.2.1:53")
	for name, list := range map[string][]Server{
		"no address":       {{}},
		"no port":          {{Addr: netip.MustParseAddrPort("192.0.2.1:0")}},
		"any address":      {{Addr: netip.MustParseAddrPort("0.0.0.0:53")}},
		"TLS without name": {{Addr: good, Transport: TLS}},
		"unknown":          {{Addr: good, Transport: 9}},
		"twice":            {{Addr: good}, {Addr: good}},
		"too many":         make([]Server, maxServers+1),
		"unknown zone":     {{Addr: netip.MustParseAddrPort("[fe80::1%nowhere0]:53")}},
	} {
		if _, err := e.Set(list, SetOptions{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if st := e.Stats(); len(st) != 0 {
		t.Fatalf("left behind: %v", st)
	}
}

func TestBadQuestionsAreRefused(t *testing.T) {
	e := newEngine(t, Options{})
	dead := serve(t, "127.0.0.1", nil, nil)
	s := newSet(t, e, dead.Server)
	for _, name := range [][]byte{nil, {3, 'w', 'w'}, {0, 0}, {0xc0, 12}, bytes.Repeat([]byte{1, 'a'}, 200)} {
		if _, err := ask(t, s, &Question{Name: name, Type: 1, Class: 1}); !errors.Is(err, ErrQuestion) {
			t.Errorf("%v: %v", name, err)
		}
	}
	q := question("www.example.com")
	q.Options = make([]byte, maxOptions+1)
	if _, err := ask(t, s, q); !errors.Is(err, ErrQuestion) {
		t.Errorf("options: %v", err)
	}
	if _, err := ask(t, newSet(t, e), question("www.example.com")); !errors.Is(err, ErrNoServers) {
		t.Errorf("no servers: %v", err)
	}
	if e.InFlight() != 0 {
		t.Fatalf("%d in flight", e.InFlight())
	}
}

func TestTooManyAreRefusedAtOnce(t *testing.T) {
	dead := serve(t, "127.0.0.1", nil, nil)
	e := newEngine(t, Options{MaxInFlight: 10, Budget: 300 * time.Millisecond})
	s := newSet(t, e, dead.Server)
	var wg sync.WaitGroup
	var overload, timeout atomic.Int32
	for range 15 {
		wg.Add(1)
		s.Ask(question("www.example.com"), func(a Answer) {
			defer wg.Done()
			switch a.Err {
			case ErrOverload:
				overload.Add(1)
			case ErrTimeout:
				timeout.Add(1)
			}
		})
	}
	if overload.Load() != 5 {
		t.Fatalf("%d refused at once, want 5", overload.Load())
	}
	wg.Wait()
	if timeout.Load() != 10 || e.InFlight() != 0 {
		t.Fatalf("%d timeouts, %d in flight", timeout.Load(), e.InFlight())
	}
}

// TestRoomOfShards: what a shard has counted for questions that are over is no question in
// flight, and keeps none from being asked by another shard.
func TestRoomOfShards(t *testing.T) {
	f := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	const most = 2 * roomShare * 2 // each of two shards may have room for two, and comes to have room for one
	e := newEngine(t, Options{MaxInFlight: most, Shards: 2, Budget: time.Minute})
	s := newSet(t, e, f.Server)
	for range 3 * heldMost { // in turn by each shard
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if n := e.InFlight(); n != 0 || e.inFlight.Load() != 2 {
		t.Errorf("%d in flight, %d counted", n, e.inFlight.Load())
	}
	dead := newSet(t, e, serve(t, "127.0.0.1", nil, nil).Server)
	var overload atomic.Int32
	for range most + 10 {
		dead.Ask(question("www.example.com"), func(a Answer) {
			if a.Err == ErrOverload {
				overload.Add(1)
			}
		})
	}
	if n := e.InFlight(); n < most-2 || n > most || int(overload.Load()) != most+10-n {
		t.Errorf("%d in flight, %d refused", n, overload.Load())
	}
}

func TestCloseEndsEverything(t *testing.T) {
	dead := serve(t, "127.0.0.1", nil, func(net.Conn, []byte) {})
	overTCP := dead.Server
	overTCP.Transport = TCP
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var closed atomic.Int32
	for _, s := range []*Set{newSet(t, e, dead.Server), newSet(t, e, overTCP)} {
		for range 100 {
			s.Ask(question("www.example.com"), func(a Answer) {
				if errors.Is(a.Err, net.ErrClosed) {
					closed.Add(1)
				}
			})
		}
	}
	s := newSet(t, e, dead.Server)
	_ = e.Close()
	_ = e.Close()
	if closed.Load() != 200 || e.InFlight() != 0 {
		t.Fatalf("%d told, %d in flight", closed.Load(), e.InFlight())
	}
	if _, err := ask(t, s, question("www.example.com")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

// TestCloseAmidTraffic closes while many ask: each is told exactly once.
func TestCloseAmidTraffic(t *testing.T) {
	f := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	for range 5 {
		e, err := New(Options{Shards: 2})
		if err != nil {
			t.Fatal(err)
		}
		s := newSet(t, e, f.Server)
		var asked, told atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for closed := false; !closed; {
					asked.Add(1)
					answered := make(chan error, 2)
					s.Ask(question("www.example.com"), func(a Answer) { told.Add(1); answered <- a.Err })
					closed = <-answered != nil
				}
			}()
		}
		eventually(t, "traffic", func() bool { return told.Load() > 100 })
		_ = e.Close()
		wg.Wait()
		if asked.Load() != told.Load() {
			t.Fatalf("%d asked, %d told", asked.Load(), told.Load())
		}
	}
}

func TestReplaceKeepsWhatIsKnown(t *testing.T) {
	first, second := serve(t, "127.0.0.1", answers("192.0.2.1"), nil), serve(t, "127.0.0.1", answers("192.0.2.2"), nil)
	e := newEngine(t, Options{})
	s := newSet(t, e, first.Server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	if err := s.Replace([]Server{second.Server, first.Server}); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st[0].Asked != 0 || st[1].Asked != 1 || st[1].RTT == 0 {
		t.Fatalf("stats %+v", st)
	}
	if err := s.Replace([]Server{second.Server}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		wantAddress(t, s, "www.example.com", "192.0.2.2")
	}
	if st := e.Stats(); len(st) != 1 || st[0].Server != second.Server {
		t.Fatalf("the engine knows %+v", st)
	}
	if err := s.Replace([]Server{{}}); err == nil || len(s.Servers()) != 1 {
		t.Fatalf("bad server: %v, now %v", err, s.Servers())
	}
}

// TestReplaceUnderTraffic: nobody goes without an answer.
func TestReplaceUnderTraffic(t *testing.T) {
	one, two := serve(t, "127.0.0.1", answers("192.0.2.1"), nil), serve(t, "127.0.0.1", answers("192.0.2.1"), answersTCP("192.0.2.1"))
	two.Transport = TCP
	s := newSet(t, newEngine(t, Options{}), one.Server)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				list := []Server{one.Server, two.Server}
				if err := s.Replace(list[i%2 : 1+i%2]); err != nil {
					panic(err)
				}
				runtime.Gosched()
			}
		}
	}()
	for i := range 500 {
		wantAddress(t, s, fmt.Sprintf("n%d.example.com", i), "192.0.2.1")
	}
	close(stop)
	wg.Wait()
}

// TestSocketsAreGivenBack: descriptors after much work are those of before.
func TestSocketsAreGivenBack(t *testing.T) {
	f := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	e := newEngine(t, Options{Shards: 1})
	s := newSet(t, e, f.Server)
	for range 20 * socketQueries {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	s.Close()
	eventually(t, "all sockets closed", func() bool {
		e.shards[0].mu.Lock()
		defer e.shards[0].mu.Unlock()
		return len(e.shards[0].sockets) == 0
	})
}

// TestAskAllocatesNothing measures the whole way of a question, in steady state.
// New sockets are the exception, one in socketQueries.
func TestAskAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it holds")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // so that pools are not emptied
	s := newSet(t, newEngine(t, Options{Shards: 1}), Server{Addr: startEcho(t)})
	q := question("www.example.com")
	answered := make(chan error, 1)
	done := func(a Answer) { answered <- a.Err }
	exchange := func() {
		s.Ask(q, done)
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		exchange()
	}
	if n := testing.AllocsPerRun(1000, exchange); n != 0 {
		t.Fatalf("%v allocations a question", n)
	}
}

// TestStormOnDeadServer has 100,000 questions open to a server that says nothing
// to them and bounds the memory this takes. It counts as one that answers others:
// else it would soon be asked no more.
func TestStormOnDeadServer(t *testing.T) {
	const storm, most = 100_000, 300 << 20
	dead := serve(t, "127.0.0.1", nil, nil)
	_ = dead.conn.SetReadBuffer(1)
	e := newEngine(t, Options{Budget: 4 * time.Second})
	s := newSet(t, e, dead.Server)
	before := resident(t)
	var told, timeouts atomic.Int64
	done := func(a Answer) {
		told.Add(1)
		if errors.Is(a.Err, ErrTimeout) {
			timeouts.Add(1)
		}
	}
	began := time.Now()
	for i := range storm {
		state := &(*s.servers.Load())[0].health
		state.reply()
		state.good() // also where asking was held up for so long that it was backed off
		s.Ask(question(fmt.Sprintf("some-name-of-usual-length-%d.example.com", i)), done)
	}
	took, open := time.Since(began), e.InFlight()
	grown := resident(t) - before
	t.Logf("%d open after %s, %d MiB more resident", open, took, grown>>20)
	if !raceEnabled && open < storm && took < 4*time.Second {
		t.Errorf("%d in flight, want %d", open, storm)
	}
	if !raceEnabled && grown > most {
		t.Errorf("%d MiB", grown>>20)
	}
	deadline := time.Now().Add(60 * time.Second)
	for told.Load() < storm && time.Now().Before(deadline) {
		grown = max(grown, resident(t)-before)
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("at most %d MiB more resident; all told after %s", grown>>20, time.Since(began))
	if told.Load() != storm || e.InFlight() != 0 {
		t.Fatalf("%d told, %d in flight", told.Load(), e.InFlight())
	}
	if !raceEnabled && grown > most {
		t.Errorf("%d MiB at the most", grown>>20)
	}
	if timeouts.Load() != storm {
		t.Errorf("%d timeouts", timeouts.Load())
	}
}

// resident is this process's memory in octets.
func resident(t *testing.T) int {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(stat), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestExchangeWithOneServer(t *testing.T) {
	f := serve(t, "127.0.0.1", answers("192.0.2.1"), answersTCP("192.0.2.2"))
	e := newEngine(t, Options{})
	for transport, want := range map[Transport]string{UDP: "192.0.2.1", TCP: "192.0.2.2"} {
		a, err := e.Exchange(context.Background(), Server{Addr: f.Addr, Transport: transport}, question("www.example.com"))
		if err != nil {
			t.Fatal(err)
		}
		if got := addressOf(t, a.Msg); got != want {
			t.Fatalf("%s: %s, want %s", transport, got, want)
		}
	}
	if len(e.Stats()) != 0 {
		t.Fatalf("left behind: %v", e.Stats())
	}
	if _, err := e.Exchange(context.Background(), Server{}, question("www.example.com")); err == nil {
		t.Fatal("no address: taken")
	}
}
