package e2e

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/clock"
	"github.com/strata-dns/strata/e2e/stack"
)

// The clocks of nodecache and recursor are set: what they have of a name neither expires
// nor lasts longer by that, and counts down as time passes.
func TestClockOfCaches(t *testing.T) {
	t.Parallel() // it mostly waits
	clocks := []*clock.Clock{newClock(t), newClock(t)}
	s := newStack(t, stack.Whole)
	resolvers := []*stack.Server{s.Nodecache, s.Recursors[0]}
	for i, server := range resolvers {
		wear(t, s, server, clocks[i])
	}
	node := s.Authoritatives[0]
	records(t, s, node, "add", "lasts.prd.example.com", "A", "10.1.7.1", "--ttl", "3600")
	for _, node := range s.Authoritatives {
		seen(t, node, "lasts.prd.example.com", dns.TypeA, "10.1.7.1")
	}
	for i, server := range resolvers {
		seen(t, server, "lasts.prd.example.com", dns.TypeA, "10.1.7.1")
		for j, ahead := range settings {
			name := fmt.Sprintf("n%d-%d.prd.example.com", i, j)
			records(t, s, node, "add", name, "A", "10.1.7.2", "--ttl", "5")
			for _, node := range s.Authoritatives { // else it may be denied, and that remembered
				seen(t, node, name, dns.TypeA, "10.1.7.2")
			}
			cached := time.Now()
			seen(t, server, name, dns.TypeA, "10.1.7.2")
			first := ask(t, server, "lasts.prd.example.com", dns.TypeA)
			clocks[i].Set(ahead)
			when := fmt.Sprintf("%s is %s ahead", server.Name, ahead)

			for _, name := range []string{"lasts.prd.example.com", name} {
				hits := gauge(t, server, "strata_answers_total", `outcome="hit"`)
				reply := ask(t, server, name, dns.TypeA)
				if gauge(t, server, "strata_answers_total", `outcome="hit"`) != hits+1 && time.Since(cached) < 4*time.Second {
					t.Errorf("%s: %s is not answered from memory", when, name)
				}
				if len(reply.Answer) != 1 {
					t.Fatalf("%s: %v", when, reply)
				}
			}
			now, was := ask(t, server, "lasts.prd.example.com", dns.TypeA).Answer[0].Header().Ttl, first.Answer[0].Header().Ttl
			if most := time.Since(cached).Seconds() + 1; now > was || float64(was-now) > most {
				t.Errorf("%s: a TTL of %d is %d after %.1f s", when, was, now, most)
			}
			records(t, s, node, "add", name, "A", "10.1.7.3")
			within(t, when+": what has changed", func() bool {
				reply, err := exchange(server, name, dns.TypeA)
				return answered(reply, err, "10.1.7.2", "10.1.7.3")
			})
			if took := time.Since(cached); took < 4*time.Second {
				t.Errorf("%s: a TTL of 5 s was over after %s", when, took) // refreshed ahead at a tenth of it
			}
		}
	}
}

// Nobody answers a nodecache, and its clock is set: what is old is answered for as long
// as it may be, and no longer.
func TestClockOfStaleAnswers(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newClock(t)
	s := newStack(t, stack.Whole)
	config := `
listen: ["127.0.0.1:{{.Port}}"]
upstreams: ["127.0.0.1:{{index .Recursor 0}}"]
cache: {size: 16MiB, stale_for: %s}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`
	hour := extra(t, s, "hour", "nodecache", fmt.Sprintf(config, "1h"))
	short := extra(t, s, "short", "nodecache", fmt.Sprintf(config, "4s"))
	for _, server := range []*stack.Server{hour, short} {
		must(t, s.Ready(t.Context(), server))
		wear(t, s, server, c)
	}
	const name = "brief.prd.example.com" // TTL 1
	old := func(server *stack.Server) (string, bool) {
		reply, err := exchange(server, name, dns.TypeA)
		return fmt.Sprint(reply, err), answered(reply, err, "10.1.2.82") && reply.Answer[0].Header().Ttl == 30
	}
	seen(t, hour, name, dns.TypeA, "10.1.2.82")
	must(t, s.Recursors[0].Kill())
	within(t, "the old answer", func() bool { _, ok := old(hour); return ok })
	for _, ahead := range settings {
		c.Set(ahead)
		if said, ok := old(hour); !ok {
			t.Errorf("%s ahead: %s", ahead, said)
		}
	}
	must(t, s.Recursors[0].Start())
	must(t, s.Ready(t.Context(), s.Recursors[0]))
	seen(t, short, name, dns.TypeA, "10.1.2.82")
	must(t, s.Recursors[0].Kill())
	c.Set(-time.Hour)
	within(t, "that it is too old", func() bool {
		reply, err := exchange(short, name, dns.TypeA)
		return err == nil && reply.Rcode == dns.RcodeServerFailure
	})
}

// The clock is set while a query waits for its answer: the query log has how long it did.
func TestClockOfQueryLog(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newClock(t)
	s := newStack(t, stack.Whole)
	server := extra(t, s, "logging", "nodecache", `
listen: ["127.0.0.1:{{.Port}}"]
upstreams: ["127.0.0.1:{{index .Recursor 0}}"]
query_log: {sample: 1}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, s.Ready(t.Context(), server))
	wear(t, s, server, c)
	must(t, s.Recursors[0].Signal(syscall.SIGSTOP))
	defer func() { must(t, s.Recursors[0].Signal(syscall.SIGCONT)) }()
	for i, ahead := range []time.Duration{time.Hour, -time.Hour} {
		name := fmt.Sprintf("w%d.prd.example.com", i)
		go func() { _, _ = exchange(server, name, dns.TypeA) }()
		within(t, "the query waits", func() bool { return gauge(t, server, "strata_cache_waiting") > 0 })
		c.Set(ahead)
		logged := regexp.MustCompile(`name=` + regexp.QuoteMeta(name) + `\.? .*took=(\S+)`)
		var line []string
		within(t, "the log has it", func() bool { line = logged.FindStringSubmatch(server.Log()); return line != nil })
		if took, err := time.ParseDuration(line[1]); err != nil || took <= 0 || took > time.Minute {
			t.Errorf("%s ahead: %q, %v", ahead, line[0], err)
		}
	}
}

// A recursor that has swung to the other site's resolvers holds that for as long as it is
// to, however its clock is set.
func TestClockOfSwing(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newClock(t)
	s := newStack(t, stack.Whole)
	const hold = 8 * time.Second
	r := extra(t, s, "holding", "recursor", `
listen: ["127.0.0.1:{{.Port}}"]
site: dc1
external:
  sites:
    - {name: dc1, servers: ["127.0.0.1:{{index .External 0}}"]}
    - {name: dc2, servers: ["127.0.0.1:{{index .External 1}}"]}
  check: {interval: 500ms, timeout: 500ms, fall: 2, rise: 2, hold_down: `+hold.String()+`, zone: probe.example.net}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, s.Ready(t.Context(), r))
	wear(t, s, r, c)
	home := func(want float64) func() bool {
		return func() bool { return gauge(t, r, "strata_failover_serving", `"dc2"`) == 1-want }
	}
	within(t, "home serves", home(1))
	for _, ahead := range []time.Duration{decade, -time.Hour} {
		before := time.Now()
		must(t, s.External[0].Signal(syscall.SIGSTOP))
		within(t, "the other site serves", home(0))
		c.Set(ahead)
		must(t, s.External[0].Signal(syscall.SIGCONT))
		if reply, err := exchange(r, "www.example.net", dns.TypeA); err != nil || reply.Rcode != dns.RcodeSuccess {
			t.Errorf("%s ahead: %v, %v", ahead, reply, err)
		}
		within(t, "home serves again", home(1))
		if took := time.Since(before); took < hold {
			t.Errorf("%s ahead: home serves again %s after it went, and the hold-down is %s", ahead, took, hold)
		}
	}
}

// Rates of clients and their cookies, when a recursor's clock is set: who is over the limit
// stays so for as long as it takes, and no longer; cookies are of the time that the clock
// shows (RFC 9018 §4.3), and those that have become invalid are replaced.
func TestClockOfRatesAndCookies(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newClock(t)
	f := newFort(t, "policy: {rate: {per_second: 1, burst: 5, slip: 0}}\ncookies: {secret: 000102030405060708090a0b0c0d0e0f}\n")
	wear(t, f.Stack, f.recursor, c)
	answers := func(client string) (n int) {
		for range 8 {
			query := new(dns.Msg).SetQuestion("web.example.org.", dns.TypeA)
			asker := dns.Client{Timeout: 250 * time.Millisecond, Dialer: &net.Dialer{LocalAddr: local("udp", client)}}
			if reply, _, err := asker.Exchange(query, f.recursor.Address); answered(reply, err, "192.0.2.80") {
				n++
			}
		}
		return n
	}
	for i, ahead := range settings {
		client := fmt.Sprintf("127.0.1.%d", i+1)
		began := time.Now()
		n := answers(client)
		if n == 0 {
			t.Errorf("%s ahead: nothing of a burst is let through", ahead)
		}
		c.Set(ahead)
		n += answers(client)
		if took := time.Since(began); n > 6+int(took.Seconds()) {
			t.Errorf("%s ahead: %d were let through in %s", ahead, n, took)
		}
		within(t, "that it may ask again", func() bool { return answers(client) > 0 })
	}

	const fresh = "0102030405060708"
	give := func(cookie string) (rcode int, given string) {
		t.Helper()
		var reply *dns.Msg
		within(t, "a reply to who has a cookie", func() (ok bool) {
			var err error
			reply, err = f.from("127.0.0.2", "udp", "web.example.org", &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
			return err == nil
		})
		for _, o := range reply.IsEdns0().Option {
			if o, ok := o.(*dns.EDNS0_COOKIE); ok {
				given = o.Cookie
			}
		}
		return reply.Rcode, given
	}
	_, first := give(fresh)
	proves := func(cookie string) bool {
		t.Helper()
		for range 30 { // the sixth is over the limit, if not the first: one a second is let through
			if rcode, _ := give(cookie); rcode != dns.RcodeSuccess {
				return false
			}
		}
		return true
	}
	for _, at := range []struct {
		ahead time.Duration
		valid bool
	}{{0, true}, {-4 * time.Minute, true}, {-time.Hour, false}, {55 * time.Minute, true}, {2 * time.Hour, false}, {decade, false}, {0, true}} {
		c.Set(at.ahead)
		if got := proves(first); got != at.valid {
			t.Errorf("a cookie that is given and shown %s later: valid is %v", at.ahead, got)
		}
		_, next := give(first)
		if !strings.HasPrefix(next, fresh) || !proves(next) {
			t.Errorf("%s ahead: the cookie given instead, %s, proves nothing", at.ahead, next)
		}
	}
}
