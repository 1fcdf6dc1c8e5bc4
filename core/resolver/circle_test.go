package resolver

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// A program on the host of a server asks for what is in the air: the server is
// suspected, once in a while, and nobody is refused as the canary does not come back.
func TestCircleSuspected(t *testing.T) {
	var mu sync.Mutex
	var names []string
	release := make(chan struct{})
	defer close(release)
	up := serveBy(t, func(q *dns.Msg) *dns.Msg {
		name := q.Question[0].Name
		mu.Lock()
		names = append(names, name)
		mu.Unlock()
		if strings.HasPrefix(name, "slow") {
			<-release
		}
		return nil
	}, "example. 60 SOA . . 1 1 1 1 60", "slow1.example. 60 A 192.0.2.1", "slow2.example. 60 A 192.0.2.2")
	s := play(t, plot{rest: up})
	canaries := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			if dns.CountLabel(name) == 3 && strings.HasSuffix(name, ".slow1.example.") {
				n++
			}
		}
		return n
	}
	ask := func(name, client string) *dns.Msg {
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		c, _ := s.send(pack(t, m), client, false)
		t.Cleanup(func() { s.reply(c) })
		return m
	}
	ask("slow1.example.", "192.0.2.7") // opens the flight; not a server's address
	ask("slow1.example.", "192.0.2.8")
	if n := s.count("loop"); n != 0 || canaries() != 0 {
		t.Fatalf("%d refused, %d canaries for strangers", n, canaries())
	}
	time.Sleep(suspectAfter + 50*time.Millisecond) // until when nobody is suspected
	for range 3 {
		ask("slow1.example.", "127.0.0.1")
	}
	ask("slow2.example.", "127.0.0.1")
	ask("slow2.example.", "127.0.0.1")
	deadline := time.Now().Add(patience)
	for canaries() == 0 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if n := s.count("loop"); n != 0 || canaries() != 1 {
		t.Errorf("%d refused, %d canaries", n, canaries())
	}
}

// The canary that comes back proves the circle: what is in the air is refused to its
// server for a while, and nothing else.
func TestCircleProven(t *testing.T) {
	var c circles
	server, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	name := wire.MustName("a.example")
	if refuse, canary := c.comes(server, name, suspectAfter-1); refuse || canary != nil {
		t.Errorf("at once: %v %q", refuse, canary)
	}
	refuse, canary := c.comes(server, name, time.Second)
	if refuse || !wire.IsSubdomain(canary, name) || wire.NameLen(canary) != len(canary) {
		t.Fatalf("first: %v %q", refuse, canary)
	}
	if refuse, again := c.comes(server, name, time.Second); refuse || again != nil {
		t.Errorf("again: %v %q", refuse, again)
	}
	if refuse, _ := c.comes(server, canary, -1); !refuse {
		t.Error("the canary is let in")
	}
	for _, tt := range []struct {
		from  netip.Addr
		aloft time.Duration
		want  bool
	}{{server, 0, true}, {server, -1, false}, {other, time.Second, false}} {
		if refuse, _ := c.comes(tt.from, name, tt.aloft); refuse != tt.want {
			t.Errorf("%s, in the air for %v: %v", tt.from, tt.aloft, refuse)
		}
	}
	if long := wire.MustName(strings.Repeat("a123456789.", 22)); newCanary(long) != nil {
		t.Error("a name without room has a canary")
	}
}
