package nasty

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A Behaviour is what becomes of one query. It runs on a goroutine of its own.
type Behaviour func(q *Query)

// A Server answers until it is closed.
type Server struct {
	Addr       netip.AddrPort
	Behaviours map[string]Behaviour // by second label; others get the honest answer

	udp     *net.UDPConn
	tcp     net.Listener
	running sync.WaitGroup
	ended   chan struct{}

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	asked  map[string]int // over UDP and TCP, by folded name
	times  map[string]int // of each second label, and transport
}

// Start starts a server on a port of a loopback address.
func Start(host string, behaviours map[string]Behaviour) (*Server, error) {
	for range 20 { // until a port is free for both
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			return nil, fmt.Errorf("start nasty server: %w", err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil {
			_ = udp.Close()
			continue
		}
		s := &Server{
			Addr: udp.LocalAddr().(*net.UDPAddr).AddrPort(), Behaviours: behaviours, udp: udp, tcp: tcp,
			ended: make(chan struct{}), conns: map[net.Conn]struct{}{}, asked: map[string]int{}, times: map[string]int{},
		}
		s.running.Add(2)
		go s.receive()
		go s.accept()
		return s, nil
	}
	return nil, errors.New("start nasty server: no port is free for UDP and TCP")
}

// Close ends it, with all behaviours that still run.
func (s *Server) Close() {
	_ = s.udp.Close()
	_ = s.tcp.Close()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Pause waits, or until the server is closed.
func (s *Server) Pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ended:
	}
}

// Asked is how often a name was asked for, by any type and transport.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[dns.CanonicalName(name)]
}

// Questions is how many queries came in all.
func (s *Server) Questions() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.asked {
		n += times
	}
	return n
}

func (s *Server) receive() {
	defer s.running.Done()
	buf := make([]byte, 65535)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			s.take(&Query{Server: s, Wire: append([]byte(nil), buf[:n]...), From: from}, true)
		}
	}
}

func (s *Server) accept() {
	defer s.running.Done()
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
		}
		s.conns[c] = struct{}{}
		s.running.Add(1)
		s.mu.Unlock()
		go s.converse(c)
	}
}

// converse answers the queries of one connection, one after the other.
func (s *Server) converse(c net.Conn) {
	defer s.running.Done()
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	stream := &dns.Conn{Conn: c}
	buf := make([]byte, 65535)
	for {
		n, err := stream.Read(buf)
		if err != nil {
			return
		}
		s.take(&Query{Server: s, Wire: append([]byte(nil), buf[:n]...), Conn: c}, false)
	}
}

// take has a query answered: beside others, or before the next one is read.
func (s *Server) take(q *Query, beside bool) {
	if q.Msg.Unpack(q.Wire) != nil || len(q.Msg.Question) != 1 {
		return
	}
	name := dns.CanonicalName(q.Msg.Question[0].Name)
	labels := append(dns.SplitDomainName(name), "", "")
	s.mu.Lock()
	s.asked[name]++
	kind := fmt.Sprint(labels[1], q.Stream())
	s.times[kind]++
	q.Time = s.times[kind]
	behave := s.Behaviours[strings.ToLower(labels[1])]
	if beside {
		s.running.Add(1)
	}
	s.mu.Unlock()
	if behave == nil {
		behave = (*Query).Honest
	}
	if !beside {
		behave(q)
		return
	}
	go func() {
		defer s.running.Done()
		behave(q)
	}()
}
