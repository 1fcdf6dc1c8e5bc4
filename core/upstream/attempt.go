package upstream

import (
	"errors"

	"golang.org/x/sys/unix"
)

// An attempt is one query of a flight to one server. A flight has room for many, and a
// storm has many flights: it is kept small.
type attempt struct {
	socket  *socket // or
	conn    *conn
	sent    int64
	id      uint16
	index   uint8 // of the server in flight.servers
	open    bool  // a reply is awaited
	edns    bool
	mixed   bool // the name has the case of flight.mix
	guarded bool // over a stream only because somebody guesses
	measure bool // the reply's delay is a round-trip time
}

// stream reports whether it went over TCP or TLS.
func (a *attempt) stream() bool { return a.conn != nil }

// to is whom an attempt was sent to.
func (f *flight) to(a *attempt) *server { return f.servers[a.index] }

// mixOf is the mixed case of an attempt's name; 0 where it isn't mixed.
func (f *flight) mixOf(a *attempt) uint64 {
	if a.mixed {
		return f.mix
	}
	return 0
}

// A route says how an attempt differs from the server's usual way.
type route struct {
	stream  bool // over TCP, whatever its transport
	guarded bool // that, because somebody guesses
	plain   bool // without an OPT record
}

// transmit sends one query of a flight to its i-th server.
func (s *shard) transmit(f *flight, i int, by route, now int64, o *outbox) error {
	to := f.servers[i]
	a := &f.attempts[f.sent]
	*a = attempt{
		index: uint8(i), sent: now, open: true,
		edns:    !by.plain && to.noEDNS.Load() <= now,
		mixed:   (to.Mix0x20 || s.engine.options.MixCase) && to.noMix.Load() <= now,
		guarded: by.guarded,
	}
	if a.mixed && f.mix == 0 {
		f.mix = s.lots.uint64() | 1<<63 // never 0: that is not mixed at all
	}
	stream := to.Transport != UDP || by.stream || by.guarded
	var err error
	if stream {
		err = s.overStream(f, a, now)
	}
	if !stream || err != nil && by.guarded { // who guesses must not keep us from a server without TCP
		a.guarded = false
		err = s.overUDP(f, a, now, o)
	}
	if err != nil {
		return err
	}
	f.asked.add(i)
	f.sent++
	f.open++
	s.count(to, cAsked)
	to.ask(now)
	return nil
}

func (s *shard) overUDP(f *flight, a *attempt, now int64, o *outbox) error {
	k, err := s.socket(f.to(a), now)
	if err != nil {
		// Being out of descriptors is our fault, having no route is not.
		if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
			f.to(a).fail(now)
		}
		return err
	}
	for a.id = s.lots.uint16(); k.table.find(a.id) != nil; {
		a.id = s.lots.uint16()
	}
	k.table.add(a.id, f, uint8(f.sent))
	a.socket, a.measure = k, true
	k.live++
	if s.waits++; s.waits == 1 {
		s.awaited.Store(true)
	}
	k.sent++
	k.last = now
	k.sends++
	from := len(o.packets)
	o.packets = f.appendQuery(o.packets, a.id, f.mixOf(a), a.edns)
	if a.edns && o == s.held {
		o.packets = f.even(o.packets, from)
	}
	o.sends = append(o.sends, datagram{k, from, len(o.packets)})
	return nil
}

func (s *shard) overStream(f *flight, a *attempt, now int64) error {
	c, err := s.connection(f.to(a), now)
	if err != nil {
		return err
	}
	for a.id = s.lots.uint16(); c.knows(a.id); {
		a.id = s.lots.uint16()
	}
	a.conn = c
	a.measure = c.established && c.server.Transport != UDP
	c.enqueue(f, a, uint8(f.sent), now)
	return nil
}

// drop stops waiting for an attempt's reply.
func (s *shard) drop(f *flight, a *attempt) {
	if !a.open {
		return
	}
	a.open = false
	f.open--
	if a.conn != nil {
		a.conn.forget(a.id)
		return
	}
	a.socket.table.find(a.id).f = nil
	a.socket.live--
	if s.waits--; s.waits == 0 {
		s.awaited.Store(false)
	}
}
