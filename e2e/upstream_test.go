package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/nasty"
	"github.com/strata-dns/strata/e2e/stack"
)

// A manner is how a server answers names below load.example: honestly at first.
type manner struct {
	atomic.Pointer[nasty.Behaviour]
}

func (m *manner) set(b nasty.Behaviour) { m.Store(&b) }

func (m *manner) behaviours() map[string]nasty.Behaviour {
	return map[string]nasty.Behaviour{"load": func(q *nasty.Query) { (*m.Load())(q) }}
}

// after answers honestly, so much later.
func after(d time.Duration) nasty.Behaviour {
	return func(q *nasty.Query) { q.Pause(d); q.Honest() }
}

// One of three servers, the nearest, dies, gets slow, or loses a third: no question
// fails, the others answer a hedge later, and when it is well again it is used again,
// by itself.
func TestOneOfThreeUpstreams(t *testing.T) {
	for name, bad := range map[string]nasty.Behaviour{
		"dead": func(*nasty.Query) {},
		"slow": after(400 * time.Millisecond),
		"lossy": func(q *nasty.Query) {
			if q.Time%3 != 0 {
				q.Honest()
			}
		},
	} {
		t.Run(name, func(t *testing.T) { oneOfThree(t, name, bad) })
	}
}

func oneOfThree(t *testing.T, kind string, bad nasty.Behaviour) {
	s := newStack(t, stack.Nothing)
	var near, far manner
	near.set(after(time.Millisecond))
	far.set(after(8 * time.Millisecond))
	nearest := startNasty(t, near.behaviours())
	cache := cacheOf(t, s, "cache", "", nearest.Addr.String(), startNasty(t, far.behaviours()).Addr.String(), startNasty(t, far.behaviours()).Addr.String())
	l := &crowd{cache: cache}
	l.run(t, 800*time.Millisecond)
	well := l.report(t, kind+": all are well")

	before, err := cache.Counters(t.Context())
	must(t, err)
	asked, machine := nearest.Questions(), watchStrain()
	near.set(bad)
	l.run(t, 3*time.Second)
	ill := l.report(t, kind+": one is not")
	now, err := cache.Counters(t.Context())
	must(t, err)
	sent := nearest.Questions() - asked
	hedges := now.Since(before).Sum("strata_upstream_exchanges_total", `what="hedge"`)
	t.Logf("of %d questions %d went to it, there were %g hedges", ill.n, sent, hedges)
	// A server's 95th percentile is passed by one in 20 by definition.
	if limit := float64(sent) + float64(ill.n)/4; hedges > limit {
		t.Errorf("%g hedges: more than one for each question to the bad server", hedges)
	}
	if kind != "lossy" && sent > ill.n/4 {
		t.Errorf("%d of %d questions went to the server that is %s", sent, ill.n, kind)
	}
	machine.inTime(t, "half of the clients were answered", ill.median, well.median+100*time.Millisecond)
	machine.inTime(t, "all of the clients were answered", ill.worst, 1500*time.Millisecond)

	near.set(after(time.Millisecond))
	healed := time.Now()
	within(t, "the server is used again", func() bool {
		asked := nearest.Questions()
		l.run(t, 100*time.Millisecond)
		return nearest.Questions()-asked > len(l.times)/2
	})
	t.Logf("used again %s after it was well", time.Since(healed).Round(10*time.Millisecond))
	l.report(t, kind+": well again")
}

// A crowd asks for new names, several at once, each as soon as the one before is answered.
type crowd struct {
	cache *stack.Server
	next  atomic.Int64

	mu    sync.Mutex
	times []time.Duration // of the last run
	fails []string
}

func (l *crowd) run(t *testing.T, d time.Duration) {
	l.times = l.times[:0]
	end := time.Now().Add(d)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for time.Now().Before(end) {
				reply, took := askPatiently(l.cache, fmt.Sprintf("n%d.load.example", l.next.Add(1)))
				l.mu.Lock()
				if l.times = append(l.times, took); !answered(reply, nil, nasty.Good) {
					l.fails = append(l.fails, fmt.Sprint(reply))
				}
				l.mu.Unlock()
			}
		})
	}
	wait.Wait()
	if len(l.fails) > 0 {
		t.Fatalf("%d questions failed, the first so: %s", len(l.fails), l.fails[0])
	}
}

type waits struct {
	n             int
	median, worst time.Duration
}

// report logs how long clients waited in the last run.
func (l *crowd) report(t *testing.T, what string) waits {
	slices.Sort(l.times)
	at := func(share float64) time.Duration { return l.times[int(share*float64(len(l.times)-1))] }
	w := waits{len(l.times), at(0.5), at(1)}
	t.Logf("%s: %d questions, client waited 50 %%: %s, 95 %%: %s, 99 %%: %s, most: %s", what, w.n,
		w.median.Round(10*time.Microsecond), at(0.95).Round(10*time.Microsecond), at(0.99).Round(10*time.Microsecond), w.worst.Round(10*time.Microsecond))
	return w
}

// A thousand clients ask one question while its answer is on the way: it is asked
// once, which is also what makes guessing replies hopeless (RFC 5452 §5).
func TestOneQuestionForAThousandClients(t *testing.T) {
	const clients = 1000
	s := newStack(t, stack.Nothing)
	answer := make(chan struct{})
	server := startNasty(t, map[string]nasty.Behaviour{"many": func(q *nasty.Query) { <-answer; q.Honest() }})
	cache := cacheOf(t, s, "cache", "exchange: {budget: 5s}", server.Addr.String())
	conns := make([]net.Conn, clients)
	for i := range conns {
		name := []byte("www.many.example.")
		if i%2 == 0 {
			name[0] = 'W'
		}
		query, err := new(dns.Msg).SetQuestion(string(name), dns.TypeA).Pack()
		must(t, err)
		conns[i], err = net.Dial("udp", cache.Address)
		must(t, err)
		defer conns[i].Close()
		_, err = conns[i].Write(query)
		must(t, err)
	}
	within(t, "all wait", func() bool {
		now, err := cache.Counters(t.Context())
		return err == nil && now.Sum("strata_cache_waiting") == clients
	})
	close(answer)
	for i, conn := range conns {
		must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		reply, err := (&dns.Conn{Conn: conn}).ReadMsg()
		if !answered(reply, err, nasty.Good) {
			t.Fatalf("client %d: %v, %v", i, reply, err)
		}
	}
	// A copy is sent where the first is thought lost; that is no second question. One may
	// be on its way still.
	var asked int
	var counters stack.Counters
	eventually(t, 10*time.Second, func() bool {
		var err error
		counters, err = cache.Counters(t.Context())
		must(t, err)
		asked = server.Asked("www.many.example") - int(counters.Sum("strata_upstream_exchanges_total", `what="resend"`))
		return asked == 1
	})
	if fetches := counters.Sum("strata_cache_fetches_total", `what="sent"`); asked != 1 || fetches != 1 {
		t.Errorf("%d clients: asked %d times in %g flights", clients, asked, fetches)
	}
}

// Behind the budget comes what is stale, or SERVFAIL, with the reason (RFC 8914):
// 3 and 19 stale, 22 nobody answers, 23 the network says no.
func TestFailureSaysWhy(t *testing.T) {
	const budget = 600 * time.Millisecond
	s := newStack(t, stack.Nothing)
	var m manner
	server := startNasty(t, map[string]nasty.Behaviour{"load": func(q *nasty.Query) { (*m.Load())(q) }})
	m.set(func(q *nasty.Query) {
		q.Send(q.Reply(nasty.Good, func(m *dns.Msg) {
			m.Answer[0].Header().Ttl = 1
			if strings.HasPrefix(m.Question[0].Name, "none.") {
				soa, _ := dns.NewRR("load.example. 1 IN SOA ns.load.example. h.load.example. 1 2 3 4 1")
				m.Rcode, m.Answer, m.Ns = dns.RcodeNameError, nil, []dns.RR{soa}
			}
		}))
	})
	cache := cacheOf(t, s, "cache", "exchange: {budget: 600ms}", server.Addr.String())
	for name, rcode := range map[string]int{"www.load.example": dns.RcodeSuccess, "none.load.example": dns.RcodeNameError} {
		if reply, _ := askPatiently(cache, name); reply.Rcode != rcode {
			t.Fatalf("%s: %v", name, reply)
		}
	}
	m.set(func(*nasty.Query) {})
	time.Sleep(1100 * time.Millisecond) // until what is known has expired
	see := func(name string, rcode int, ede uint16, least, most time.Duration) {
		t.Helper()
		machine := watchStrain()
		reply, took := askPatiently(cache, name)
		if reply.Rcode != rcode || !slices.Contains(extended(reply), ede) {
			t.Errorf("%s: want %s with extended error %d, got after %s\n%v", name, dns.RcodeToString[rcode], ede, took, reply)
		}
		if took < least-2*time.Millisecond { // the cache's clock counts milliseconds
			t.Errorf("%s is answered after %s", name, took)
		}
		machine.inTime(t, name+" was answered", took, most)
		t.Logf("%s: %s %d after %s", name, dns.RcodeToString[reply.Rcode], extended(reply), took.Round(time.Millisecond))
	}
	see("www.load.example", dns.RcodeSuccess, dns.ExtendedErrorCodeStaleAnswer, budget, budget+time.Second)
	see("none.load.example", dns.RcodeNameError, dns.ExtendedErrorCodeStaleNXDOMAINAnswer, budget, budget+time.Second)
	see("new.load.example", dns.RcodeServerFailure, dns.ExtendedErrorCodeNoReachableAuthority, budget, budget+time.Second)
	server.Close()
	see("newer.load.example", dns.RcodeServerFailure, dns.ExtendedErrorCodeNetworkError, 0, budget)
}

// writeCertificate makes a certificate for a name, signed by itself, with its key.
func writeCertificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return cert, key
}

// A real unbound is asked over kept TCP connections and within TLS: few connections
// for many questions, none lost when it closes idle ones, and when it was away it is
// found again.
func TestUpstreamOverStreams(t *testing.T) {
	needBinaries(t)
	need(t, "unbound")
	s := newStack(t, stack.Nothing)
	cert, key := writeCertificate(t, s.Dir, "dns.example.net")
	plain, secure := freeLoopback(t), freeLoopback(t)
	unbound := &unboundServer{t: t, config: filepath.Join(s.Dir, "streams.conf"), address: plain}
	writeFile(t, unbound.config, fmt.Sprintf(`server:
  interface: %s
  interface: %s
  tls-port: %s
  tls-service-key: %s
  tls-service-pem: %s
  tcp-idle-timeout: 300
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: %s
  access-control: 127.0.0.0/8 allow
  local-zone: "load.example." redirect
  local-data: "load.example. 60 IN A %s"
`, unboundAt(plain), unboundAt(secure), portOf(secure), key, cert, s.Dir, nasty.Good))
	unbound.start(t)
	for name, server := range map[string]string{"tcp": "tcp://" + plain, "tls": "tls://" + secure + "#dns.example.net"} {
		t.Run(name, func(t *testing.T) {
			cache := cacheOf(t, s, name, "exchange: {ca: \""+cert+"\"}", server)
			l := &crowd{cache: cache}
			l.run(t, 500*time.Millisecond)
			now, err := cache.Counters(t.Context())
			must(t, err)
			connections, asked := now.Sum("strata_upstream_exchanges_total", `what="connected"`), now.Sum("strata_upstream_exchanges_total", `what="asked"`)
			l.report(t, fmt.Sprintf("%s, %g queries over %g connections", name, asked, connections))
			if connections > 8 || asked < 10*connections {
				t.Errorf("%g queries over %g connections", asked, connections)
			}
			for range 3 {
				time.Sleep(500 * time.Millisecond) // unbound closes what is idle for 300 ms
				l.run(t, 20*time.Millisecond)
			}
			then, err := cache.Counters(t.Context())
			must(t, err)
			if n := then.Since(now).Sum("strata_upstream_exchanges_total", `what="connected"`); n < 3 {
				t.Errorf("%g connections after three were closed", n)
			}
			unbound.stop(t)
			if reply, _ := askPatiently(cache, name+"-away.load.example"); reply.Rcode != dns.RcodeServerFailure || !slices.Contains(extended(reply), dns.ExtendedErrorCodeNetworkError) {
				t.Errorf("while it is away: %v", reply)
			}
			unbound.start(t)
			i := 0
			within(t, "it is found again", func() bool {
				i++
				reply, _ := askPatiently(cache, fmt.Sprintf("%s-back-%d.load.example", name, i))
				return answered(reply, nil, nasty.Good)
			})
		})
	}
	for name, config := range map[string][2]string{
		"wrong name":      {"tls://" + secure + "#dns.example.org", `exchange: {ca: "` + cert + `"}`},
		"unknown signers": {"tls://" + secure + "#dns.example.net", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cache := cacheOf(t, s, strings.ReplaceAll(name, " ", "-"), config[1], config[0])
			reply, _ := askPatiently(cache, "www.load.example")
			if reply.Rcode != dns.RcodeServerFailure || !slices.Contains(extended(reply), dns.ExtendedErrorCodeNetworkError) {
				t.Errorf("answered %v", reply)
			}
			response, err := http.Get("http://" + cache.Admin + "/status")
			must(t, err)
			defer response.Body.Close()
			status, err := io.ReadAll(response.Body)
			must(t, err)
			if want := "failed to verify certificate"; !strings.Contains(string(status), want) {
				t.Errorf("the status does not say %q:\n%s", want, status)
			}
		})
	}
}

// A certificate file that is none is said in one line, with its key.
func TestBadCertificateFile(t *testing.T) {
	s := newStack(t, stack.Nothing)
	file := filepath.Join(t.TempDir(), "bad.yaml")
	text := filepath.Join(t.TempDir(), "text")
	writeFile(t, text, "no certificate")
	for ca, want := range map[string]string{text: "no certificate in it", "/nonexistent.pem": "no such file"} {
		writeFile(t, file, fmt.Sprintf("upstreams: [\"tls://127.0.0.1#a.example\"]\nexchange:\n  ca: %s\n", ca))
		if said := failure(t, s, "nodecache", "check", "--config", file); !strings.Contains(said, file+":3: exchange.ca: ") || !strings.Contains(said, want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
	writeFile(t, file, "upstreams: [\"tls://127.0.0.1\"]\n")
	if said := failure(t, s, "nodecache", "check", "--config", file); !strings.Contains(said, file+":1: upstreams[0]: ") || !strings.Contains(said, "name of the server's certificate") {
		t.Errorf("it says %q", said)
	}
}

// An unboundServer is an unbound with a config of the test's own.
type unboundServer struct {
	t               *testing.T // it is ended with
	config, address string
	cmd             *exec.Cmd
}

func (u *unboundServer) start(t *testing.T) {
	t.Helper()
	path, err := lookPath("unbound")
	must(t, err)
	u.cmd = exec.Command(path, "-d", "-c", u.config)
	u.cmd.Stderr = os.Stderr
	must(t, u.cmd.Start())
	cmd := u.cmd
	u.t.Cleanup(func() {
		_ = cmd.Process.Kill() // where it has not ended yet
		_ = cmd.Wait()
	})
	within(t, "unbound answers", func() bool {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion("www.load.example.", dns.TypeA), u.address)
		return answered(reply, err, nasty.Good)
	})
}

func (u *unboundServer) stop(t *testing.T) {
	t.Helper()
	must(t, u.cmd.Process.Kill())
	_ = u.cmd.Wait() // it was killed
}

// unboundAt is an address as unbound writes it.
func unboundAt(address string) string { return strings.Replace(address, ":", "@", 1) }

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// A hundred thousand questions are open to an upstream server that says nothing to them,
// while it answers others: memory is bounded, and what is known is answered as ever.
func TestManyQuestionsToDeadUpstreams(t *testing.T) {
	const questions, most = 100_000, 300 << 20
	s := newStack(t, stack.Nothing)
	server := startNasty(t, map[string]nasty.Behaviour{"load": func(*nasty.Query) {}})
	cache := cacheOf(t, s, "cache", "exchange: {budget: 5s}", server.Addr.String())
	honest(t, cache, "known")
	conn, err := net.Dial("udp", cache.Address)
	must(t, err)
	defer conn.Close()
	query, err := new(dns.Msg).SetQuestion("n0000000.load.example.", dns.TypeA).Pack()
	must(t, err)
	machine := watchStrain()
	open, resident, slowest := 0.0, int64(0), time.Duration(0)
	known := func() {
		reply, took := askPatiently(cache, "known.good.example")
		if !answered(reply, nil, nasty.Good) {
			t.Errorf("what is known is answered %v", reply)
		}
		slowest = max(slowest, took)
	}
	look := func() {
		known()
		now, err := cache.Counters(t.Context())
		must(t, err)
		size, err := cache.Resident()
		must(t, err)
		open, resident = max(open, now.Sum("strata_upstream_in_flight")), max(resident, size)
	}
	for i := range questions {
		copy(query[13:], fmt.Sprintf("n%07d", i))
		_, err := conn.Write(query)
		must(t, err)
		switch {
		case i%10_000 == 0:
			look()
		case i%100 == 0: // its answer says that all before it were read, and that the server lives
			known()
			honest(t, cache, fmt.Sprintf("fresh%d", i))
		}
	}
	look()
	within(t, "all have ended", func() bool {
		look()
		now, err := cache.Counters(t.Context())
		return err == nil && now.Sum("strata_upstream_in_flight") == 0
	})
	t.Logf("%g questions open at most, %d MiB resident at most; what is known is answered within %s", open, resident>>20, slowest)
	if resident > most {
		t.Errorf("%d MiB resident", resident>>20)
	}
	if open < questions/4 {
		t.Errorf("%g questions were open at most: this shows nothing", open)
	}
	machine.inTime(t, "what is known was answered", slowest, time.Second)
}

// A server says nothing at all any more: of a flood of questions a few are asked and the
// rest told at once why not (RFC 8914 §4.23). The first answer ends that.
func TestFloodOfDeadUpstream(t *testing.T) {
	s := newStack(t, stack.Nothing)
	var dead atomic.Bool
	server := startNasty(t, map[string]nasty.Behaviour{"load": func(q *nasty.Query) {
		if !dead.Load() {
			q.Honest()
		}
	}})
	cache := cacheOf(t, s, "cache", "exchange: {budget: 1s}", server.Addr.String())
	honest(t, cache, "known")
	dead.Store(true)
	conn, err := net.Dial("udp", cache.Address)
	must(t, err)
	defer conn.Close()
	next := 0
	flood := func(questions int) {
		for range questions {
			next++
			query, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%07d.load.example.", next), dns.TypeA).Pack()
			must(t, err)
			_, err = conn.Write(query)
			must(t, err)
		}
	}
	refused := func() float64 {
		now, err := cache.Counters(t.Context())
		must(t, err)
		return now.Sum("strata_upstream_exchanges_total", `what="refused"`)
	}
	within(t, "questions are refused", func() bool { flood(100); return refused() > 0 })
	flood(1000)
	reply, took := askPatiently(cache, "told.load.example")
	opt := reply.IsEdns0()
	if reply.Rcode != dns.RcodeServerFailure || opt == nil || len(opt.Option) != 1 || opt.Option[0].(*dns.EDNS0_EDE).InfoCode != dns.ExtendedErrorCodeNoReachableAuthority {
		t.Errorf("answered %v", reply)
	}
	t.Logf("told after %s", took)
	if reply, _ := askPatiently(cache, "known.good.example"); !answered(reply, nil, nasty.Good) {
		t.Errorf("what is known is answered %v", reply)
	}
	dead.Store(false)
	within(t, "names of the flood are answered", func() bool {
		next++
		reply, _ := askPatiently(cache, fmt.Sprintf("n%07d.load.example", next))
		return answered(reply, nil, nasty.Good)
	})
	before := refused()
	flood(100)
	honest(t, cache, "after")
	if n := refused() - before; n > 0 {
		t.Errorf("%g refused while the server answers", n)
	}
}

// With exchange.mix_case names go out in mixed case (draft-vixie-dnsext-dns0x20) and
// clients see their own; a server that folds them is found out over TCP, and asked
// without from then on.
func TestMixedCase(t *testing.T) {
	s := newStack(t, stack.Nothing)
	var mixed atomic.Int64
	note := func(q *nasty.Query) {
		if name := q.Msg.Question[0].Name; name != strings.ToLower(name) {
			mixed.Add(1)
		}
	}
	keeps := startNasty(t, map[string]nasty.Behaviour{"a-rather-long-label": func(q *nasty.Query) { note(q); q.Honest() }})
	folds := startNasty(t, map[string]nasty.Behaviour{"a-rather-long-label": func(q *nasty.Query) {
		note(q)
		q.Send(q.Reply(nasty.Good, func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }))
	}})
	const names = 5
	for server, want := range map[*nasty.Server][2]int{keeps: {names, names}, folds: {2, names + 1}} {
		mixed.Store(0)
		cache := cacheOf(t, s, "cache-"+portOf(server.Addr.String()), "exchange: {mix_case: true}", server.Addr.String())
		for i := range names {
			name := fmt.Sprintf("Name%d.a-rather-long-label.Example.", i)
			reply, _ := askPatiently(cache, name)
			if !answered(reply, nil, nasty.Good) || reply.Question[0].Name != name {
				t.Errorf("%s is answered\n%v", name, reply)
			}
		}
		if got := [2]int{int(mixed.Load()), server.Questions()}; got != want {
			t.Errorf("%d queries in mixed case of %d, want %d", got[0], got[1], want)
		}
	}
}
