package socket

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/planetest"
)

func listenTCP(t *testing.T, address string, o TCPOptions) *TCP {
	t.Helper()
	l, err := ListenTCP(at(address), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dialTCP(t *testing.T, l *TCP) *far {
	t.Helper()
	c := dialFar(t, "tcp", l.Address())
	t.Cleanup(func() { c.Close() })
	return c
}

// ended wants the server to have closed the connection, without another reply.
func ended(t *testing.T, c *far) {
	t.Helper()
	got, err := c.Reply(10 * time.Second)
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("got %.20q, %v, want the end", got, err)
	}
}

// TestFraming sends messages in pieces, several at once, and what is none: the
// others' connections go on.
func TestFraming(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{})
	serveAll(t, l.Queues(), mirror)
	other := dialTCP(t, l)
	echoes(t, other, "before")

	pieces := dialTCP(t, l)
	for _, b := range []byte("\x00\x05hello\x00\x02yo") {
		if _, err := pieces.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	pieces.Write([]byte("\x00\x01a\x00\x02bb\x00\x03ccc"))
	for _, want := range []string{"hello", "yo", "a", "bb", "ccc"} {
		if got, err := pieces.Reply(10 * time.Second); err != nil || string(got) != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}

	for i, garbage := range []string{"\x00\x00", "\x00\x05hel", "\x00", "\xff\xff" + string(make([]byte, 1000))} {
		c := dialTCP(t, l)
		c.Write([]byte(garbage))
		if garbage != "\x00\x00" {
			c.Conn.(*net.TCPConn).CloseWrite()
		}
		ended(t, c)
		eventually(t, "counted", func() bool { return l.Counts().Malformed == uint64(i+1) })
		echoes(t, other, "between")
	}
	echoes(t, pieces, "after")
}

func TestIdle(t *testing.T) {
	const idle = 200 * time.Millisecond
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{Idle: idle})
	kept := make(chan plane.Return, 1)
	serveAll(t, l.Queues(), answers(func(p *plane.Packet, _ plane.Queue) {
		if string(p.Data) == "late" {
			kept <- p.Return
			p.Data, p.Late = nil, true
		}
	}))
	c := dialTCP(t, l)
	last := time.Now()
	for begun := last; last.Sub(begun) < 2*idle; last = time.Now() { // queries keep it
		echoes(t, c, "busy")
	}
	echoes(t, c, "the last")
	ended(t, c)
	if took := time.Since(last); took < idle {
		t.Errorf("closed %v after the last query", took)
	}
	half := dialTCP(t, l)
	half.Write([]byte("\x00\x05hel")) // and never the rest
	ended(t, half)
	eventually(t, "all gone", func() bool { n := l.Counts(); return n.Open == 0 && n.Idle == 1 && n.Malformed == 1 })

	// A reply after that: no harm, counted.
	gone := dialTCP(t, l)
	gone.Ask([]byte("late"))
	to := <-kept
	gone.Close()
	eventually(t, "gone", func() bool { return l.Counts().Open == 0 })
	next := dialTCP(t, l)
	echoes(t, next, "another connection")
	if err := l.Queues()[0].Deliver(to, []byte("not yours")); err != nil {
		t.Fatal(err)
	}
	echoes(t, next, "unharmed")
	if n := l.Counts().Gone; n != 1 {
		t.Errorf("%d replies gone, want 1", n)
	}
}

func TestLimits(t *testing.T) {
	l := listenTCP(t, "0.0.0.0:0", TCPOptions{Connections: 3, PerClient: 2})
	serveAll(t, l.Queues(), mirror)
	from := func(local string) *far {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
		c, err := d.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.Address().Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return &far{Conn: c, stream: true, in: newReader(c)}
	}
	first, second := from("127.0.0.2"), from("127.0.0.2")
	echoes(t, first, "first")
	echoes(t, second, "second")
	ended(t, from("127.0.0.2")) // over the client's limit
	echoes(t, from("127.0.0.3"), "third")
	ended(t, from("127.0.0.4")) // over the limit of all
	if n := l.Counts(); n.Refused != 2 || n.Accepted != 3 || n.Open != 3 {
		t.Errorf("counts: %+v", n)
	}
	first.Close()
	eventually(t, "room again", func() bool { return l.Counts().Open == 2 })
	echoes(t, from("127.0.0.2"), "again")
	for _, c := range []struct{ a, b string }{{"2001:db8::1", "2001:db8::ffff:1"}, {"fe80::1%lo", "fe80::2"}} {
		if sharedFate(netip.MustParseAddr(c.a)) != sharedFate(netip.MustParseAddr(c.b)) {
			t.Errorf("%s and %s count apart", c.a, c.b)
		}
	}
}

// TestInFlight holds a client back that asks more than it may at once.
func TestInFlight(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{InFlight: 2})
	kept := make(chan plane.Return, 10)
	serveAll(t, l.Queues(), answers(func(p *plane.Packet, _ plane.Queue) {
		kept <- p.Return
		p.Data, p.Late = nil, true
	}))
	c := dialTCP(t, l)
	for range 5 {
		c.Ask([]byte("question"))
	}
	for i := range 5 {
		to := <-kept
		if n := l.Counts().Received; n > uint64(i)+2 {
			t.Fatalf("%d received with %d answered", n, i)
		}
		if err := l.Queues()[0].Deliver(to, []byte("answer")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Reply(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDropped has a handler drop more queries than may be in flight: they are not.
func TestDropped(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{InFlight: 2})
	serveAll(t, l.Queues(), answers(func(p *plane.Packet, _ plane.Queue) {
		if string(p.Data) == "dropped" {
			p.Data = p.Data[:0]
		}
	}))
	c := dialTCP(t, l)
	for range 10 {
		c.Ask([]byte("dropped"))
	}
	echoes(t, c, "answered")
	c.Ask([]byte("dropped"))
	c.Conn.(*net.TCPConn).CloseWrite()
	ended(t, c) // without waiting for a reply that never comes
}

// TestSlowReader has a client ask much and read nothing: its connection ends,
// others never wait for it.
func TestSlowReader(t *testing.T) {
	for _, o := range []TCPOptions{{InFlight: 10000}, {InFlight: 10000, Unsent: 64 << 20, Write: 200 * time.Millisecond}} {
		l := listenTCP(t, "127.0.0.1:0", o)
		serveAll(t, l.Queues(), answers(func(p *plane.Packet, _ plane.Queue) {
			if string(p.Data) == "much" {
				p.Data = p.Data[:60000]
			}
		}))
		slow, other := dialTCP(t, l), dialTCP(t, l)
		slow.SetWriteDeadline(time.Now().Add(10 * time.Second))
		for range 400 { // 24 MB: more than the kernel keeps
			if slow.Ask([]byte("much")) != nil {
				break
			}
			echoes(t, other, "little")
		}
		eventually(t, "the slow one closed", func() bool { return l.Counts().Slow == 1 && l.Counts().Open == 1 })
		echoes(t, other, "little")
	}
}

// TestPartialWrites has a client read much, late and in small pieces.
func TestPartialWrites(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{InFlight: 1000, Unsent: 64 << 20})
	serveAll(t, l.Queues(), answers(func(p *plane.Packet, _ plane.Queue) {
		number := p.Data[0]
		p.Data = p.Data[:50000]
		for i := range p.Data {
			p.Data[i] = number
		}
	}))
	c := dialTCP(t, l)
	for i := range 200 {
		if err := c.Ask([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		got, err := c.Reply(10 * time.Second)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 50000)) {
			t.Fatalf("reply %d: %d octets, %v", i, len(got), err)
		}
	}
}

// TestHalfClose answers a client that has closed its half (RFC 7766 §6.2.4), and
// then ends.
func TestHalfClose(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{})
	kept := make(chan plane.Return, 2)
	serveAll(t, l.Queues(), answers(func(p *plane.Packet, _ plane.Queue) {
		kept <- p.Return
		p.Data, p.Late = nil, true
	}))
	c := dialTCP(t, l)
	c.Ask([]byte("one"))
	c.Ask([]byte("two"))
	c.Conn.(*net.TCPConn).CloseWrite()
	for range 2 {
		to := <-kept
		if err := l.Queues()[0].Deliver(to, []byte("late")); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Reply(10 * time.Second); err != nil || string(got) != "late" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, err := c.Reply(5 * time.Second); !errors.Is(err, io.EOF) {
		t.Fatalf("%v, want EOF well before the idle limit", err)
	}
}

// TestStopTCP hands out what was read, then ends, and still delivers.
func TestStopTCP(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{Queues: 2})
	clients := []*far{dialTCP(t, l), dialTCP(t, l), dialTCP(t, l)}
	for _, c := range clients {
		c.Ask([]byte("question"))
	}
	eventually(t, "read", func() bool { return len(l.queues[0].arrivals)+len(l.queues[1].arrivals) == 3 })
	l.Stop()
	if _, err := net.DialTimeout("tcp", l.Address().String(), time.Second); err == nil {
		t.Error("a connection after Stop")
	}
	for _, q := range l.Queues() {
		batch := make([]plane.Packet, 4)
		n, err := q.Receive(batch)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Receive(make([]plane.Packet, 4)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Receive after Stop: %v", err)
		}
		for i := range batch[:n] {
			if err := q.Deliver(batch[i].Return, []byte("late")); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.Settle(t.Context())
	for _, c := range clients {
		if got, err := c.Reply(10 * time.Second); err != nil || string(got) != "late" {
			t.Fatalf("%q, %v", got, err)
		}
		ended(t, c)
	}
}

// certificate makes one for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

func dialTLS(t *testing.T, l *TCP, config *tls.Config) *far {
	t.Helper()
	c, err := tls.Dial("tcp", l.Address().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	return &far{Conn: c, stream: true, in: newReader(c)}
}

// TestTLS holds the contract over TLS, and closes on who doesn't speak it.
func TestTLS(t *testing.T) {
	server, client := certificate(t)
	planetest.Run(t, func(t *testing.T) planetest.Subject {
		l := listenTCP(t, "127.0.0.1:0", TCPOptions{TLS: server})
		return planetest.Subject{
			Queue: l.Queues()[0], Stream: true, Room: 65535, Allocates: true,
			Dial: func(t *testing.T) planetest.Asker { return dialTLS(t, l, client) },
		}
	})
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{TLS: server, Idle: 200 * time.Millisecond})
	serveAll(t, l.Queues(), mirror)
	plain := dialTCP(t, l)
	plain.Ask([]byte("not a ClientHello, but long enough to be read as one"))
	ended(t, plain)
	mute := dialTCP(t, l)
	ended(t, mute)
	eventually(t, "both counted", func() bool { return l.Counts().Malformed == 2 })
	idle := dialTLS(t, l, client)
	defer idle.Close()
	echoes(t, idle, "secured")
	ended(t, idle)
}

// TestManyClients mixes connections that come, ask, and go in every way, with
// late answers; the race detector looks on.
func TestManyClients(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0", TCPOptions{Queues: 2})
	serveAll(t, l.Queues(), answers(func(p *plane.Packet, late plane.Queue) {
		if p.Data[0]%2 == 0 {
			return
		}
		to, reply := p.Return, bytes.Clone(p.Data)
		p.Data, p.Late = nil, true
		go late.Deliver(to, reply)
	}))
	done := make(chan error)
	const clients = 40
	for i := range clients {
		go func() {
			c := dialFar(t, "tcp", l.Address())
			defer c.Close()
			for n := range 20 {
				if err := c.Ask([]byte{byte(n), byte(i)}); err != nil {
					done <- err
					return
				}
			}
			if i%4 == 0 { // leaves without its answers
				done <- nil
				return
			}
			for range 20 {
				if got, err := c.Reply(10 * time.Second); err != nil || got[1] != byte(i) {
					done <- fmt.Errorf("client %d: %v, %w", i, got, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all gone", func() bool { return l.Counts().Open == 0 })
}
