package socket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/plane"
)

// TestServer serves UDP and TCP, or TLS, on workers of their own, drains while an
// answer is owed, and ends with nothing left.
func TestServer(t *testing.T) {
	secured, client := certificate(t)
	t.Run("plain", func(t *testing.T) {
		serves(t, nil, 3, func(s *Server) []*far {
			return []*far{dialFar(t, "udp", s.Address()), dialFar(t, "tcp", s.Address())}
		})
	})
	t.Run("TLS", func(t *testing.T) {
		serves(t, secured, 1, func(s *Server) []*far { return []*far{dialTLS(t, s.stream, client)} })
	})
}

// serves tries a server out that has so many handlers.
func serves(t *testing.T, secured *tls.Config, workers int64, dial func(s *Server) []*far) {
	var owed atomic.Int64
	var handlers atomic.Int64
	release := make(chan struct{})
	s, err := NewServer(at("127.0.0.1:0"), Options{
		UDP:  UDPOptions{Workers: 2},
		TCP:  TCPOptions{TLS: secured},
		CPUs: []int{0, 0},
		Handler: func(int) plane.Handler {
			handlers.Add(1)
			return answers(func(p *plane.Packet, late plane.Queue) {
				if string(p.Data) != "late" {
					return
				}
				owed.Add(1)
				to, reply := p.Return, bytes.Clone(p.Data)
				p.Data, p.Late = nil, true
				go func() {
					<-release
					late.Deliver(to, reply)
					owed.Add(-1)
				}()
			})
		},
		Pending: func() int { return int(owed.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	eventually(t, "ready", s.Ready)
	if want := "socket " + s.Address().String(); s.String() != want {
		t.Errorf("called %q, want %q", s, want)
	}
	all := dial(s)
	for _, c := range all {
		defer c.Close()
		echoes(t, c, "at once")
		c.Ask([]byte("late"))
	}
	eventually(t, "all owed", func() bool { return owed.Load() == int64(len(all)) })
	drained := make(chan error)
	go func() { drained <- s.Drain(context.Background()) }()
	eventually(t, "not ready", func() bool { return !s.Ready() })
	select {
	case <-drained:
		t.Fatal("drained with answers owed")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if got, err := c.Reply(10 * time.Second); err != nil || string(got) != "late" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if n := handlers.Load(); n != workers {
		t.Errorf("%d handlers, want %d", n, workers)
	}
	udp, streams := s.Counts()
	if streams.Late != 1 || streams.Sent != 1 || secured == nil && (len(udp) != 2 || udp[0].Late+udp[1].Late != 1) || secured != nil && len(udp) != 0 {
		t.Errorf("counts %+v, %+v", udp, streams)
	}
}

// TestDrainGivesUp ends a drain whose answers don't come, with its context.
func TestDrainGivesUp(t *testing.T) {
	s, err := NewServer(at("[::1]:0"), Options{Handler: func(int) plane.Handler { return mirror }, Pending: func() int { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	eventually(t, "ready", s.Ready)
	short, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	if err := s.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain: %v", err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// TestServerInherits sorts sockets of the service manager and serves them.
func TestServerInherits(t *testing.T) {
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := stream.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	stream.Close()
	defer file.Close()
	var o Options
	if err := o.Inherit([]*os.File{udpFile(t, "127.0.0.1:0"), file}); err != nil {
		t.Fatal(err)
	}
	o.Handler = func(int) plane.Handler { return mirror }
	s, err := NewServer(at("127.0.0.1:0"), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	for _, c := range []*far{dialFar(t, "udp", s.Address()), dialFar(t, "tcp", s.stream.Address())} {
		echoes(t, c, "inherited")
		c.Close()
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if err := o.Inherit([]*os.File{file}); err == nil || !strings.Contains(err.Error(), "another stream") {
		t.Errorf("two stream sockets: %v", err)
	}
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	if err := o.Inherit([]*os.File{pipe}); err == nil {
		t.Error("a pipe inherited")
	}
}

func TestServerRefuses(t *testing.T) {
	taken := listenTCP(t, "127.0.0.1:0", TCPOptions{})
	h := func(int) plane.Handler { return mirror }
	for _, c := range []struct {
		address string
		o       Options
		want    string
	}{
		{"127.0.0.1:0", Options{}, "no handler"},
		{"127.0.0.1:0", Options{Handler: h, UDP: UDPOptions{Workers: 2}, CPUs: []int{0}}, "1 CPUs for 2 workers"},
		{taken.Address().String(), Options{Handler: h}, "listen tcp " + taken.Address().String()},
		{"127.0.0.1:0", Options{Handler: h, UDP: UDPOptions{Room: 1}}, "512 to 4096"},
	} {
		if s, err := NewServer(at(c.address), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, want %q", s, err, c.want)
		}
	}
}
