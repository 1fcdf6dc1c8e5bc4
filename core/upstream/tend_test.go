package upstream

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// turnUntil turns a tender as a loop that waits for its descriptor does, until done is
// closed.
func turnUntil(t *testing.T, by *Tender, done <-chan struct{}) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		select {
		case <-done:
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("nothing came within 20 s")
		}
		fds := []unix.PollFd{{Fd: int32(by.FD()), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, 100); n > 0 {
			by.Turn()
		}
	}
}

// somethingFor is closed when a tender has something to do.
func somethingFor(by *Tender) <-chan struct{} {
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		fds := []unix.PollFd{{Fd: int32(by.FD()), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, 20_000)
	}()
	return ready
}

// askFor asks and gives what is closed behind the answer.
func askFor(set *Set, name string) (done chan struct{}, answer *Answer) {
	done, answer = make(chan struct{}), new(Answer)
	set.Ask(question(name), func(a Answer) {
		*answer = a
		close(done)
	})
	return done, answer
}

func TestTenderReceives(t *testing.T) {
	server := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	e := newEngine(t, Options{Shards: 1, Budget: 20 * time.Second})
	set := newSet(t, e, server.Server)
	by := e.Tend()
	if by == nil {
		t.Fatal("nothing to tend")
	}
	if e.Tend() != nil {
		t.Error("one share was given to two")
	}
	if by.Awaits() {
		t.Error("replies are awaited before anything was asked")
	}
	for range 3 {
		done, answer := askFor(set, "tended.example.")
		if !by.Awaits() {
			t.Error("no reply is awaited behind a question")
		}
		select {
		case <-done:
			t.Fatal("an answer came without a turn")
		case <-somethingFor(by):
		}
		turnUntil(t, by, done)
		if answer.Err != nil {
			t.Fatal(answer.Err)
		}
		if by.Awaits() {
			t.Error("replies are awaited behind the only one")
		}
	}
	by.Close()
	done, answer := askFor(set, "given-back.example.")
	<-done
	if answer.Err != nil {
		t.Errorf("behind the tender: %v", answer.Err)
	}
	again := e.Tend()
	if again == nil {
		t.Fatal("what was given back cannot be tended")
	}
	done, answer = askFor(set, "again.example.")
	turnUntil(t, again, done)
	if answer.Err != nil {
		t.Error(answer.Err)
	}
	again.Close()
}

// TestTenderAtTheEnd closes an engine that is tended, in each order.
func TestTenderAtTheEnd(t *testing.T) {
	silent := serve(t, "127.0.0.1", func(*fake, []byte, netip.AddrPort) {}, nil)
	for _, first := range []string{"engine", "tender"} {
		t.Run(first, func(t *testing.T) {
			e := newEngine(t, Options{Shards: 1})
			set := newSet(t, e, silent.Server)
			by := e.Tend()
			done, answer := askFor(set, "never.example.")
			if first == "tender" {
				by.Close()
			}
			ended := make(chan struct{})
			go func() { _ = e.Close(); close(ended) }()
			if first == "engine" {
				turnUntil(t, by, ended)
				if by.FD() >= 0 {
					t.Error("there is a descriptor behind the end")
				}
				by.Turn()
				by.Close()
			}
			<-ended
			<-done
			if !errors.Is(answer.Err, net.ErrClosed) {
				t.Errorf("found %v, want net.ErrClosed", answer.Err)
			}
			if e.Tend() != nil {
				t.Error("a closed engine is tended")
			}
		})
	}
}

// TestTendersComeAndGo has shares change hands while questions are asked.
func TestTendersComeAndGo(t *testing.T) {
	server := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	e := newEngine(t, Options{Shards: 2, Budget: 20 * time.Second})
	set := newSet(t, e, server.Server)
	stop := make(chan struct{})
	var tending sync.WaitGroup
	for range 3 {
		tending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				by := e.Tend()
				if by == nil {
					time.Sleep(time.Millisecond)
					continue
				}
				for range 20 {
					fds := []unix.PollFd{{Fd: int32(by.FD()), Events: unix.POLLIN}}
					if n, _ := unix.Poll(fds, 1); n > 0 || by.Awaits() {
						by.Turn()
					}
				}
				by.Close()
			}
		})
	}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 200 {
				done, answer := askFor(set, "moving.example.")
				<-done
				if answer.Err != nil {
					t.Error(answer.Err)
					return
				}
			}
		})
	}
	asking.Wait()
	close(stop)
	tending.Wait()
}
