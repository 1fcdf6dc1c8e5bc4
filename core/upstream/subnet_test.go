package upstream

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// askedSubnet is the client subnet of these tests, 198.51.96.0/19.
var askedSubnet = []byte{0, 1, 19, 0, 198, 51, 96}

// withSubnet answers with a client subnet of its own, nil for none.
func withSubnet(address string, data []byte) func(query []byte) []byte {
	return func(query []byte) []byte {
		return reply(query, address, func(m *dns.Msg) {
			opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}}
			if data != nil {
				opt.Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: wire.OptionECS, Data: data}}
			}
			m.Extra = []dns.RR{opt}
		})
	}
}

func subnetQuestion() *Question {
	q := question("www.example.com")
	q.Options = wire.AppendOption(wire.AppendOption(nil, 65001, []byte{1}), wire.OptionECS, askedSubnet)
	return q
}

// Right ones first: what a server may say of a subnet it was asked with.
func TestSubnetsThatAreTaken(t *testing.T) {
	for name, data := range map[string][]byte{
		"none":                         nil,
		"the same":                     {0, 1, 19, 0, 198, 51, 96},
		"another scope":                {0, 1, 19, 24, 198, 51, 96},
		"bits behind the length":       {0, 1, 19, 16, 198, 51, 127},
		"more octets than the length":  {0, 1, 19, 24, 198, 51, 96, 7},
		"the whole address, of a host": {0, 1, 19, 32, 198, 51, 100, 7},
	} {
		t.Run(name, func(t *testing.T) {
			answer := withSubnet("192.0.2.1", data)
			f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) { f.send(answer(query), from) }, nil)
			s := newSet(t, newEngine(t, Options{}), f.Server)
			if _, err := ask(t, s, subnetQuestion()); err != nil {
				t.Fatal(err)
			}
			if st := statsOf(t, s, 0); st.Mismatches != 0 || st.Answered != 1 || f.tcpCount() != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// wrongSubnets are not those of the question (RFC 7871 §7.3).
var wrongSubnets = map[string][]byte{
	"another family":        {0, 2, 19, 0, 198, 51, 96},
	"a shorter source":      {0, 1, 16, 16, 198, 51},
	"a longer source":       {0, 1, 24, 24, 198, 51, 96},
	"another octet":         {0, 1, 19, 19, 198, 50, 96},
	"another bit":           {0, 1, 19, 19, 198, 51, 64},
	"the length's last bit": {0, 1, 19, 19, 198, 51, 96 ^ 32},
	"too few octets":        {0, 1, 19, 0, 198, 51},
	"no address":            {0, 1, 19, 0},
	"half a head":           {0, 1},
	"nothing":               {},
}

// TestIgnoresWrongSubnets sends a reply that was made for others before the right one.
func TestIgnoresWrongSubnets(t *testing.T) {
	for name, data := range wrongSubnets {
		t.Run(name, func(t *testing.T) {
			forged, right := withSubnet("192.0.2.66", data), withSubnet("192.0.2.1", askedSubnet)
			f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
				f.send(forged(query), from)
				f.send(right(query), from)
			}, nil)
			s := newSet(t, newEngine(t, Options{}), f.Server)
			a, err := ask(t, s, subnetQuestion())
			if err != nil || addressOf(t, a.Msg) != "192.0.2.1" {
				t.Fatalf("%v, %x", err, a.Msg)
			}
			// Where the right one comes later than the other is read, it is asked over TCP, too, and
			// then once more: this server has none.
			if st := statsOf(t, s, 0); st.OtherSubnet < 1 || st.Mismatches != st.OtherSubnet || st.Answered < 1 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// A server that answers for another subnet by its own will is asked over TCP, where
// it is told from a forger, and then not believed either.
func TestServerOfAnotherSubnet(t *testing.T) {
	wrong := withSubnet("192.0.2.66", wrongSubnets["another bit"])
	f := serve(t, "127.0.0.1",
		func(f *fake, query []byte, from netip.AddrPort) { f.send(wrong(query), from) },
		func(c net.Conn, query []byte) { sendTCP(c, wrong(query)) })
	s := newSet(t, newEngine(t, Options{Budget: 3 * time.Second}), f.Server)
	began := time.Now()
	a, err := ask(t, s, subnetQuestion())
	if !errors.Is(err, ErrReply) && !errors.Is(err, ErrTimeout) {
		t.Fatalf("%v, %x after %s", err, a.Msg, time.Since(began))
	}
	if st := statsOf(t, s, 0); st.OtherSubnet != 2 || st.Garbled != 1 || f.tcpCount() != 1 {
		t.Fatalf("%+v, %d over TCP", st, f.tcpCount())
	}
}

// What was not sent is not compared.
func TestSubnetUnasked(t *testing.T) {
	answer := withSubnet("192.0.2.1", askedSubnet)
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) { f.send(answer(query), from) }, nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
}
