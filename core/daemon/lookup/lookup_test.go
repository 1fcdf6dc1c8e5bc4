package lookup

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers over UDP and TCP on one port of loopback, by the first label:
// "big" is truncated over UDP, "lost" drops the first datagram, "silent" all.
func serve(t *testing.T) (address string) {
	t.Helper()
	udp, tcp := listen(t)
	var lost atomic.Bool
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		reply.RecursionAvailable = true
		name := q.Question[0].Name
		overUDP := w.LocalAddr().Network() == "udp"
		switch first, _, _ := strings.Cut(name, "."); {
		case first == "silent", first == "lost" && lost.CompareAndSwap(false, true):
			return
		case first == "big" && overUDP:
			reply.Truncated = true
		case first == "none":
			reply.Rcode = dns.RcodeNameError
			reply.Ns = records(t, "example. 60 SOA ns.example. admin.example. 1 2 3 4 5")
		case first == "stale":
			reply.SetEdns0(1232, false)
			reply.IsEdns0().Option = append(reply.IsEdns0().Option,
				&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer, ExtraText: "upstreams are away"})
			fallthrough
		default:
			reply.Answer = records(t, name+" 300 TXT \"one two\"", name+" 300 TXT \"three\"")
		}
		_ = w.WriteMsg(reply)
	})
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = server.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-ended
		})
	}
	return udp.LocalAddr().String()
}

// listen finds a port that is free for both.
func listen(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		udp.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func records(t *testing.T, lines ...string) (all []dns.RR) {
	t.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Error(err)
		}
		all = append(all, rr)
	}
	return all
}

func ask(t *testing.T, q Query, args ...string) (*Answer, string) {
	t.Helper()
	if err := q.Parse(args, false); err != nil {
		t.Fatal(err)
	}
	if q.Timeout == 0 {
		q.Timeout = 10 * time.Second
	}
	answer, err := Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := answer.Write(&b); err != nil {
		t.Fatal(err)
	}
	return answer, b.String()
}

func TestAnswers(t *testing.T) {
	server := serve(t)
	tests := map[string]struct {
		query Query
		args  []string
		holds []string
	}{
		"plain": {Query{}, []string{"a.example", "txt"}, []string{
			";; status: NOERROR, id: ", "flags: qr rd ra\n", "\n;; question\n;a.example. IN TXT\n",
			"\n;; answer\na.example.\t300\tIN\tTXT\t\"one two\"\na.example.\t300\tIN\tTXT\t\"three\"\n",
			";; server: " + server + " (udp), time: ",
		}},
		"tcp":       {Query{TCP: true}, []string{"a.example."}, []string{" (tcp), time: "}},
		"truncated": {Query{}, []string{"big.example"}, []string{";; truncated over UDP, asked again over TCP\n", "\"three\"", " (tcp), "}},
		"negative":  {Query{}, []string{"none.example", "TYPE65280"}, []string{"status: NXDOMAIN", ";none.example. IN TYPE65280", "\n;; authority\nexample.\t60\tIN\tSOA"}},
		"extended error": {Query{}, []string{"stale.example"}, []string{
			";; EDNS: version 0, udp 1232\n", ";; EDE: 3 (Stale Answer): \"upstreams are away\"\n"}},
		"lost once": {Query{Timeout: 3 * time.Second}, []string{"lost.example"}, []string{"status: NOERROR", " (udp), "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.query.Server = server
			_, text := ask(t, test.query, test.args...)
			for _, want := range test.holds {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if strings.Contains(text, "OPT PSEUDO") || strings.Contains(text, "additional") {
				t.Errorf("OPT is shown as a record:\n%s", text)
			}
		})
	}
}

func TestShort(t *testing.T) {
	answer, _ := ask(t, Query{Server: serve(t)}, "a.example", "TXT")
	var b strings.Builder
	if err := answer.WriteShort(&b); err != nil || b.String() != "\"one two\"\n\"three\"\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestNoAnswer(t *testing.T) {
	server := serve(t)
	q := Query{Server: server, Name: "silent.example.", Type: dns.TypeA, Timeout: 90 * time.Millisecond}
	if _, err := Ask(t.Context(), q); err == nil || err.Error() != "lookup: no answer from "+server+" within 90ms" {
		t.Errorf("got %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	q.Server, q.TCP = closed.Addr().String(), true
	if _, err := Ask(t.Context(), q); err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.HasPrefix(err.Error(), "lookup: ask "+q.Server) {
		t.Errorf("got %v", err)
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		args    []string
		reverse bool
		name    string
		typ     uint16
		failed  string
	}{
		{args: []string{"www.example"}, name: "www.example.", typ: dns.TypeA},
		{args: []string{"."}, name: ".", typ: dns.TypeA},
		{args: []string{"WWW.Example.", "aaaa"}, name: "WWW.Example.", typ: dns.TypeAAAA},
		{args: []string{"a", "TYPE65"}, name: "a.", typ: dns.TypeHTTPS},
		{args: []string{"a", "type65535"}, name: "a.", typ: 65535},
		{args: []string{"a", "TYPE65536"}, failed: `lookup: "TYPE65536" is no record type; such as A, AAAA, TXT or TYPE65`},
		{args: []string{"a..b"}, failed: `lookup: "a..b" is no domain name`},
		{args: []string{"192.0.2.1"}, reverse: true, name: "1.2.0.192.in-addr.arpa.", typ: dns.TypePTR},
		{args: []string{"2001:db8::1"}, reverse: true, name: "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", typ: dns.TypePTR},
		{args: []string{"192.0.2.1", "ANY"}, reverse: true, name: "1.2.0.192.in-addr.arpa.", typ: dns.TypeANY},
		{args: []string{"host"}, reverse: true, failed: `lookup: "host" is no IP address`},
	}
	for _, test := range tests {
		var q Query
		err := q.Parse(test.args, test.reverse)
		switch {
		case test.failed != "" && (err == nil || err.Error() != test.failed),
			test.failed == "" && (err != nil || q.Name != test.name || q.Type != test.typ):
			t.Errorf("%v: got %q, %d, %v", test.args, q.Name, q.Type, err)
		}
	}
}

func TestServerAddress(t *testing.T) {
	for server, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:53", "10.0.0.1:5353": "10.0.0.1:5353", "::1": "[::1]:53", "[::1]": "[::1]:53", "[::1]:5353": "[::1]:5353", "ns.example": "ns.example:53",
	} {
		if got := (&Query{Server: server}).address(); got != want {
			t.Errorf("%s: got %s, want %s", server, got, want)
		}
	}
}
