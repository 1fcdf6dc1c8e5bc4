package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A relay stands between a server and its etcd: it cuts them off from each other, and
// lets what etcd says through at a rate.
type relay struct {
	to       string
	listener net.Listener
	passed   atomic.Int64 // octets to the server
	rate     atomic.Int64 // of them a second; 0: as many as come
	buckets  sync.Mutex   // one for all connections
	due      time.Time    // when the next octets may pass

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newRelay(to string) (*relay, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &relay{to: to, listener: listener, conns: map[net.Conn]bool{}}
	go r.serve()
	return r, nil
}

func (r *relay) url() string { return "http://" + r.listener.Addr().String() }

func (r *relay) close() {
	r.listener.Close()
	r.cutOff()
}

// cutOff ends all connections, and new ones at once, until open.
func (r *relay) cutOff() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	for conn := range r.conns {
		conn.Close()
	}
}

// open lets connections through again, with so many octets a second to the server.
func (r *relay) open(rate int64) {
	r.rate.Store(rate)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

func (r *relay) serve() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		go r.carry(conn)
	}
}

// keep takes a connection into account; false: it is to be closed.
func (r *relay) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cut {
		r.conns[conn] = true
	}
	return !r.cut
}

func (r *relay) carry(server net.Conn) {
	defer server.Close()
	etcd, err := net.Dial("tcp4", r.to)
	if err != nil {
		return
	}
	defer etcd.Close()
	if !r.keep(server) {
		return
	}
	defer func() {
		r.mu.Lock()
		delete(r.conns, server)
		r.mu.Unlock()
	}()
	go func() {
		_, _ = io.Copy(etcd, server)
		etcd.Close()
	}()
	_, _ = io.CopyBuffer(struct{ io.Writer }{server}, struct{ io.Reader }{&slow{r, etcd}}, make([]byte, relayPiece))
}

// relayPiece is what passes at once, in octets: some tenths of a millisecond's worth.
const relayPiece = 8 << 10

// A slow reader reads no faster than its relay may pass on.
type slow struct {
	r    *relay
	from io.Reader
}

func (s *slow) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	time.Sleep(time.Until(s.r.pass(n, time.Now())))
	return n, err
}

// pass takes n octets into account, and says when they may pass.
func (r *relay) pass(n int, now time.Time) time.Time {
	r.passed.Add(int64(n))
	rate := r.rate.Load()
	if rate == 0 {
		return now
	}
	r.buckets.Lock()
	defer r.buckets.Unlock()
	if lag := now.Add(-10 * time.Millisecond); r.due.Before(lag) { // what was not used in time is lost
		r.due = lag
	}
	at := r.due
	r.due = r.due.Add(time.Duration(int64(n) * int64(time.Second) / rate))
	return at
}
