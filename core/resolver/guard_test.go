package resolver

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// guarded is a scene with a rate and with cookies.
func guarded(t testing.TB, rate policy.Rate, c CookieConfig) *scene {
	t.Helper()
	s := play(t, plot{rest: serve(t, soa, "www.example. 300 IN A 192.0.2.1", "ftp.example. 300 IN A 192.0.2.2")})
	s.SetRules(guards(t, rate, c))
	return s
}

func guards(t testing.TB, rate policy.Rate, c CookieConfig) Rules {
	t.Helper()
	rules, err := NewRules(policy.Config{Rate: rate}, policy.Env{})
	if err == nil {
		err = rules.UseCookies(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// cookie asks with a cookie in hexadecimal digits, "" for none, and gives the
// reply's. nil is no reply.
func (s *scene) cookie(name, client, cookie string, stream bool) (m *dns.Msg, back string) {
	s.t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	if cookie != "" {
		q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	}
	return s.cookieOf(s.packet(pack(s.t, q), client, stream))
}

func (s *scene) cookieOf(reply []byte) (m *dns.Msg, back string) {
	s.t.Helper()
	if reply == nil {
		return nil, ""
	}
	m = new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		s.t.Fatalf("%v in %x", err, reply)
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				back = c.Cookie
			}
		}
	}
	return m, back
}

const bare = "0123456789abcdef" // a client cookie

func TestCookies(t *testing.T) {
	s := guarded(t, policy.Rate{PerSecond: 1, Burst: 2}, CookieConfig{Enabled: true})
	const client = "192.0.2.10"
	m, given := s.cookie("www.example.", client, bare, false) // late
	see(t, m, dns.RcodeSuccess, "A 192.0.2.1")
	if len(given) != 48 || !strings.HasPrefix(given, bare) {
		t.Fatalf("given %q", given)
	}
	if _, back := s.cookie("www.example.", client, bare, false); len(back) != 48 { // from memory
		t.Errorf("from memory the cookie %q", back)
	}
	// Over the limit.
	if m, back := s.cookie("www.example.", client, bare, false); m == nil || m.Rcode != dns.RcodeBadCookie || len(back) != 48 || len(m.Answer) != 0 {
		t.Errorf("over the limit with a client's cookie: %v", m)
	}
	if m, _ := s.cookie("www.example.", client, "", false); m != nil {
		t.Errorf("over the limit without a cookie: %v", m)
	}
	for range 5 {
		m, back := s.cookie("www.example.", client, given, false)
		see(t, m, dns.RcodeSuccess, "A 192.0.2.1")
		if back != given {
			t.Errorf("for %s the cookie %s", given, back)
		}
	}
	m, back := s.cookie("ftp.example.", client, given, false) // late
	see(t, m, dns.RcodeSuccess, "A 192.0.2.2")
	if back != given {
		t.Errorf("late the cookie %s for %s", back, given)
	}
	if m, _ := s.cookie("www.example.", client, bare+strings.Repeat("00", 16), false); m == nil || m.Rcode != dns.RcodeBadCookie {
		t.Errorf("with a cookie of nobody's: %v", m)
	}
	// Another's cookie proves nothing of this one's address.
	s.cookie("www.example.", "192.0.2.11", "", false)
	s.cookie("www.example.", "192.0.2.11", "", false)
	if m, _ := s.cookie("www.example.", "192.0.2.11", given, false); m == nil || m.Rcode != dns.RcodeBadCookie {
		t.Errorf("with another's cookie: %v", m)
	}
	// A stream proves it by itself, and is given one for next time.
	m, back = s.cookie("www.example.", client, bare, true)
	see(t, m, dns.RcodeSuccess, "A 192.0.2.1")
	if len(back) != 48 {
		t.Errorf("over a stream the cookie %q", back)
	}
	// Without a question (RFC 7873 §5.4).
	alone := new(dns.Msg).SetEdns0(1232, false)
	alone.IsEdns0().Option = append(alone.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: bare})
	m, back = s.cookieOf(s.packet(pack(t, alone), "192.0.2.13", false))
	if m == nil || m.Rcode != dns.RcodeSuccess || len(m.Question) != 0 || len(back) != 48 {
		t.Errorf("without a question: %v", m)
	}
	alone.IsEdns0().Option = nil
	if m, _ = s.cookieOf(s.packet(pack(t, alone), "192.0.2.13", false)); m == nil || m.Rcode != dns.RcodeFormatError {
		t.Errorf("without a question or a cookie: %v", m)
	}
	for _, bad := range []string{"01", bare + "00"} {
		if m, back := s.cookie("www.example.", "192.0.2.12", bad, false); m == nil || m.Rcode != dns.RcodeFormatError || back != "" {
			t.Errorf("malformed cookie %s: %v", bad, m)
		}
	}
	if s.count("badcookie") != 3 || s.count("rate-limited") != 1 {
		t.Errorf("counted: %d badcookie, %d rate-limited", s.count("badcookie"), s.count("rate-limited"))
	}
}

func TestCookieSecrets(t *testing.T) {
	secret := func(c byte) string { return strings.Repeat(string(c)+"0", 16) }
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret('b')+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := guarded(t, policy.Rate{PerSecond: 1, Burst: 1}, CookieConfig{Enabled: true, Secret: secret('a')})
	get := func(client string) string { _, back := s.cookie("www.example.", client, bare, false); return back }
	proves := func(client, cookie string) bool {
		for range 3 { // over the limit at the second one
			if m, _ := s.cookie("www.example.", client, cookie, false); m.Rcode != dns.RcodeSuccess {
				return false
			}
		}
		return true
	}
	old := get("192.0.2.1")
	s.SetRules(guards(t, policy.Rate{PerSecond: 1, Burst: 1}, CookieConfig{Enabled: true, Secret: file, Previous: secret('a')}))
	if !proves("192.0.2.1", old) {
		t.Error("a cookie by the previous secret is not taken")
	}
	if _, back := s.cookie("www.example.", "192.0.2.1", old, false); back == old {
		t.Error("a cookie by the previous secret is given again")
	} else if s.SetRules(guards(t, policy.Rate{PerSecond: 1, Burst: 1}, CookieConfig{Enabled: true, Secret: secret('b')})); !proves("192.0.2.1", back) {
		t.Error("a cookie by the file's secret is not taken by the same written out")
	}
	if proves("192.0.2.1", old) {
		t.Error("a cookie by the secret before the previous one is taken")
	}
	// What is drawn at random stays over a reload.
	s.SetRules(guards(t, policy.Rate{PerSecond: 1, Burst: 1}, CookieConfig{Enabled: true}))
	drawn := get("192.0.2.2")
	s.SetRules(guards(t, policy.Rate{PerSecond: 2, Burst: 1}, CookieConfig{Enabled: true}))
	if !proves("192.0.2.2", drawn) {
		t.Error("a reload draws another secret")
	}
	s.SetRules(guards(t, policy.Rate{}, CookieConfig{}))
	if _, back := s.cookie("www.example.", "192.0.2.3", bare, false); back != "" {
		t.Errorf("switched off, and given %s", back)
	}
	if m, _ := s.cookie("www.example.", "192.0.2.3", "01", false); m.Rcode != dns.RcodeSuccess {
		t.Errorf("switched off, a malformed cookie matters: %v", m)
	}
}

func TestBadSecrets(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config    CookieConfig
		key, text string
	}{
		{CookieConfig{Secret: "abc"}, "cookies.secret", "3 characters; expected 32 hexadecimal digits"},
		{CookieConfig{Secret: strings.Repeat("x", 32)}, "cookies.secret", "expected 32 hexadecimal digits"},
		{CookieConfig{Secret: "/nonexistent/secret"}, "cookies.secret", "no such file"},
		{CookieConfig{Secret: empty}, "cookies.secret", empty + ": 0 characters"},
		{CookieConfig{Previous: "abc"}, "cookies.previous", "expected 32 hexadecimal digits"},
	} {
		c.config.Enabled = true
		var rules Rules
		err := rules.UseCookies(c.config)
		problems, _ := err.(policy.Problems)
		if len(problems) != 1 || problems[0].Key != c.key || !strings.Contains(problems[0].Err.Error(), c.text) {
			t.Errorf("%+v: %v", c.config, err)
		} else if strings.Contains(err.Error(), "xxx") {
			t.Errorf("the secret is said: %v", err)
		}
	}
}

// A client with too much waiting gets SERVFAIL for more, over datagrams and streams
// alike, while others wait and memory answers; what has been answered leaves room.
func TestInFlight(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream %v", stream), func(t *testing.T) {
			up := serve(t, soa, "www.example. 300 IN A 192.0.2.1", "old.example. 1 IN A 192.0.2.3")
			s := play(t, plot{rest: up, policy: policy.Config{Rate: policy.Rate{InFlight: 5}}})
			const greedy, modest = "192.0.2.10", "192.0.2.11"
			q := query{name: "www.example.", typ: dns.TypeA, client: greedy, stream: stream}
			see(t, s.query(q), dns.RcodeSuccess, "A 192.0.2.1")
			q.name = "old.example."
			see(t, s.query(q), dns.RcodeSuccess, "A 192.0.2.3")
			up.silent.Store(true)
			old := wire.Query{Type: wire.TypeA, Class: wire.ClassIN}
			old.SetName(wireName(t, q.name))
			for began := time.Now(); ; time.Sleep(10 * time.Millisecond) { // until it has expired
				if _, fresh := s.cache.Rcode(&old, wire.TypeA, s.cache.Now()); !fresh {
					break
				} else if time.Since(began) > patience {
					t.Fatal("it does not expire")
				}
			}
			waiting := func(client string, i int) bool {
				_, sent := s.send(pack(t, new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.", i), dns.TypeA)), client, stream)
				return !sent
			}
			for i := range 5 {
				if !waiting(greedy, i) {
					t.Fatalf("question %d does not wait", i)
				}
			}
			q.name = "n6.example."
			if m := s.query(q); m == nil || m.Rcode != dns.RcodeServerFailure || ede(m) != int(wire.EDEOther) {
				t.Errorf("over the limit: %v", m)
			}
			q.name = "www.example."
			see(t, s.query(q), dns.RcodeSuccess, "A 192.0.2.1")
			q.name = "old.example."
			if m := s.query(q); !slices.Equal(data(m), []string{"A 192.0.2.3"}) || ede(m) != int(wire.EDEStaleAnswer) {
				t.Errorf("over the limit, what has expired: %v", m)
			}
			if !waiting(modest, 7) {
				t.Error("another client does not wait")
			}
			if n := s.rules.Load().InFlight.Refused(); n != 2 || s.count("crowded") != 1 {
				t.Errorf("%d and %d counted", n, s.count("crowded"))
			}
			for end := time.Now().Add(patience); s.Waiting() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d still wait", s.Waiting())
				}
			}
			for i := range 5 {
				if !waiting(greedy, 10+i) {
					t.Fatalf("question %d does not wait again", i)
				}
			}
		})
	}
}

// Padding goes to who asked for it within TLS, and to nobody else.
func TestPadding(t *testing.T) {
	s := guarded(t, policy.Rate{}, CookieConfig{Enabled: true})
	plain := s.handler
	padded := func(handler plane.Handler, name string, ask bool) int {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: bare})
		if ask {
			q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_PADDING{})
		}
		s.handler = handler
		c, _ := s.send(pack(t, q), "", true)
		reply := s.reply(c)
		m, back := s.cookieOf(reply)
		see(t, m, dns.RcodeSuccess, data(m)...)
		if len(back) != 48 {
			t.Errorf("the cookie %q", back)
		}
		return len(reply)
	}
	secured := s.Secure(netip.AddrPort{})
	for _, c := range []struct {
		what    string
		handler plane.Handler
		name    string
		ask     bool
		whole   bool
	}{
		{"late", secured, "www.example.", true, true}, {"from memory", secured, "www.example.", true, true},
		{"not asked for", secured, "www.example.", false, false}, {"not within TLS", plain, "www.example.", true, false},
		{"late and not within TLS", plain, "ftp.example.", true, false},
	} {
		if n := padded(c.handler, c.name, c.ask); (n == 468) != c.whole {
			t.Errorf("%s: %d octets", c.what, n)
		}
	}
}

// A cookie costs no allocation.
func TestCookieAllocatesNothing(t *testing.T) {
	s := hot(t, 64, 1_000_000)
	rules := guards(t, policy.Rate{PerSecond: 1_000_000, InFlight: 10}, CookieConfig{Enabled: true})
	s.SetRules(rules)
	_, given := s.cookie("name-000001.host.example.", "127.0.0.1", bare, false)
	full, err := hex.DecodeString(given)
	if err != nil || len(full) != 24 {
		t.Fatalf("given %q", given)
	}
	var queries [][]byte
	for i := range 64 {
		cookie := full
		if i%2 == 0 {
			cookie = bytes.Clone(full[:8])
		}
		queries = append(queries, wire.AppendQuery(nil, uint16(i), wire.FlagRD, wire.MustName(fmt.Sprintf("name-%06d.host.example", i)), wire.TypeA, wire.ClassIN,
			&wire.EDNS{UDPSize: 1232, Options: wire.AppendOption(nil, wire.OptionCookie, cookie)}))
	}
	batch, at := newBatch(), 0
	if n := testing.AllocsPerRun(200, func() {
		at = refill(batch, queries, at)
		s.handler.Answer(batch, s.queue)
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if n := s.counts(wire.ProvenCookie); n == 0 {
		t.Error("no cookie was valid")
	}
}

// counts reads a counter of strata_cookies_total.
func (s *scene) counts(state wire.CookieState) (n uint64) {
	s.eachCount(func(_, _ string, c *counts) { n += c.cookies[state].Load() })
	return n
}
