package upstream

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// An outbox collects what is to be done once the shard's lock is let go:
// system calls and callbacks.
type outbox struct {
	packets []byte
	sends   []datagram
	events  []event
	done    []completion
	silent  []*conn // to be given up; within the lock
	failed  []failure
}

type datagram struct {
	socket   *socket
	from, to int // of outbox.packets
}

type completion struct {
	done   func(Answer)
	answer Answer
}

type event struct {
	server *server
	ok     bool
	rtt    time.Duration
	err    error
}

type failure struct {
	socket *socket
	errno  unix.Errno
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// exchange notes the outcome of an exchange with one server.
func (o *outbox) exchange(to *server, ok bool, rtt time.Duration, err error) {
	o.events = append(o.events, event{to, ok, rtt, err})
}

// flush does it all. A packet that cannot be sent may make another one.
func (o *outbox) flush(s *shard) {
	for len(o.sends) > 0 {
		o.sendAll()
		if len(o.failed) == 0 {
			break
		}
		now := s.engine.now()
		s.mu.Lock()
		for _, fail := range o.failed {
			s.refused(fail.socket, fail.errno, now, o)
			fail.socket.sends.Add(-1)
		}
		s.mu.Unlock()
		o.failed = o.failed[:0]
	}
	if on := s.engine.options.OnExchange; on != nil {
		for _, e := range o.events {
			on(e.server.Addr, e.ok, e.rtt, e.err)
		}
	}
	for i := range o.done {
		o.done[i].done(o.done[i].answer)
	}
	clear(o.events)
	clear(o.done)
	o.events, o.done = o.events[:0], o.done[:0]
}

// sendAll sends the packets and keeps the errors. A full buffer on the way out is
// a lost packet, and treated like one.
func (o *outbox) sendAll() {
	for i, d := range o.sends {
		errno := d.socket.send(o.packets[d.from:d.to])
		o.sends[i] = datagram{}
		if errno == 0 || errno == unix.EAGAIN || errno == unix.ENOBUFS || errno == unix.EINTR {
			d.socket.sends.Add(-1)
			continue
		}
		o.failed = append(o.failed, failure{d.socket, errno})
	}
	o.sends, o.packets = o.sends[:0], o.packets[:0]
}
