package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(echoVariable) != "" {
		echo()
		return
	}
	goleak.VerifyTestMain(m)
}

// newEngine starts an engine that ends with the test.
func newEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.Budget == 0 { // a busy machine is no fault
		o.Budget = 15 * time.Second
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func newSet(t testing.TB, e *Engine, servers ...Server) *Set {
	t.Helper()
	s, err := e.Set(servers, SetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func question(name string) *Question {
	return &Question{Name: wire.MustName(name), Type: wire.TypeA, Class: wire.ClassIN, RD: true}
}

// A fake is a server of a test's own: it answers each datagram by what answer
// sends, none, one or several, and TCP connections on the same port likewise.
type fake struct {
	Server
	conn *net.UDPConn
	tcp  net.Listener
	wg   sync.WaitGroup

	mu      sync.Mutex
	asked   [][]byte // datagrams
	from    []netip.AddrPort
	overTCP int
	conns   []net.Conn
	opened  int // connections
}

type (
	answerUDP func(f *fake, query []byte, from netip.AddrPort)
	answerTCP func(c net.Conn, query []byte)
)

func serve(t testing.TB, host string, udp answerUDP, tcp answerTCP) *fake {
	t.Helper()
	conn, listener := listenBoth(t, host)
	f := &fake{conn: conn, tcp: listener}
	f.Addr = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	f.wg.Add(2)
	go f.serveUDP(udp)
	go f.serveTCP(tcp)
	t.Cleanup(f.stop)
	return f
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth(t testing.TB, host string) (*net.UDPConn, net.Listener) {
	t.Helper()
	for range 20 {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			return conn, listener
		}
		_ = conn.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func (f *fake) stop() {
	_ = f.conn.Close()
	_ = f.tcp.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fake) serveUDP(answer answerUDP) {
	defer f.wg.Done()
	buf := make([]byte, 65535)
	for {
		n, from, err := f.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if strings.Contains(err.Error(), "refused") {
				continue
			}
			return
		}
		query := slices.Clone(buf[:n])
		f.mu.Lock()
		f.asked = append(f.asked, query)
		f.from = append(f.from, from)
		f.mu.Unlock()
		if answer != nil {
			answer(f, query, from)
		}
	}
}

func (f *fake) serveTCP(answer answerTCP) {
	defer f.wg.Done()
	for {
		c, err := f.tcp.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c)
		f.opened++
		f.mu.Unlock()
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			defer func() { _ = c.Close() }()
			stream := &dns.Conn{Conn: c}
			for {
				query := make([]byte, 65535)
				n, err := stream.Read(query)
				if err != nil || answer == nil {
					return
				}
				f.mu.Lock()
				f.overTCP++
				f.mu.Unlock()
				answer(c, query[:n])
			}
		}()
	}
}

func (f *fake) send(msg []byte, to netip.AddrPort) { _, _ = f.conn.WriteToUDPAddrPort(msg, to) }

func (f *fake) udpCount() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.asked) }

// query returns the i-th datagram that came.
func (f *fake) query(i int) []byte { f.mu.Lock(); defer f.mu.Unlock(); return f.asked[i] }

func (f *fake) tcpCount() int  { f.mu.Lock(); defer f.mu.Unlock(); return f.overTCP }
func (f *fake) connCount() int { f.mu.Lock(); defer f.mu.Unlock(); return f.opened }

// sendTCP writes one message behind its length.
func sendTCP(c net.Conn, msg []byte) {
	_, _ = (&dns.Conn{Conn: c}).Write(msg)
}

// reply answers a query with one A record, changed by change where there is one.
func reply(query []byte, address string, change func(*dns.Msg)) []byte {
	var q dns.Msg
	if err := q.Unpack(query); err != nil {
		panic(err)
	}
	m := new(dns.Msg).SetReply(&q)
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	m.Answer = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
		A:   net.ParseIP(address),
	}}
	if change != nil {
		change(m)
	}
	msg, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return msg
}

// answers replies over UDP with an address.
func answers(address string) answerUDP { return answersAfter(address, 0, nil) }

func answersAfter(address string, delay time.Duration, change func(*dns.Msg)) answerUDP {
	return func(f *fake, query []byte, from netip.AddrPort) {
		msg := reply(query, address, change)
		if delay == 0 {
			f.send(msg, from)
			return
		}
		f.wg.Add(1)
		time.AfterFunc(delay, func() { defer f.wg.Done(); f.send(msg, from) })
	}
}

func answersTCP(address string) answerTCP {
	return func(c net.Conn, query []byte) { sendTCP(c, reply(query, address, nil)) }
}

// ask asks and waits.
func ask(t testing.TB, s *Set, q *Question) (Answer, error) {
	t.Helper()
	return s.Exchange(context.Background(), q)
}

// wantAddress asks and wants the address.
func wantAddress(t testing.TB, s *Set, name, address string) Answer {
	t.Helper()
	a, err := ask(t, s, question(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got := addressOf(t, a.Msg); got != address {
		t.Fatalf("%s: got %s, want %s", name, got, address)
	}
	return a
}

func addressOf(t testing.TB, msg []byte) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	if len(m.Answer) != 1 {
		return fmt.Sprintf("%s with %d answers", dns.RcodeToString[m.Rcode], len(m.Answer))
	}
	return m.Answer[0].(*dns.A).A.String()
}

func statsOf(t testing.TB, s *Set, i int) ServerStats {
	t.Helper()
	return s.Stats()[i]
}

// eventually polls until ok, at most 10 s.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAnswersOverUDP(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			f := serve(t, host, answers("192.0.2.1"), nil)
			e := newEngine(t, Options{})
			s := newSet(t, e, f.Server)
			for i := range 50 {
				a := wantAddress(t, s, fmt.Sprintf("n%d.example.com", i), "192.0.2.1")
				if a.Server != f.Addr || a.RTT <= 0 {
					t.Fatalf("answer from %s in %s", a.Server, a.RTT)
				}
			}
			st := statsOf(t, s, 0)
			if st.Asked != 50 || st.Answered != 50 || st.Mismatches != 0 || st.RTT == 0 || st.P95 == 0 {
				t.Fatalf("stats %+v", st)
			}
		})
	}
}
