package socket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// succeed starts a server on the first one's sockets, has it take over as another
// process does, and returns it with what ends it.
func succeed(t *testing.T, first *Server) (*Server, func()) {
	t.Helper()
	files, err := first.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	o := sometimesLate()
	o.Hold = hold
	if err := o.Inherit(files); err != nil {
		t.Fatal(err)
	}
	next, err := NewServer(first.Address(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		f.Close()
	}
	end := runServer(t, next)
	if !next.Ready() {
		t.Error("held, it counts as ready: the other one answers")
	}
	close(hold)
	eventually(t, "serving", next.Ready)
	first.Bequeath(func(conn *os.File) error {
		ours, err := next.Adopt(conn)
		if !ours && err == nil {
			err = errors.New("not ours")
		}
		return err
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := first.Drain(ctx); err != nil {
		t.Error(err)
	}
	return next, end
}

func runServer(t *testing.T, s *Server) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}
}

// sometimesLate are options of two workers that echo, every fourth query late.
func sometimesLate() Options {
	owed := new(atomic.Int64)
	handler := answers(func(p *plane.Packet, late plane.Queue) {
		if p.Data[0]%4 == 0 {
			owed.Add(1)
			to, reply := p.Return, bytes.Clone(p.Data)
			p.Data, p.Late = nil, true
			time.AfterFunc(time.Millisecond, func() {
				late.Deliver(to, reply)
				owed.Add(-1)
			})
		}
	})
	return Options{
		UDP:     UDPOptions{Workers: 2},
		Handler: func(int) plane.Handler { return handler },
		Pending: func() int { return int(owed.Load()) },
	}
}

// TestSuccession hands the sockets of a server over ten times, with clients that
// ask all the while: pipelined over connections that stay, over ones of their own,
// and by datagram. Some answers are late. None is missing.
func TestSuccession(t *testing.T) {
	s, err := NewServer(at("127.0.0.1:0"), sometimesLate())
	if err != nil {
		t.Fatal(err)
	}
	end := runServer(t, s)
	eventually(t, "serving", s.Ready)
	address := s.Address()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var asked atomic.Int64
	for i := range 6 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				network := []string{"tcp", "udp"}[i%2]
				if err := burst(dialFar(t, network, address), 200, byte(n), &asked); err != nil {
					t.Errorf("client %d over %s: %v", i, network, err)
					return
				}
			}
		})
	}
	var adopted uint64
	for round := range 10 {
		before := asked.Load()
		eventually(t, "asked", func() bool { return asked.Load() > before+200 })
		next, endNext := succeed(t, s)
		end()
		s, end = next, endNext
		_, streams := s.Counts()
		adopted += streams.Adopted
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	close(stop)
	clients.Wait()
	end()
	if adopted == 0 {
		t.Error("no connection was handed over")
	}
}

// burst asks over one connection, several at once, and wants all replies.
func burst(c *far, count int, mark byte, asked *atomic.Int64) error {
	defer c.Close()
	const window = 8
	sent := 0
	for got := range count {
		for ; sent < count && sent-got < window; sent++ {
			if err := c.Ask([]byte{byte(sent), mark}); err != nil {
				return fmt.Errorf("ask %d of %d: %w", sent, count, err)
			}
		}
		if reply, err := c.Reply(10 * time.Second); err != nil || len(reply) != 2 || reply[1] != mark {
			return fmt.Errorf("reply %d of %d: %x, %w", got, count, reply, err)
		}
		asked.Add(1)
	}
	return nil
}

// TestTurnAway stops a server with queries in the kernel's hands: those are
// answered, later ones refused at once.
func TestTurnAway(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0"} {
		t.Run(listen, func(t *testing.T) {
			u, err := ListenUDP(at(listen), UDPOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			address := u.Address()
			if address.Addr().IsUnspecified() {
				address = at(fmt.Sprintf("127.0.0.1:%d", address.Port()))
			}
			early, late := dialFar(t, "udp", address), dialFar(t, "udp", address)
			defer early.Close()
			defer late.Close()
			early.Ask([]byte("early"))
			u.Stop()
			late.Ask([]byte("late"))
			if _, err := late.Read(make([]byte, 100)); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("a query after the end: %v, want connection refused", err)
			}
			serveAll(t, u.Queues(), mirror)
			if got, err := early.Reply(10 * time.Second); err != nil || string(got) != "early" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestStopWithWaiting stops a listener whose connections have not been accepted,
// or not been read, yet.
func TestStopWithWaiting(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{})
	serveAll(t, l.Queues(), mirror)
	var all []*far
	for range 50 {
		c := dialTCP(t, l)
		c.Ask([]byte("query"))
		c.Ask([]byte("another"))
		all = append(all, c)
	}
	l.Stop()
	for i, c := range all {
		for _, want := range []string{"query", "another"} {
			if got, err := c.Reply(10 * time.Second); err != nil || string(got) != want {
				t.Fatalf("client %d: %q, %v", i, got, err)
			}
		}
		ended(t, c)
	}
	if _, err := net.DialTimeout("tcp", l.Address().String(), time.Second); err == nil {
		t.Error("a connection after Stop")
	}
}

// TestStopTLS stops under clients who have come and not yet shaken hands, or asked:
// each is answered once more and then let go.
func TestStopTLS(t *testing.T) {
	server, client := certificate(t)
	client = client.Clone()
	client.ServerName = "127.0.0.1"
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{TLS: server})
	serveAll(t, l.Queues(), mirror)
	busy, fresh := dialTLS(t, l, client), dialTLS(t, l, client)
	echoes(t, busy, "before")
	coming, err := net.Dial("tcp", l.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer coming.Close()
	eventually(t, "all three accepted", func() bool { return l.Counts().Open == 3 })

	busy.Ask([]byte("on its way"))
	l.Stop()
	if got, err := busy.Reply(10 * time.Second); err != nil || string(got) != "on its way" {
		t.Errorf("asked as it stopped: %q, %v", got, err)
	}
	echoes(t, fresh, "the first")
	secured := tls.Client(coming, client)
	late := &far{Conn: secured, stream: true, in: newReader(secured)}
	echoes(t, late, "after the handshake")
	for _, c := range []*far{busy, fresh, late} {
		ended(t, c)
	}
	l.Settle(t.Context())
	if open := l.Counts().Open; open != 0 {
		t.Errorf("%d connections left", open)
	}
}
