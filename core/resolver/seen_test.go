package resolver

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// observed has a scene's observers run until the test is over, or stop is called.
func (s *scene) observed(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.observer.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// The query log says of each query where its answer came from.
func TestQueryLogSources(t *testing.T) {
	up := serve(t, soa, "www.example. 1 IN A 192.0.2.1", "alias.example. 300 IN CNAME www.example.")
	file := filepath.Join(t.TempDir(), "queries.log")
	s := play(t, plot{
		rest: up,
		policy: policy.Config{
			BlockAAAA: []string{"example"}, Search: []string{"prd.example.com"}, Static: []string{"lan.example"}, Refused: []string{"no.example"},
			Data: []string{"printer.lan.example 300 A 192.168.1.9"}, Deny: []string{"192.0.2.0/24"},
		},
		look: observe.Config{QueryLog: observe.QueryLog{Sample: 1, File: file}},
	})
	stop := s.observed(t)
	s.ask("www.example.", dns.TypeA)
	s.ask("WWW.example.", dns.TypeA)
	s.ask("none.example.", dns.TypeA)
	s.query(query{name: "www.example.", typ: dns.TypeAAAA, do: true})
	s.ask("www.google.com.prd.example.com.", dns.TypeA)
	s.ask("printer.lan.example.", dns.TypeA)
	s.ask("x.lan.example.", dns.TypeA)
	s.ask("a.no.example.", dns.TypeA)
	s.query(query{name: "www.example.", typ: dns.TypeA, client: "192.0.2.7"})
	s.query(query{name: "never.example.", typ: dns.TypeA, noRD: true, stream: true})
	s.ask("www.example.", dns.TypeAXFR)
	s.packet(make([]byte, 40), "", false)
	s.packet([]byte{1, 2, 3}, "", false)
	up.silent.Store(true)
	for end := time.Now().Add(patience); s.cacheTTL("www.example.") > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never expires")
		}
	}
	s.ask("www.example.", dns.TypeA)   // waits for the client timer
	s.ask("www.example.", dns.TypeA)   // does not
	s.ask("quiet.example.", dns.TypeA) // nothing is known
	stop()
	for name, want := range map[string]string{"www.example": "stale: expired ", "quiet.example": "a failure, asked for anew in "} {
		if found, err := s.lookup(t.Context(), wire.MustName(name), dns.TypeA, 0); err != nil || found.From != "memory" || !strings.Contains(found.Memory.String(), want) {
			t.Errorf("lookup of %s: %v, %+v, %v", name, err, found, found.Memory)
		}
	}

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`time=\S+ level=INFO msg=query client=127.0.0.1:\d+ proto=udp | size=\d+|\d+(\.\d+)?(m|µ)?s$`)
	var got []string
	for line := range strings.Lines(string(text)) {
		got = append(got, strings.TrimSpace(own.ReplaceAllString(strings.TrimSpace(line), "")))
	}
	missing := func(line string) bool { // nothing but order may differ: late lines are in another ring
		for i, g := range got {
			if g == line || strings.HasPrefix(line, "~") && strings.HasSuffix(g, line[1:]) {
				got = append(got[:i:i], got[i+1:]...)
				return false
			}
		}
		return true
	}
	for _, want := range []string{
		"name=www.example. type=A flags=rd from=upstream rcode=NOERROR took=",
		"name=www.example. type=A flags=rd from=hit rcode=NOERROR",
		"name=none.example. type=A flags=rd from=upstream rcode=NXDOMAIN took=",
		"name=www.example. type=AAAA flags=rd,do from=aaaa rcode=NOERROR",
		"name=www.google.com.prd.example.com. type=A flags=rd from=junk rcode=NXDOMAIN",
		"name=printer.lan.example. type=A flags=rd from=data rcode=NOERROR",
		"name=x.lan.example. type=A flags=rd from=static rcode=NXDOMAIN",
		"name=a.no.example. type=A flags=rd from=refused rcode=REFUSED",
		"~name=www.example. type=A flags=rd from=client rcode=REFUSED",
		`~proto=tcp name=never.example. type=A flags="" from=no-recursion rcode=REFUSED`,
		"name=www.example. type=AXFR flags=rd from=refused rcode=REFUSED",
		"from=formerr rcode=FORMERR",
		"from=silence",
		"name=www.example. type=A flags=rd from=stale rcode=NOERROR took=",
		"name=www.example. type=A flags=rd from=stale rcode=NOERROR",
		"name=quiet.example. type=A flags=rd from=failure rcode=SERVFAIL took=",
	} {
		if missing(want) {
			t.Errorf("not logged: %s", want)
		}
	}
	if len(got) > 0 {
		t.Errorf("logged too:\n%s", strings.Join(got, "\n"))
	}
}

// cacheTTL is what is left of an answer's TTL.
func (s *scene) cacheTTL(name string) time.Duration {
	for item := range s.cache.Dump() {
		if wire.NameString(item.Name) == name && item.Type == dns.TypeA {
			return item.TTL
		}
	}
	return 0
}

// What is asked for most, with the answers that come late.
func TestTopOfResolver(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1")
	s := play(t, plot{rest: up, policy: policy.Config{Search: []string{"prd.example.com"}}, look: observe.Config{Top: observe.Top{Sample: 1, Size: 100}}})
	for range 3 {
		s.ask("www.example.", dns.TypeA)
		s.ask("www.example.org.prd.example.com.", dns.TypeA)
		s.query(query{name: "gone.example.", typ: dns.TypeA, client: "192.0.2.1"})
	}
	ctl := s.ctl(t)
	out, err := ctl(false, "top")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"about 9 queries in ", "3  33.3%  www.example.\n", "6  66.7%  127.0.0.1\n", "3  33.3%  192.0.2.1\n",
		"junk\n  3  33.3%  www.example.org.prd.example.com.\n", "missing\n  3  33.3%  gone.example.\n", "3  33.3%  example.com.\n",
	} {
		if !strings.Contains(strings.ReplaceAll(out, "\n\n", "\n"), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	out, err = ctl(true, "top", "clients", "1")
	if want := `"queries":9,"ranks":[{"key":"127.0.0.1","queries":6,"at_least":6}]}]`; err != nil || !strings.Contains(out, want) {
		t.Errorf("%v %s, want %s", err, out, want)
	}
}

// everything looks at each query.
func everything(t testing.TB) observe.Config {
	return observe.Config{
		Top: observe.Top{Sample: 1, Size: 1000}, QueryLog: observe.QueryLog{Sample: 1, File: filepath.Join(t.TempDir(), "queries.log")},
		Dnstap: observe.Dnstap{Socket: filepath.Join(t.TempDir(), "none"), Sample: 1, Messages: []string{"client_query", "client_response"}},
	}
}

// Looking at queries allocates nothing either, be there room for what is seen or not.
func TestSeenAllocatesNothing(t *testing.T) {
	s := hot(t, 64, 1_000_000)
	if err := s.Observe(everything(t)); err != nil {
		t.Fatal(err)
	}
	for what, queries := range map[string][][]byte{
		"hits": packets(64, wire.TypeA), "blocked": packets(64, wire.TypeAAAA), "garbage": {{1, 2, 3}, make([]byte, 40)},
	} {
		batch, at := newBatch(), 0
		if n := testing.AllocsPerRun(300, func() {
			at = refill(batch, queries, at)
			s.handler.Answer(batch, s.queue)
		}); n != 0 {
			t.Errorf("%s: %v allocations a batch", what, n)
		}
	}
}

// BenchmarkSeen is BenchmarkAnswer's hits with somebody looking; the observers run
// beside it, and their work is not in ns/op where they have a processor of their own.
func BenchmarkSeen(b *testing.B) {
	all := everything(b)
	for what, look := range map[string]observe.Config{
		"off": {}, "top 16": {Top: observe.Top{Sample: 16, Size: 1000}}, "log 1000": {QueryLog: observe.QueryLog{Sample: 1000, File: all.QueryLog.File}}, "all 1": all,
	} {
		b.Run(what, func(b *testing.B) {
			s := hot(b, 1000, 0)
			if err := s.Observe(look); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { _ = s.observer.Run(ctx) })
			queries := packets(1000, wire.TypeA)
			batch, at := newBatch(), 0
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(batch) {
				at = refill(batch, queries, at)
				s.handler.Answer(batch, s.queue)
			}
			b.StopTimer()
			cancel()
			running.Wait()
		})
	}
}
