package socket

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// A fellow is a companion whose descriptor is an eventfd(2): each write is an answer
// to take in. It keeps queries until then.
type fellow struct {
	t       *testing.T
	fd      int
	awaits  atomic.Bool
	joined  atomic.Bool
	left    atomic.Bool
	turns   atomic.Int32
	sent    atomic.Int32
	late    plane.Queue
	waiting []plane.Packet
}

func newFellow(t *testing.T) *fellow {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &fellow{t: t, fd: fd}
}

func (f *fellow) Join()        { f.joined.Store(true) }
func (f *fellow) Leave()       { f.left.Store(true) }
func (f *fellow) FD() int      { return f.fd }
func (f *fellow) Sent()        { f.sent.Add(1) }
func (f *fellow) Awaits() bool { return f.awaits.Load() }

func (f *fellow) answered() {
	if _, err := unix.Write(f.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		f.t.Error(err)
	}
}

func (f *fellow) Answer(batch []plane.Packet, late plane.Queue) {
	f.late = late
	for i := range batch {
		if string(batch[i].Data) == "wait" {
			f.waiting = append(f.waiting, plane.Packet{Data: []byte("waited"), Return: batch[i].Return})
			batch[i].Data, batch[i].Late = batch[i].Data[:0], true
		}
	}
}

func (f *fellow) Turn() {
	f.turns.Add(1)
	var count [8]byte
	if n, _ := unix.Read(f.fd, count[:]); n != 8 {
		return
	}
	for _, p := range f.waiting {
		if err := f.late.Deliver(p.Return, p.Data); err != nil {
			f.t.Error(err)
		}
	}
	f.waiting = nil
}

// TestCompanionIsWoken has a queue without queries wait for its companion's descriptor,
// too.
func TestCompanionIsWoken(t *testing.T) {
	u := listenUDP(t, "127.0.0.1:0", UDPOptions{})
	f := newFellow(t)
	ended := make(chan error, 1)
	go func() { ended <- Serve(u.Queues()[0], f, AnyCPU) }()
	c := dialFar(t, "udp", u.Address())
	for range 3 {
		if err := c.Ask([]byte("wait")); err != nil {
			t.Fatal(err)
		}
		echoes(t, c, "now") // behind it: the first one was seen
		f.answered()
		if got, err := c.Reply(10 * time.Second); err != nil || string(got) != "waited" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if n := f.turns.Load(); n > 10 {
		t.Errorf("%d turns for three answers of which none was awaited", n)
	}
	u.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !f.joined.Load() || !f.left.Load() {
		t.Error("it did not join, or did not leave")
	}
}

// TestCompanionHasItsTurn has queries that do not cease leave a turn to the companion
// that awaits something.
func TestCompanionHasItsTurn(t *testing.T) {
	u := listenUDP(t, "127.0.0.1:0", UDPOptions{})
	f := newFellow(t)
	f.awaits.Store(true)
	serveAll(t, u.Queues(), f)
	c := dialFar(t, "udp", u.Address())
	for range 20 {
		echoes(t, c, "now")
	}
	if n := f.turns.Load(); n < 20 {
		t.Errorf("%d turns beside twenty batches", n)
	}
	eventually(t, "to be told of each batch that was sent", func() bool { return f.sent.Load() == 20 })
}

// TestNap has a wait end by what the companion has, while it expects something, and else
// by time alone.
func TestNap(t *testing.T) {
	const long, short = time.Minute, 2 * time.Millisecond
	f := newFellow(t)
	b := beside{Companion: f}
	lasts := func() bool { // the runtime's signals may end one wait, but not all
		for range 20 {
			start := time.Now()
			if nap(short.Nanoseconds(), b.awaited()); time.Since(start) >= short {
				return true
			}
		}
		return false
	}
	if (&beside{}).awaited() != -1 || b.awaited() != -1 {
		t.Error("somebody waits for what nobody expects")
	}
	f.answered()
	if !lasts() {
		t.Error("woken by what was not expected")
	}
	f.awaits.Store(true)
	start := time.Now()
	if nap(long.Nanoseconds(), b.awaited()); time.Since(start) >= long {
		t.Error("asleep beside what had come")
	}
	f.Turn()
	if !lasts() {
		t.Error("woken by nothing")
	}
}
