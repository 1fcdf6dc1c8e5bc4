package upstream

import (
	"errors"

	"golang.org/x/sys/unix"
)

// An attempt is one query of a flight to one server.
type attempt struct {
	server  *server
	socket  *socket // or
	conn    *conn
	sent    int64
	mix     uint64 // of the name's case; 0: not mixed
	id      uint16
	index   uint8 // of the server in flight.servers
	open    bool  // a reply is awaited
	edns    bool
	stream  bool // over TCP or TLS
	guarded bool // over a stream only because somebody guesses
	measure bool // the reply's delay is a round-trip time
	extra   bool // sent for our own sake
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
		server: to, index: uint8(i), sent: now, open: true,
		edns:    !by.plain && to.noEDNS.Load() <= now,
		stream:  to.Transport != UDP || by.stream || by.guarded,
		guarded: by.guarded,
	}
	if (to.Mix0x20 || s.engine.options.MixCase) && to.noMix.Load() <= now {
		a.mix = s.lots.uint64() | 1<<63 // never 0: that is not mixed at all
	}
	var err error
	if a.stream {
		err = s.overStream(f, a, now)
	}
	if !a.stream || err != nil && by.guarded { // who guesses must not keep us from a server without TCP
		a.stream, a.guarded = false, false
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
	k, err := s.socket(a.server, now)
	if err != nil {
		// Being out of descriptors is our fault, having no route is not.
		if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
			a.server.fail(now)
		}
		return err
	}
	for a.id = s.lots.uint16(); k.table.find(a.id) != nil; {
		a.id = s.lots.uint16()
	}
	k.table.add(a.id, f, uint8(f.sent))
	a.socket, a.measure = k, true
	k.live++
	k.sent++
	k.last = now
	k.sends.Add(1)
	from := len(o.packets)
	o.packets = f.appendQuery(o.packets, a.id, a.mix, a.edns)
	o.sends = append(o.sends, datagram{k, from, len(o.packets)})
	return nil
}

func (s *shard) overStream(f *flight, a *attempt, now int64) error {
	c, err := s.connection(a.server, now)
	if err != nil {
		return err
	}
	for a.id = s.lots.uint16(); c.knows(a.id); {
		a.id = s.lots.uint16()
	}
	a.conn = c
	a.measure = c.established && a.server.Transport != UDP
	c.enqueue(f, a, f.sent, now)
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
}
