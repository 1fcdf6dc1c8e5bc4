package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

const (
	connsMost    = 4       // to one server, per shard
	connOpenMost = 32768   // queries open on one: IDs have 16 bits
	connOutMost  = 4 << 20 // octets waiting to be written
	dialTimeout  = 2 * time.Second
	writeTimeout = 2 * time.Second
	redialLeast  = 50 * time.Millisecond // between two tries to connect; doubled each time, up to
	redialMost   = time.Second
)

// A conn is one kept TCP or TLS connection of a shard to a server. Queries are
// pipelined and replies come in any order (RFC 7766 §6.2.1, §7). Two goroutines
// serve it. All but what they read and write is under the shard's lock.
type conn struct {
	shard  *shard
	server *server
	open   map[uint16]slot
	asked  [1 << 16 / 64]uint64 // IDs there were queries with
	out    []byte               // queries to write, each behind its length
	wake   chan struct{}        // there is something in out
	gone   chan struct{}        // closed when the connection is given up
	cancel context.CancelFunc

	raw         net.Conn // nil while connecting
	established bool
	dead        bool
	draining    bool // its server left all sets
	lastRead    int64
	lastUse     int64
}

// connection returns one to a server that has room for a query, a new one
// where there is none.
func (s *shard) connection(to *server, now int64) (*conn, error) {
	p := &to.pools[s.index]
	for _, c := range p.conns {
		if len(c.open) < connOpenMost && len(c.out) < connOutMost {
			return c, nil
		}
	}
	switch {
	case len(p.conns) >= connsMost || s.closed:
		return nil, ErrOverload
	case now < p.redial:
		return nil, p.refusal
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	c := &conn{
		shard: s, server: to, open: map[uint16]slot{}, cancel: cancel, lastUse: now,
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	p.conns = append(p.conns, c)
	s.conns[c] = struct{}{}
	s.engine.running.Add(1)
	go c.run(ctx)
	return c, nil
}

func (c *conn) knows(id uint16) bool { _, ok := c.open[id]; return ok }

func (c *conn) forget(id uint16) { delete(c.open, id) }

// idle reports whether a connection should be closed by now.
func (c *conn) idle(now int64) bool {
	return len(c.open) == 0 && (c.draining || now-c.lastUse > int64(c.shard.engine.options.Idle))
}

// enqueue writes a query behind those that wait to be sent.
func (c *conn) enqueue(f *flight, a *attempt, n uint8, now int64) {
	c.open[a.id] = slot{f: f, n: n}
	c.asked[a.id/64] |= 1 << (a.id % 64)
	c.lastUse = now
	at := len(c.out)
	c.out = f.appendQuery(append(c.out, 0, 0), a.id, f.mixOf(a), a.edns)
	if a.edns && c.server.Transport == TLS {
		c.out = f.pad(c.out, at+2)
	}
	binary.BigEndian.PutUint16(c.out[at:], uint16(len(c.out)-at-2))
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// hangUp gives a connection up. Whoever waits for it is the caller's affair.
func (s *shard) hangUp(c *conn) {
	if c.dead {
		return
	}
	c.dead = true
	p := &c.server.pools[s.index]
	p.conns = slices.DeleteFunc(p.conns, func(other *conn) bool { return other == c })
	delete(s.conns, c)
	c.cancel()
	close(c.gone)
	if c.raw != nil {
		_ = c.raw.Close() // under TLS too: no farewell that could block
	}
}

// lose is what becomes of a connection that broke. A server may close one
// at any time (RFC 7766 §6.2.4), so what was open is asked once more on
// a new connection, unless this one never stood.
func (s *shard) lose(c *conn, err error, now int64, o *outbox) {
	if c.dead {
		return
	}
	s.hangUp(c)
	if !c.established {
		s.refrain(c.server, err, now)
	} else if len(c.open) > 0 {
		s.count(c.server, cClosed)
	}
	for _, known := range c.open {
		f := known.f
		a := &f.attempts[known.n]
		s.drop(f, a)
		switch {
		case f.done == nil:
			if f.open == 0 {
				s.free(f)
			}
		case c.established && !f.retried:
			f.retried = true
			s.again(f, a, route{stream: !a.guarded, guarded: a.guarded}, now, o)
		case a.guarded: // as in transmit
			s.again(f, a, route{}, now, o)
		default:
			s.noAnswer(f, int(a.index), err, now, o)
			s.elsewhere(f, now, o)
		}
	}
}

// refrain backs off from connecting to a server that could not be connected to.
func (s *shard) refrain(from *server, err error, now int64) {
	p := &from.pools[s.index]
	p.wait = min(redialMost, max(redialLeast, 2*p.wait))
	p.redial, p.refusal = now+int64(p.wait), err
	if from.Transport != UDP {
		from.fail(now)
	}
}

// stood notes that a connection was made.
func (s *shard) stood(to *server) {
	p := &to.pools[s.index]
	p.redial, p.wait, p.refusal = 0, 0, nil
	s.count(to, cConnections)
}

// broke is lose for the goroutines of the connection.
func (c *conn) broke(err error) {
	s := c.shard
	var o outbox
	s.mu.Lock()
	s.lose(c, err, s.engine.now(), &o)
	s.mu.Unlock()
	o.flush(s)
}

// run connects, and writes until the connection ends.
func (c *conn) run(ctx context.Context) {
	defer c.shard.engine.running.Done()
	defer c.cancel()
	raw, stream, err := c.dial(ctx)
	if err != nil {
		c.broke(fmt.Errorf("connect to %s: %w", c.server, err))
		return
	}
	c.shard.mu.Lock()
	c.raw, c.established = raw, true
	c.shard.stood(c.server)
	dead := c.dead
	if !dead {
		c.shard.engine.running.Add(1)
		go c.read(stream)
	}
	c.shard.mu.Unlock()
	if dead {
		_ = raw.Close()
		return
	}
	c.write(stream)
}

// dial returns the TCP connection and what to read from and write to.
func (c *conn) dial(ctx context.Context) (raw, stream net.Conn, err error) {
	raw, err = (&net.Dialer{}).DialContext(ctx, "tcp", c.server.Addr.String())
	if err != nil || c.server.Transport != TLS {
		return raw, raw, err
	}
	t := tls.Client(raw, c.server.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return raw, t, nil
}

// write sends what is enqueued, all at once what came while it wrote.
func (c *conn) write(stream net.Conn) {
	var out []byte
	for {
		c.shard.mu.Lock()
		out, c.out = c.out, out[:0]
		c.shard.mu.Unlock()
		if len(out) > 0 {
			_ = stream.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := stream.Write(out); err != nil {
				c.broke(fmt.Errorf("write to %s: %w", c.server, err))
				return
			}
			continue
		}
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
	}
}

// read takes replies off the stream, each behind its length (RFC 1035 §4.2.2).
func (c *conn) read(stream net.Conn) {
	defer c.shard.engine.running.Done()
	in := bufio.NewReaderSize(stream, 4096)
	var length [2]byte
	var msg []byte
	var o outbox
	for {
		_, err := io.ReadFull(in, length[:])
		if err == nil {
			n := int(binary.BigEndian.Uint16(length[:]))
			msg = slices.Grow(msg[:0], n)[:n]
			_, err = io.ReadFull(in, msg)
		}
		if err != nil {
			c.broke(fmt.Errorf("read from %s: %w", c.server, err))
			return
		}
		c.take(msg, &o)
	}
}

// find gives the query that a message replies to. One that is used but has no flight is
// answered or given up already; one that isn't, there never was.
func (c *conn) find(msg []byte) slot {
	if !isReply(msg) {
		return slot{}
	}
	id := binary.BigEndian.Uint16(msg)
	if known, ok := c.open[id]; ok {
		return known
	}
	return slot{used: c.asked[id/64]>>(id%64)&1 != 0}
}

// take hands a message over to the query that it replies to.
func (c *conn) take(msg []byte, o *outbox) {
	s := c.shard
	now := s.engine.now()
	s.mu.Lock()
	c.lastRead = now
	if known := c.find(msg); known.f != nil {
		s.replied(known.f, int(known.n), msg, false, now, o)
		s.measure()
	} else if known.used {
		s.count(c.server, cLate)
	} else { // no more of it can be believed: where messages begin may be lost
		s.count(c.server, stranger(msg))
		s.lose(c, fmt.Errorf("read from %s: %w", c.server, ErrReply), now, o)
	}
	s.mu.Unlock()
	o.flush(s)
}
