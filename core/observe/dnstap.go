package observe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"google.golang.org/protobuf/proto"
)

// How often what was seen is sent; how long a receiver may take for the handshake
// or a write; and how long after a failure it is tried again.
const (
	dnstapEvery   = 50 * time.Millisecond
	dnstapTimeout = 5 * time.Second
	dnstapRetry   = time.Second
	dnstapEnd     = time.Second // what a receiver may take for the rest when we end
)

// A tapWriter sends messages to a dnstap receiver over a unix socket, in frames
// (Frame Streams, with the handshake of both sides). The connection is kept here
// and not by dnstap.NewSocketWriter, which does not connect again once a write has
// failed, and does not say what was lost.
type tapWriter struct {
	o         *Options
	connected atomic.Bool

	mu     sync.Mutex
	config Dnstap
	turn   int // grows when the config changes: connect anew
}

func (w *tapWriter) init(o *Options) { w.o = o }

// set takes up a config. Where nothing has changed the connection stays.
func (w *tapWriter) set(c Dnstap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Socket == w.config.Socket && c.Identity == w.config.Identity && c.Version == w.config.Version && sameMessages(c.Messages, w.config.Messages) {
		w.config = c
		return
	}
	w.config = c
	w.turn++
}

func (w *tapWriter) current() (Dnstap, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.config, w.turn
}

// runDnstap keeps a connection to the receiver. While there is none the rings fill
// up, and what comes then is dropped.
func (b *Observer) runDnstap(ctx context.Context) {
	p := &b.pipes[dnstapKind]
	for said := false; ctx.Err() == nil; {
		c, turn := b.dnstap.current()
		if c.Socket == "" {
			b.drainDnstap(nil)
			p.wait(ctx, 0)
			continue
		}
		err := b.send(ctx, c, turn, &said)
		if err == nil {
			continue
		}
		if !said {
			b.o.Log.Warn("dnstap: no receiver, trying again", "socket", c.Socket, "err", err)
			said = true
		}
		retry := time.After(dnstapRetry)
		select {
		case <-ctx.Done():
		case <-retry:
		}
	}
}

// send sends over one connection until that fails, the config changes or ctx is
// done.
func (b *Observer) send(ctx context.Context, c Dnstap, turn int, said *bool) error {
	dialer := net.Dialer{Timeout: dnstapTimeout}
	conn, err := dialer.DialContext(ctx, "unix", c.Socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(dnstapEnd, func() { conn.Close() }) })()
	frames, err := framestream.NewWriter(conn, &framestream.WriterOptions{
		ContentTypes: [][]byte{dnstap.FSContentType}, Bidirectional: true, Timeout: dnstapTimeout,
	})
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	b.dnstap.connected.Store(true)
	defer b.dnstap.connected.Store(false)
	b.o.Log.Info("dnstap: connected", "socket", c.Socket)
	*said = false

	p, out := &b.pipes[dnstapKind], newFramer(b, c, frames)
	for on := true; on; {
		on = p.wait(ctx, dnstapEvery)
		if err := b.drainDnstap(out); err != nil {
			return err
		}
		if _, now := b.dnstap.current(); now != turn {
			break
		}
	}
	return frames.Close()
}

// drainDnstap sends what has been seen, or drops it where there is no framer.
func (b *Observer) drainDnstap(out *framer) (err error) {
	p := &b.pipes[dnstapKind]
	var n uint64
	p.drain(func(e *Event) bool {
		n++
		if out != nil {
			err = out.write(e)
		}
		return err == nil
	})
	if out != nil && err == nil {
		err = out.frames.Flush()
	}
	if out == nil || err != nil {
		p.failed.Add(n)
		return err
	}
	p.written.Add(n)
	return nil
}

// A framer makes frames of events. What it needs for that is made once.
type framer struct {
	b                 *Observer
	frames            *framestream.Writer
	queries, replies  bool
	identity, version []byte
	buf               []byte
}

func newFramer(b *Observer, c Dnstap, frames *framestream.Writer) *framer {
	f := &framer{
		b: b, frames: frames, identity: []byte(c.Identity), version: []byte(c.Version),
		queries: slices.Contains(c.Messages, clientQuery), replies: slices.Contains(c.Messages, clientResponse),
	}
	if c.Identity == "" {
		name, err := os.Hostname()
		if err == nil {
			f.identity = []byte(name)
		}
	}
	if c.Version == "" {
		f.version = []byte(b.o.Version)
	}
	return f
}

// write writes the frames of an event: the query, the response, or both.
func (f *framer) write(e *Event) error {
	if f.queries && len(e.Query) > 0 {
		m := f.message(e, dnstap.Message_CLIENT_QUERY)
		m.QueryMessage = e.Query
		if err := f.frame(m); err != nil {
			return err
		}
	}
	if f.replies && len(e.Reply) > 0 {
		m := f.message(e, dnstap.Message_CLIENT_RESPONSE)
		m.ResponseMessage = e.Reply
		m.ResponseTimeSec, m.ResponseTimeNsec = clock(e.Time + e.Took)
		return f.frame(m)
	}
	return nil
}

// message is what both messages of an event have in common.
func (f *framer) message(e *Event, typ dnstap.Message_Type) *dnstap.Message {
	m := &dnstap.Message{Type: typ.Enum(), SocketProtocol: dnstap.SocketProtocol_UDP.Enum(), SocketFamily: dnstap.SocketFamily_INET6.Enum()}
	if e.Stream {
		m.SocketProtocol = dnstap.SocketProtocol_TCP.Enum()
	}
	if e.Client.Addr().Unmap().Is4() {
		m.SocketFamily = dnstap.SocketFamily_INET.Enum()
	}
	m.QueryAddress, m.QueryPort = place(e.Client)
	m.ResponseAddress, m.ResponsePort = place(f.b.local(e.Tap))
	m.QueryTimeSec, m.QueryTimeNsec = clock(e.Time)
	return m
}

func (f *framer) frame(m *dnstap.Message) (err error) {
	f.buf, err = proto.MarshalOptions{}.MarshalAppend(f.buf[:0], &dnstap.Dnstap{
		Type: dnstap.Dnstap_MESSAGE.Enum(), Identity: f.identity, Version: f.version, Message: m,
	})
	if err != nil {
		return fmt.Errorf("dnstap: %w", err)
	}
	_, err = f.frames.WriteFrame(f.buf)
	return err
}

// place is an address and port as messages have them. A wildcard is left out: at
// which of its addresses the server was asked is not known.
func place(a netip.AddrPort) ([]byte, *uint32) {
	if !a.IsValid() {
		return nil, nil
	}
	port := uint32(a.Port())
	if a.Addr().IsUnspecified() {
		return nil, &port
	}
	return a.Addr().Unmap().AsSlice(), &port
}

// clock is a time as messages have it.
func clock(unix int64) (*uint64, *uint32) {
	sec, nsec := uint64(unix/1e9), uint32(unix%1e9)
	return &sec, &nsec
}
