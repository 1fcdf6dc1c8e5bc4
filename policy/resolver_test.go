package policy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// serve answers from the policy alone on a loopback socket; what passes is
// SERVFAIL. It ends with the test.
func serve(t *testing.T, p *Policy) (addr string) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		var q wire.Query
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			reply := answer(p, &q, buf[:n], from.Addr())
			if _, err := conn.WriteToUDPAddrPort(reply, from); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("write reply: %v", err)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func answer(p *Policy, q *wire.Query, data []byte, client netip.Addr) []byte {
	if o := q.Parse(data); o != wire.Valid {
		return q.Error(data, o)
	}
	v := p.Ask(q, client)
	if v.Action != Pass {
		return p.Reply(v, q, data, q.Limit(false, wire.DefaultUDP))
	}
	var r wire.Reply
	r.Begin(data, q, wire.MinUDP)
	r.SetRcode(wire.RcodeServFail)
	return r.Finish()
}

// A program that asks for both families goes on with A where AAAA is blocked by
// NODATA: Go's own resolver, over a real socket.
func TestResolverGoesOnWithA(t *testing.T) {
	p := compile(t, Config{
		BlockAAAA: []string{"example.com"},
		Search:    []string{"prd.example.com"},
		Data:      []string{"plain.test 60 A 127.0.0.2", "v4.test 60 CNAME plain.test."},
		Synth:     []Synth{{Kind: "ip", Zone: "ip.example.com"}},
	}, Env{})
	addr := serve(t, p)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", addr)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for name, want := range map[string]string{"127-0-0-5.ip.example.com.": "127.0.0.5", "plain.test.": "127.0.0.2"} {
		got, err := resolver.LookupNetIP(ctx, "ip", name)
		if err != nil || len(got) != 1 || got[0].Unmap().String() != want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, want)
		}
	}
	var notFound *net.DNSError
	if _, err := resolver.LookupNetIP(ctx, "ip", "www.google.com.prd.example.com."); !errors.As(err, &notFound) || !notFound.IsNotFound {
		t.Errorf("junk: %v", err)
	}
	names := map[string]uint64{}
	for c := range p.Counts() {
		names[c.Kind.String()] += c.N
	}
	if names["synth-ip"] == 0 || names["junk"] == 0 {
		t.Errorf("counts %v", names)
	}
}

// Many workers ask one policy, each by a tally of its own and all by the common one,
// while it is counted.
func TestAskFromManyWorkers(t *testing.T) {
	p := compile(t, full, fullEnv)
	const workers, queries = 4, 500
	done := make(chan struct{}, workers)
	for range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			var q wire.Query
			q.SetName(wire.MustName("x.example.com"))
			q.Type = wire.TypeAAAA
			tally := p.Tally()
			for range queries {
				p.Ask(&q, local)
				tally.Ask(&q, local)
			}
		}()
	}
	for range workers {
		for range p.Counts() {
		}
		<-done
	}
	for c := range p.Counts() {
		if c.Name == "example.com." && c.N != 2*workers*queries {
			t.Errorf("counted %d", c.N)
		}
	}
}
