package upstream

import (
	"slices"
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
	bundle  *bundle // nil until it is needed
	run     func()  // complete, made once
}

type datagram struct {
	socket   *socket
	from, to int // of outbox.packets
}

func (d *datagram) size() int { return d.to - d.from }

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
		o.sendAll(s.engine)
		s.mu.Lock()
		o.sent(s)
		s.mu.Unlock()
	}
	if on := s.engine.options.OnExchange; on != nil {
		for _, e := range o.events {
			on(e.server.Addr, e.ok, e.rtt, e.err)
		}
	}
	if run := s.engine.together.Load(); run != nil && len(o.done) > 1 {
		if o.run == nil {
			o.run = o.complete
		}
		(*run)(o.run)
	} else {
		o.complete()
	}
	clear(o.events)
	clear(o.done)
	o.events, o.done = o.events[:0], o.done[:0]
}

func (o *outbox) complete() {
	for i := range o.done {
		o.done[i].done(o.done[i].answer)
	}
}

// sendAll sends the packets, those from one socket together, and keeps the errors. A
// full buffer on the way out is a lost packet, and treated like one.
func (o *outbox) sendAll(e *Engine) {
	if len(o.sends) > 1 {
		if slices.ContainsFunc(o.sends, func(d datagram) bool { return d.socket != o.sends[0].socket }) {
			slices.SortFunc(o.sends, func(a, b datagram) int { return a.socket.fd - b.socket.fd })
		}
		if o.bundle == nil {
			o.bundle = new(bundle)
		}
	}
	for rest := o.sends; len(rest) > 0; {
		k, n := rest[0].socket, 1
		for n < len(rest) && rest[n].socket == k {
			n++
		}
		errno := o.send(k, rest[:n], e)
		rest = rest[n:]
		if errno != 0 {
			o.failed = append(o.failed, failure{k, errno})
		}
	}
}

// sent lets go of the sockets that packets have left from, and deals with those that could
// not. The shard is locked.
func (o *outbox) sent(s *shard) {
	for i := range o.sends {
		o.sends[i].socket.sends--
	}
	clear(o.sends)
	o.sends, o.packets = o.sends[:0], o.packets[:0]
	if len(o.failed) == 0 {
		return
	}
	now := s.engine.now()
	for _, fail := range o.failed {
		s.refused(fail.socket, fail.errno, now, o)
	}
	o.failed = o.failed[:0]
}

// send sends packets from one socket.
func (o *outbox) send(k *socket, sends []datagram, e *Engine) unix.Errno {
	if len(sends) > 1 {
		return o.bundle.send(k.fd, o.packets, sends, &k.server.cuts, e.now())
	}
	if errno := k.send(o.packets[sends[0].from:sends[0].to]); !lost(errno) {
		return errno
	}
	return 0
}
