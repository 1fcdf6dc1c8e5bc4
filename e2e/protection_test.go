package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// A fort is a recursor before example.org's authoritative and before a server of
// dead.example that never answers: a bound socket that nobody reads.
type fort struct {
	*stack.Stack
	t        *testing.T
	recursor *stack.Server
	keys     string
	dead     string
}

// newFort starts one with keys of its own.
func newFort(t *testing.T, keys string) *fort {
	t.Helper()
	s := newStack(t, stack.Nothing)
	behind := extra(t, s, "behind", "authoritative", `
listen: ["127.0.0.1:{{.Port}}"]
zones: [{name: example.org, source: file, file: "{{.Dir}}/example.org.zone"}]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
snapshot: ""
`)
	must(t, s.Ready(t.Context(), behind))
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { silent.Close() })
	f := &fort{Stack: s, t: t, dead: silent.LocalAddr().String()}
	f.keys = fmt.Sprintf("zones:\n  - {names: [example.org], servers: [%q]}\n  - {names: [dead.example], servers: [%q]}\n", behind.Address, f.dead)
	f.recursor = f.another("fort", keys)
	return f
}

// another starts one more recursor.
func (f *fort) another(id, keys string) *stack.Server {
	f.t.Helper()
	server := extra(f.t, f.Stack, id, "recursor", `
listen: ["127.0.0.1:{{.Port}}"]
workers: 1
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
log: {level: info, format: text}
`+f.keys+keys)
	must(f.t, f.Ready(f.t.Context(), server))
	return server
}

// from asks as the client with an address of loopback's. The error is that there is no
// reply.
func (f *fort) from(client, network, name string, options ...dns.EDNS0) (*dns.Msg, error) {
	f.t.Helper()
	return f.fromWithin(5*time.Second, client, network, name, options...)
}

// silence tells whether a client gets no reply, for a second.
func (f *fort) silence(client, network, name string) bool {
	f.t.Helper()
	_, err := f.fromWithin(time.Second, client, network, name)
	return err != nil
}

func (f *fort) fromWithin(patience time.Duration, client, network, name string, options ...dns.EDNS0) (*dns.Msg, error) {
	f.t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	query.SetEdns0(1232, false)
	query.IsEdns0().Option = options
	asker := dns.Client{Net: network, Timeout: patience, Dialer: &net.Dialer{LocalAddr: local(network, client)}}
	reply, _, err := asker.Exchange(query, f.recursor.Address)
	return reply, err
}

func local(network, address string) net.Addr {
	if network == "tcp" {
		return &net.TCPAddr{IP: net.ParseIP(address)}
	}
	return &net.UDPAddr{IP: net.ParseIP(address)}
}

// port is a server's.
func port(server *stack.Server) string {
	_, p, _ := net.SplitHostPort(server.Address)
	return p
}

// cookieLine is what dig and kdig say of a reply's cookie.
var cookieLine = regexp.MustCompile(`COOKIE: ([0-9a-fA-F]{48})`)

// dig and kdig learn cookies, show them again, and come again with one where they are
// told to; recursors with one secret take each other's, also while it is replaced.
func TestCookies(t *testing.T) {
	need(t, "dig", "kdig")
	const secret, next = "000102030405060708090a0b0c0d0e0f", "f0e0d0c0b0a090807060504030201000"
	rate := "policy: {rate: {per_second: 1, burst: 1}}\n"
	f := newFort(t, rate+"cookies: {secret: "+secret+"}\n")
	dig := func(server *stack.Server, client string, args ...string) string {
		t.Helper()
		out, err := stack.Run(t.Context(), "dig", append([]string{"@127.0.0.1", "-p", port(server), "-b", client, "+tries=1", "+time=5", "web.example.org"}, args...)...)
		must(t, err)
		return out
	}
	out := dig(f.recursor, "127.0.0.2", "+cookie")
	match := cookieLine.FindStringSubmatch(out)
	if match == nil || !strings.Contains(out, "(good)") || !strings.Contains(out, "192.0.2.80") {
		t.Fatalf("dig sees no good cookie:\n%s", out)
	}
	cookie := match[1]
	proves := func(server *stack.Server, cookie string) {
		t.Helper()
		for range 3 { // over the limit at the second at the latest
			out := dig(server, "127.0.0.2", "+cookie="+cookie, "+nobadcookie")
			if !strings.Contains(out, "status: NOERROR") || !strings.Contains(out, "(good)") {
				t.Fatalf("the cookie proves nothing:\n%s", out)
			}
		}
	}
	proves(f.recursor, cookie)
	again := 0
	for try := 0; again < 5; try++ { // each begins with a client cookie alone, over the limit but for one a second
		out := dig(f.recursor, "127.0.0.2", "+cookie")
		if strings.Contains(out, "BADCOOKIE, retrying") {
			again++
		}
		if !strings.Contains(out, "192.0.2.80") || try == 50 {
			t.Fatalf("dig came again %d times of %d:\n%s", again, try+1, out)
		}
		out, err := stack.Run(t.Context(), "kdig", "@127.0.0.1", "-p", port(f.recursor), "-b", "127.0.0.2", "+cookie", "+badcookie=2", "+retry=0", "web.example.org")
		if err != nil || !strings.Contains(out, "192.0.2.80") || !cookieLine.MatchString(out) {
			t.Fatalf("kdig does not come again: %v\n%s", err, out)
		}
	}
	within(t, "silence over the limit without a cookie", func() bool { return f.silence("127.0.0.2", "udp", "web.example.org") })
	reply, err := f.from("127.0.0.3", "udp", "web.example.org", &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102"})
	if err != nil || reply.Rcode != dns.RcodeFormatError {
		t.Errorf("a malformed cookie: %v, %v", reply, err)
	}

	second := f.another("second", rate+"cookies: {secret: "+secret+", previous: "+next+"}\n")
	proves(second, cookie)
	config, err := os.ReadFile(f.recursor.Config)
	must(t, err)
	writeFile(t, f.recursor.Config, strings.Replace(string(config), "secret: "+secret, "secret: "+next+", previous: "+secret, 1))
	run(t, f.Stack, "recursor", "ctl", "--config", f.recursor.Config, "reload")
	proves(f.recursor, cookie)
	proves(second, cookieLine.FindStringSubmatch(dig(f.recursor, "127.0.0.2", "+cookie="+cookie))[1])
}

// A real Knot DNS with the same secret takes our cookies, and we take its: it refuses
// to answer those who have none that is valid, and we to answer those over their rate.
func TestCookiesOfKnot(t *testing.T) {
	need(t, "dig", "knotd")
	const secret = "000102030405060708090a0b0c0d0e0f"
	f := newFort(t, "policy: {rate: {per_second: 1, burst: 1}}\ncookies: {secret: "+secret+"}\n")
	at := portOf(freeLoopback(t))
	config := f.Dir + "/knot.conf"
	writeFile(t, config, fmt.Sprintf(`server:
    listen: 127.0.0.1@%s
    rundir: %s
    pidfile: knot.pid
database:
    storage: %[2]s
mod-cookies:
  - id: default
    secret: 0x%s
zone:
  - domain: example.org
    file: %[2]s/example.org.zone
    module: mod-cookies/default
`, at, f.Dir, secret))
	path, err := lookPath("knotd")
	must(t, err)
	knot := &stack.Process{Name: "knot", Path: path, Args: []string{"-c", config}, LogFile: f.Dir + "/knot.log"}
	must(t, knot.Start())
	defer func() { _ = knot.Stop() }()
	dig := func(port string, args ...string) (status, cookie string) {
		t.Helper()
		out, _ := stack.Run(t.Context(), "dig", append([]string{"@127.0.0.1", "-p", port, "+tries=1", "+time=5", "+nobadcookie", "web.example.org"}, args...)...)
		if match := regexp.MustCompile(`status: ([A-Z]+)`).FindStringSubmatch(out); match != nil {
			status = match[1]
		}
		if match := cookieLine.FindStringSubmatch(out); match != nil {
			cookie = match[1]
		}
		return status, cookie
	}
	var theirs string
	within(t, "knotd gives cookies", func() bool {
		var status string
		status, theirs = dig(at, "+cookie")
		return status == "BADCOOKIE" && theirs != ""
	})
	for range 3 {
		if status, _ := dig(port(f.recursor), "+cookie="+theirs); status != "NOERROR" {
			t.Errorf("with Knot's cookie we answer %q\n%s", status, knot.Log())
		}
	}
	_, ours := dig(port(f.recursor), "+cookie")
	if status, _ := dig(at, "+cookie="+ours); status != "NOERROR" {
		t.Errorf("with our cookie Knot answers %q\n%s", status, knot.Log())
	}
}

// One client floods, another notices nothing; who is over the limit and no forger
// gets an answer over TCP.
func TestRateLimit(t *testing.T) {
	need(t, "dnsperf")
	f := newFort(t, "policy: {rate: {per_second: 200, slip: 2}}\n")
	names := f.Dir + "/flood.txt"
	writeFile(t, names, "web.example.org A\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	flooded := make(chan string, 1)
	go func() {
		out, _ := stack.Run(ctx, "dnsperf", "-a", "127.0.0.2", "-s", "127.0.0.1", "-p", port(f.recursor), "-d", names, "-l", "4", "-Q", "5000", "-q", "20000", "-t", "1") // -q: what is lost holds nothing up
		flooded <- out
	}()
	limited := func() bool { return counted(t, f.recursor, "strata_rate_limited_total", `why="rate"`) > 0 }
	within(t, "the flood is over its limit", limited)
	slipped := f.slips("127.0.0.2", "web.example.org")
	var out string
	for calm := 0; out == ""; calm++ {
		if reply, err := f.from("127.0.0.3", "udp", "web.example.org"); !answered(reply, err, "192.0.2.80") {
			t.Fatalf("beside the flood, query %d: %v", calm, reply)
		}
		slipped.ask()
		if reply, err := f.from("127.0.0.2", "tcp", "web.example.org"); !answered(reply, err, "192.0.2.80") {
			t.Fatalf("the flooding client over TCP: %v", reply)
		}
		select {
		case out = <-flooded:
			t.Logf("%d queries beside the flood", calm)
		case <-time.After(10 * time.Millisecond): // fifty or so a second is what a calm client asks
		}
	}
	within(t, "a reply that slipped", slipped.seen.Load)
	sent, done := figure(t, out, `Queries sent: +(\d+)`), figure(t, out, `Queries completed: +(\d+)`)
	if lost := sent - done; lost < sent/4 {
		t.Errorf("of a flood of %d queries %d were lost, want about half of what was over 200 a second:\n%s", sent, lost, out)
	}
}

// A slip is who asks over its limit, without waiting for replies, and looks for a
// truncated one among them.
type slip struct {
	conn  net.Conn
	query []byte
	seen  atomic.Bool
}

func (f *fort) slips(client, name string) *slip {
	f.t.Helper()
	conn, err := (&net.Dialer{LocalAddr: local("udp", client)}).Dial("udp", f.recursor.Address)
	must(f.t, err)
	f.t.Cleanup(func() { conn.Close() })
	s := &slip{conn: conn}
	s.query, err = new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
	must(f.t, err)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			var m dns.Msg
			if m.Unpack(buf[:n]) == nil && m.Truncated {
				s.seen.Store(true)
			}
		}
	}()
	return s
}

// ask asks five times: each has an even chance to slip.
func (s *slip) ask() {
	for range 5 {
		_, _ = s.conn.Write(s.query)
	}
}

// figure reads a number of a program's report.
func figure(t *testing.T, text, pattern string) int {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no %s in:\n%s", pattern, text)
	}
	n, err := strconv.Atoi(match[1])
	must(t, err)
	return n
}

// An IPv6 client is its prefix: who has a /56 cannot change addresses to get more.
func TestRateLimitIPv6(t *testing.T) {
	need(t, "dig")
	w := newTown(t)
	h := w.newHost(w.site("six", 6), "six", "10.6.0.10")
	if _, err := h.Run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/lo/disable_ipv6"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	for _, a := range []string{"::1", "2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1", "2001:db8:0:100::1", "2001:db8:0:200::1"} {
		_, err := h.Run("ip", "address", "replace", a+"/128", "dev", "lo")
		must(t, err)
	}
	w.settle(h, "recursor", "listen: [\"[::1]:53\"]\nallow: [\"2001:db8::/32\"]\nzones: [{names: [dead.example], servers: [\"10.6.0.99:53\"]}]\n"+
		"policy: {static: [example.org], data: [\"web.example.org 60 A 192.0.2.80\"], rate: {per_second: 1, burst: 3, slip: 1}}")
	ask := func(client string) bool {
		out, _ := h.Run("dig", "@::1", "-b", client, "+tries=1", "+time=5", "+nocookie", "+ignore", "+short", "web.example.org")
		return strings.Contains(out, "192.0.2.80")
	}
	within(t, "the recursor answers", func() bool { return ask("2001:db8:0:200::1") })
	burst := func(clients ...string) (answered int) {
		for i := range 12 {
			if ask(clients[i%len(clients)]) {
				answered++
			}
		}
		return answered
	}
	began := time.Now()
	got := burst("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1")
	if most := 3 + 1 + int(time.Since(began).Seconds()); got < 3 || got > most {
		t.Errorf("three addresses of a /56 get %d of 12, want 3 to %d", got, most)
	}
	if got := burst("2001:db8:0:100::1"); got < 3 {
		t.Errorf("another /56 gets %d of 12, want its own 3", got)
	}
}

// Who may not ask is told so, or hears nothing, over UDP and TCP.
func TestNoOpenResolver(t *testing.T) {
	f := newFort(t, "allow: [127.0.0.2/32]\n")
	for _, network := range []string{"udp", "tcp"} {
		if reply, err := f.from("127.0.0.2", network, "web.example.org"); !answered(reply, err, "192.0.2.80") {
			t.Errorf("allowed over %s: %v", network, reply)
		}
		reply, err := f.from("127.0.0.3", network, "web.example.org")
		if err != nil || reply.Rcode != dns.RcodeRefused || len(reply.Answer) > 0 || !slices.Equal(extended(reply), []uint16{dns.ExtendedErrorCodeProhibited}) {
			t.Errorf("not allowed over %s: %v", network, reply)
		}
	}
	config, err := os.ReadFile(f.recursor.Config)
	must(t, err)
	writeFile(t, f.recursor.Config, string(config)+"policy: {deny_answer: drop}\n")
	run(t, f.Stack, "recursor", "ctl", "--config", f.recursor.Config, "reload")
	for _, network := range []string{"udp", "tcp"} {
		if !f.silence("127.0.0.3", network, "web.example.org") {
			t.Errorf("over %s there is a reply", network)
		}
		if reply, err := f.from("127.0.0.2", network, "web.example.org"); !answered(reply, err, "192.0.2.80") {
			t.Errorf("allowed over %s: %v", network, reply)
		}
	}
}

// By default private addresses may ask, and the world may not.
func TestNoOpenResolverByDefault(t *testing.T) {
	need(t, "dig")
	w := newTown(t)
	h := w.newHost(w.site("open", 7), "open", "10.7.0.10")
	_, err := h.Run("ip", "address", "add", "198.51.100.1/32", "dev", "lo")
	must(t, err)
	w.settle(h, "recursor", "listen: [\"0.0.0.0:53\"]\nzones: [{names: [dead.example], servers: [\"10.7.0.99:53\"]}]\n"+
		"policy: {static: [example.org], data: [\"web.example.org 60 A 192.0.2.80\"]}")
	ask := func(client string, args ...string) string {
		out, _ := h.Run("dig", append([]string{"@10.7.0.10", "-b", client, "+tries=1", "+time=2", "web.example.org"}, args...)...)
		return out
	}
	within(t, "the recursor answers", func() bool { return strings.Contains(ask("10.7.0.10"), "192.0.2.80") })
	for _, args := range [][]string{nil, {"+tcp"}} {
		if out := ask("198.51.100.1", args...); !strings.Contains(out, "status: REFUSED") || !strings.Contains(out, "EDE: 18 (Prohibited)") {
			t.Errorf("a client from the world, %q:\n%s", args, out)
		}
	}
}

// A client that floods random names of a dead server has a thousand of them waiting,
// and the rest refused; what others ask for the first time is answered meanwhile.
func TestRandomNames(t *testing.T) {
	f := newFort(t, "cache: {size: 64MiB, stale_for: 1h}\n")
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(f.recursor.Address)))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetReadBuffer(4<<20))
	var refused, other int
	read := make(chan struct{})
	go func() {
		defer close(read)
		var buf [4096]byte
		for {
			n, err := conn.Read(buf[:])
			var reply dns.Msg
			switch {
			case err != nil:
				return
			case reply.Unpack(buf[:n]) == nil && reply.Rcode == dns.RcodeServerFailure:
				refused++
			default:
				other++
			}
		}
	}()
	const flood = 4000
	for i := range flood {
		query := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.dead.example.", i), dns.TypeA)
		packet, err := query.Pack()
		must(t, err)
		_, err = conn.Write(packet)
		must(t, err)
		if i%100 == 99 {
			time.Sleep(5 * time.Millisecond) // so that it arrives
		}
	}
	if waiting := counted(t, f.recursor, "strata_cache_waiting"); waiting > 1000 {
		t.Errorf("%v wait", waiting)
	}
	for _, name := range []string{"a.apps.example.org", "b.apps.example.org", "c.apps.example.org"} {
		began := time.Now()
		if reply, err := f.from("127.0.0.3", "udp", name); !answered(reply, err, "192.0.2.90") {
			t.Errorf("%s beside the flood: %v", name, reply)
		}
		t.Logf("%s beside the flood: %v", name, time.Since(began).Round(time.Millisecond))
	}
	within(t, "nobody waits", func() bool { return counted(t, f.recursor, "strata_cache_waiting") == 0 })
	crowded := counted(t, f.recursor, "strata_rate_limited_total", `why="in flight"`)
	if crowded < flood/4 || crowded > flood-900 {
		t.Errorf("%v of %d were refused, want all but about a thousand every 1.8 s", crowded, flood)
	}
	must(t, conn.Close())
	<-read
	if refused == 0 || other > 0 {
		t.Errorf("the flood is answered %d SERVFAIL and %d others", refused, other)
	}
}

// counted sums a server's counters of a name whose labels hold all the words.
func counted(t *testing.T, server *stack.Server, name string, words ...string) float64 {
	t.Helper()
	all, err := server.Counters(t.Context())
	must(t, err)
	return all.Sum(name, words...)
}

// kdig, dnsperf and nodecache ask over TLS; certificates are renewed under way.
func TestTLSClients(t *testing.T) {
	t.Parallel() // it mostly waits
	need(t, "kdig", "dnsperf")
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir, "dns.example.net")
	address := freeLoopback(t)
	dot := portOf(address)
	f := newFort(t, fmt.Sprintf("tls: {listen: [%q], cert: %q, key: %q}\ntcp: {idle: 1s}\n", address, cert, key))

	kdig := func(args ...string) (string, error) {
		return stack.Run(t.Context(), "kdig", append([]string{"@127.0.0.1", "-p", dot, "+tls-ca=" + cert, "+tls-hostname=dns.example.net", "web.example.org"}, args...)...)
	}
	if out, err := kdig(); err != nil || !strings.Contains(out, "TLS session (TLS1.3)") || !strings.Contains(out, "192.0.2.80") {
		t.Fatalf("kdig: %v\n%s", err, out)
	}
	if out, err := kdig("+padding=128"); err != nil || figure(t, out, `Received (\d+) B`)%468 != 0 || !strings.Contains(out, "PADDING") {
		t.Errorf("kdig with padding: %v\n%s", err, out)
	}
	if out, err := kdig("+nopadding"); err != nil || figure(t, out, `Received (\d+) B`) > 200 {
		t.Errorf("kdig without padding: %v\n%s", err, out)
	}
	names := f.Dir + "/names.txt"
	writeFile(t, names, "web.example.org A\n")
	out, err := stack.Run(t.Context(), "dnsperf", "-m", "dot", "-s", "127.0.0.1", "-p", dot, "-d", names, "-n", "2000", "-c", "4", "-t", "10")
	if err != nil || figure(t, out, `Queries completed: +(\d+)`) != 2000 || !strings.Contains(out, "NOERROR 2000") {
		t.Errorf("dnsperf: %v\n%s", err, out)
	}
	nodecache := extra(t, f.Stack, "node", "nodecache", fmt.Sprintf(`
listen: ["127.0.0.1:{{.Port}}"]
upstreams: ["tls://%s#dns.example.net"]
exchange: {ca: %q}
cache: {size: 1MiB, file: ""}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`, address, cert))
	must(t, f.Ready(t.Context(), nodecache))
	if reply := ask(t, nodecache, "web.example.org", dns.TypeA); !answered(reply, nil, "192.0.2.80") {
		t.Errorf("through nodecache: %v", reply)
	}
	if n := counted(t, f.recursor, "strata_answers_total", `outcome="hit"`, `transport="tls"`); n < 2000 {
		t.Errorf("%v hits counted over TLS", n)
	}

	// A silent client is let go.
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	must(t, err)
	pool.AppendCertsFromPEM(text)
	silent, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "dns.example.net", NextProtos: []string{"dot"}})
	must(t, err)
	defer silent.Close()
	must(t, silent.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := silent.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a silent client after a minute: %v", err)
	}

	serial := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SignatureAlgorithm.String() + fmt.Sprintf("%x", conn.ConnectionState().PeerCertificates[0].Signature)
	}
	first := serial()
	writeCertificate(t, dir, "dns.example.net") // in place
	run(t, f.Stack, "recursor", "ctl", "--config", f.recursor.Config, "reload")
	second := serial()
	if second == first {
		t.Error("a reload does not take up a new certificate")
	}
	writeFile(t, key, "junk\n")
	if said := failure(t, f.Stack, "recursor", "ctl", "--config", f.recursor.Config, "reload"); !strings.Contains(said, "tls.key: ") {
		t.Errorf("of a bad key a reload says %q", said)
	}
	if said := failure(t, f.Stack, "recursor", "check", "--config", f.recursor.Config); strings.Count(said, "\n") != 1 || !strings.Contains(said, "tls.key: "+key+": no private key in it") {
		t.Errorf("of a bad key check says %q", said)
	}
	if serial() != second {
		t.Error("a bad key changes what is shown")
	}
	writeCertificate(t, dir, "dns.example.net")
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := stack.Until(limit, func() bool { return serial() != second }); err != nil {
		t.Error("a certificate that was renewed in place is not taken up in two minutes")
	}

	// The next process has the listener.
	next := &stack.Process{Name: "next", Path: f.recursor.Path, LogFile: f.Dir + "/next.log", Args: slices.Concat(f.recursor.Args, []string{"--takeover"})}
	must(t, next.Start())
	defer func() {
		if err := next.Stop(); err != nil {
			t.Errorf("the next process: %v\n%s", err, next.Log())
		}
	}()
	for f.recursor.Running() {
		if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err != nil {
			t.Fatalf("while one takes over from the other: %v", err)
		} else {
			conn.Close()
		}
		if !next.Running() {
			t.Fatalf("the next process ended:\n%s", next.Log())
		}
	}
	ends(t, f.recursor, 0)
	if out, err := kdig(); err != nil || !strings.Contains(out, "192.0.2.80") {
		t.Errorf("from the next process: %v\n%s", err, out)
	}
}
