package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func truncatedUDP() answerUDP {
	return answersAfter("192.0.2.66", 0, func(m *dns.Msg) { m.Truncated = true })
}

func TestTruncatedGoesOverOneConnection(t *testing.T) {
	f := serve(t, "127.0.0.1", truncatedUDP(), answersTCP("192.0.2.1"))
	s := newSet(t, newEngine(t, Options{Shards: 1}), f.Server)
	for range 20 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if st := statsOf(t, s, 0); st.Truncated != 20 || f.tcpCount() != 20 || f.connCount() != 1 {
		t.Fatalf("%d truncated, %d over TCP, %d connections", st.Truncated, f.tcpCount(), f.connCount())
	}
}

// TestTruncatedWithoutTCP: nothing listens for TCP there. Another server may help;
// alone, there is an error and never half an answer.
func TestTruncatedWithoutTCP(t *testing.T) {
	half := serve(t, "127.0.0.1", truncatedUDP(), nil)
	_ = half.tcp.Close()
	e := newEngine(t, Options{Shards: 1})
	if a, err := ask(t, newSet(t, e, half.Server), question("www.example.com")); err == nil {
		t.Fatalf("got %s", addressOf(t, a.Msg))
	}
	whole := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 20*time.Millisecond, nil), nil)
	s := newSet(t, e, half.Server, whole.Server)
	for range 5 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
}

func TestBigDatagramGoesOverTCP(t *testing.T) {
	f := serve(t, "127.0.0.1", answersAfter("192.0.2.66", 0, func(m *dns.Msg) {
		for i := range 12 {
			m.Extra = append(m.Extra, &dns.TXT{
				Hdr: dns.RR_Header{Name: fmt.Sprintf("t%d.example.com.", i), Rrtype: dns.TypeTXT, Class: dns.ClassINET},
				Txt: []string{fmt.Sprintf("%250d", i)},
			})
		}
	}), answersTCP("192.0.2.1"))
	s := newSet(t, newEngine(t, Options{}), f.Server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
}

// TestStreamRepliesInAnyOrder holds replies back and sends them in reverse.
func TestStreamRepliesInAnyOrder(t *testing.T) {
	const many = 50
	var mu sync.Mutex
	var held [][]byte
	f := serve(t, "127.0.0.1", nil, func(c net.Conn, query []byte) {
		mu.Lock()
		defer mu.Unlock()
		var q dns.Msg
		if err := q.Unpack(query); err != nil {
			panic(err)
		}
		var i int
		_, _ = fmt.Sscanf(q.Question[0].Name, "n%d.", &i)
		if held = append(held, reply(query, fmt.Sprintf("192.0.2.%d", i), nil)); len(held) == many {
			for len(held) > 0 {
				sendTCP(c, held[len(held)-1])
				held = held[:len(held)-1]
			}
		}
	})
	server := f.Server
	server.Transport = TCP
	s := newSet(t, newEngine(t, Options{Shards: 1, Budget: 10 * time.Second}), server)
	var wg sync.WaitGroup
	for i := range many {
		wg.Add(1)
		s.Ask(question(fmt.Sprintf("n%d.example.com", i)), func(a Answer) {
			defer wg.Done()
			if a.Err != nil {
				t.Errorf("n%d: %v", i, a.Err)
			} else if got, want := addressOf(t, a.Msg), fmt.Sprintf("192.0.2.%d", i); got != want {
				t.Errorf("n%d: %s", i, got)
			}
		})
	}
	wg.Wait()
	if f.connCount() != 1 || f.udpCount() != 0 {
		t.Fatalf("%d connections, %d datagrams", f.connCount(), f.udpCount())
	}
}

// TestStreamClosedMidway: the first connection ends within a reply, with queries
// open on it.
func TestStreamClosedMidway(t *testing.T) {
	var mu sync.Mutex
	closed := false
	f := serve(t, "127.0.0.1", nil, func(c net.Conn, query []byte) {
		mu.Lock()
		defer mu.Unlock()
		msg := reply(query, "192.0.2.1", nil)
		if !closed {
			closed = true
			_, _ = c.Write(append([]byte{0, byte(len(msg))}, msg[:len(msg)/2]...))
			_ = c.Close()
			return
		}
		sendTCP(c, msg)
	})
	server := f.Server
	server.Transport = TCP
	s := newSet(t, newEngine(t, Options{Shards: 1}), server)
	for range 5 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if n := f.connCount(); n != 2 {
		t.Fatalf("%d connections", n)
	}
}

// TestStreamThatAlwaysCloses ends with an error, not with connections for ever.
func TestStreamThatAlwaysCloses(t *testing.T) {
	f := serve(t, "127.0.0.1", nil, func(c net.Conn, _ []byte) { _ = c.Close() })
	server := f.Server
	server.Transport = TCP
	s := newSet(t, newEngine(t, Options{Shards: 1}), server)
	if _, err := ask(t, s, question("www.example.com")); err == nil || errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v", err)
	}
	if n := f.connCount(); n != 2 {
		t.Fatalf("%d connections, want the first and a second chance", n)
	}
}

// TestSilentStreamIsReplaced: a connection that was never answered on is not
// trusted with the next question.
func TestSilentStreamIsReplaced(t *testing.T) {
	var mu sync.Mutex
	var first net.Conn
	f := serve(t, "127.0.0.1", nil, func(c net.Conn, query []byte) {
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = c
		}
		if c != first {
			sendTCP(c, reply(query, "192.0.2.1", nil))
		}
	})
	server := f.Server
	server.Transport = TCP
	s := newSet(t, newEngine(t, Options{Shards: 1, Budget: 400 * time.Millisecond}), server)
	if _, err := ask(t, s, question("www.example.com")); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v", err)
	}
	wantAddress(t, s, "www.example.com", "192.0.2.1")
}

// TestSlowStreamIsAskedOnce: a stream loses nothing.
func TestSlowStreamIsAskedOnce(t *testing.T) {
	f := serve(t, "127.0.0.1", nil, func(c net.Conn, query []byte) {
		time.Sleep(700 * time.Millisecond) // the server's slowness
		sendTCP(c, reply(query, "192.0.2.1", nil))
	})
	server := f.Server
	server.Transport = TCP
	s := newSet(t, newEngine(t, Options{}), server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	if n := f.tcpCount(); n != 1 {
		t.Fatalf("asked %d times", n)
	}
}

func TestIdleStreamIsClosed(t *testing.T) {
	f := serve(t, "127.0.0.1", nil, answersTCP("192.0.2.1"))
	server := f.Server
	server.Transport = TCP
	e := newEngine(t, Options{Shards: 1, Idle: time.Millisecond})
	s := newSet(t, e, server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	eventually(t, "idle connection closed", func() bool {
		e.shards[0].mu.Lock()
		defer e.shards[0].mu.Unlock()
		return len(e.shards[0].conns) == 0
	})
	wantAddress(t, s, "www.example.com", "192.0.2.1")
}

// certificate makes a self-signed one for a name.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLSVerifiesTheName(t *testing.T) {
	cert, roots := certificate(t, "dns.example.net")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		packed, _ := q.Pack()
		if len(packed) != padBlock {
			t.Errorf("a query of %d octets, not padded to %d", len(packed), padBlock)
		}
		_, _ = w.Write(reply(packed, "192.0.2.1", nil))
	})}
	served := make(chan error, 1)
	go func() { served <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = server.Shutdown()
		_ = listener.Close()
		<-served
	})
	address := listener.Addr().(*net.TCPAddr).AddrPort()
	e := newEngine(t, Options{RootCAs: roots})
	right := newSet(t, e, Server{Addr: address, Transport: TLS, TLSName: "dns.example.net"})
	for range 5 {
		wantAddress(t, right, "www.example.com", "192.0.2.1")
	}
	if st := statsOf(t, right, 0); st.Connections > uint64(len(e.shards)) || st.Closed != 0 {
		t.Errorf("%d connections, %d closed", st.Connections, st.Closed)
	}
	wrong := newSet(t, e, Server{Addr: address, Transport: TLS, TLSName: "dns.example.org"})
	var mismatch x509.HostnameError
	if _, err := ask(t, wrong, question("www.example.com")); !errors.As(err, &mismatch) {
		t.Fatalf("wrong name: %v", err)
	}
	if last := statsOf(t, wrong, 0).LastError; !errors.As(last, &mismatch) {
		t.Errorf("last error %v", last)
	}
}

// TestConnectingBacksOff: a server that refuses connections is not knocked at for every
// question, and is found when it is back.
func TestConnectingBacksOff(t *testing.T) {
	f := serve(t, "127.0.0.1", nil, nil)
	_ = f.tcp.Close()
	server := Server{Addr: f.Addr, Transport: TCP}
	e := newEngine(t, Options{Shards: 1})
	s := newSet(t, e, server)
	const questions = 200
	for range questions {
		if _, err := ask(t, s, question("www.example.com")); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v", err)
		}
	}
	e.shards[0].mu.Lock()
	wait := e.shards[0].engine.servers[server].pools[0].wait
	e.shards[0].mu.Unlock()
	if wait < redialLeast || wait > redialMost {
		t.Errorf("the pause before the next try is %s", wait)
	}
	listener, err := net.Listen("tcp", f.Addr.String())
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	back := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		packed, _ := q.Pack()
		_, _ = w.Write(reply(packed, "192.0.2.1", nil))
	})}
	served := make(chan error, 1)
	go func() { served <- back.ActivateAndServe() }()
	t.Cleanup(func() { _ = listener.Close(); <-served })
	eventually(t, "found to be back", func() bool {
		_, err := ask(t, s, question("www.example.com"))
		return err == nil
	})
}
