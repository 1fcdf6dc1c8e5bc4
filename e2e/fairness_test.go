package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// A customer is one of many clients, with an address of its own.
type customer struct {
	conn *net.UDPConn
	seen []time.Duration // how long each answer took
	lost []string        // what was not answered rightly
}

// ask asks once, without a second try.
func (c *customer) ask(name, want string) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	client := dns.Client{Timeout: 5 * time.Second}
	reply, took, err := client.ExchangeWithConn(query, &dns.Conn{Conn: c.conn})
	if !answered(reply, err, want) {
		c.lost = append(c.lost, fmt.Sprintf("%s from %s after %s: %v %v", name, c.conn.LocalAddr(), took, err, reply))
		return
	}
	c.seen = append(c.seen, took)
}

// Of 300 clients one floods, be it with a name that memory has, or with ever new names
// of a server that is dead: the 299 others lose nothing, whether what they ask for is
// in memory or not.
func TestFairness(t *testing.T) {
	need(t, "dnsperf")
	f := newFort(t, "policy: {rate: {per_second: 200, slip: 2, in_flight: 100}}\n")
	hits, misses := f.Dir+"/hits.txt", f.Dir+"/misses.txt"
	writeFile(t, hits, "web.example.org A\n")
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "n%d.dead.example A\n", i)
	}
	writeFile(t, misses, b.String())
	var customers [299]*customer
	for i := range customers {
		at := &net.UDPAddr{IP: net.IPv4(127, 1, byte(i/250), byte(i%250+1))}
		conn, err := net.DialUDP("udp", at, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(f.recursor.Address)))
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		customers[i] = &customer{conn: conn}
	}
	for what, names := range map[string]string{"one name": hits, "names of a dead server": misses} {
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan string, 1)
		go func() {
			out, _ := stack.Run(ctx, "dnsperf", "-a", "127.0.0.2", "-s", "127.0.0.1", "-p", port(f.recursor), "-d", names, "-l", "60", "-Q", "5000", "-q", "20000", "-t", "1")
			over <- out
		}()
		limited := func() float64 { return counted(t, f.recursor, "strata_rate_limited_total") }
		before := limited()
		within(t, "the flood of "+what+" is over its limit", func() bool { return limited() > before })
		rounds(customers[:], what)
		held := limited() - before
		cancel()
		<-over
		if held < 500 {
			t.Errorf("only %v queries of the flood of %s were held back: it was none", held, what)
		}
		var took []time.Duration
		for _, c := range customers {
			took = append(took, c.seen...)
			for _, lost := range c.lost {
				t.Errorf("beside a flood of %s: %s", what, lost)
			}
			c.seen, c.lost = nil, nil
		}
		slices.Sort(took)
		t.Logf("flood of %s: %v of its queries held back; %d answers to 299 others, half of them within %s, 99 of 100 within %s, all within %s",
			what, held, len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	}
}

// rounds has each customer ask five times, half a second apart, for what memory has and for
// what it does not.
func rounds(customers []*customer, what string) {
	under := strings.ReplaceAll(what, " ", "-") + ".apps.example.org"
	var all sync.WaitGroup
	for i, c := range customers {
		all.Go(func() {
			time.Sleep(time.Duration(i) * 500 * time.Millisecond / time.Duration(len(customers))) // not all at once
			for round := range 5 {
				c.ask("web.example.org", "192.0.2.80")
				c.ask(fmt.Sprintf("c%d-%d.%s", i, round, under), "192.0.2.90")
				time.Sleep(500 * time.Millisecond)
			}
		})
	}
	all.Wait()
}
