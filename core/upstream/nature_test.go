package upstream

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// loop makes the owner of the first answer point to itself.
func loop(msg []byte) []byte {
	end := wire.QuestionEnd(msg)
	binary.BigEndian.PutUint16(msg[end:], 0xc000|uint16(end))
	return msg
}

// broken are replies with the right question that cannot be read.
var broken = map[string]func(query []byte) []byte{
	"name in a loop": func(q []byte) []byte { return loop(reply(q, "192.0.2.66", nil)) },
	"data in a loop": func(q []byte) []byte {
		m := reply(q, "192.0.2.66", func(m *dns.Msg) {
			m.Answer = []dns.RR{&dns.CNAME{
				Hdr:    dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60},
				Target: "x.",
			}}
			m.Extra = nil
		})
		at := len(m) - 3 // of the target
		binary.BigEndian.PutUint16(m[at:], 0xc000|uint16(at))
		m[at+2] = 0
		return m
	},
	"cut":              func(q []byte) []byte { m := reply(q, "192.0.2.66", nil); return m[:len(m)-5] },
	"counts too large": func(q []byte) []byte { m := reply(q, "192.0.2.66", nil); m[7] = 200; return m },
	"short address": func(q []byte) []byte {
		m := reply(q, "192.0.2.66", func(m *dns.Msg) { m.Extra = nil })
		binary.BigEndian.PutUint16(m[len(m)-6:], 3)
		return m[:len(m)-1]
	},
	"another name": func(q []byte) []byte {
		return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Answer[0].Header().Name = "example.com." })
	},
	"another class": func(q []byte) []byte {
		return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Answer[0].Header().Class = dns.ClassCHAOS })
	},
	"two OPT records": func(q []byte) []byte {
		return reply(q, "192.0.2.66", func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) })
	},
}

// TestGarbledGoesElsewhere: the other server is asked; alone, the same one over TCP.
func TestGarbledGoesElsewhere(t *testing.T) {
	for name, make := range broken {
		t.Run(name, func(t *testing.T) {
			bad := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) { f.send(make(query), from) }, answersTCP("192.0.2.1"))
			good := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 20*time.Millisecond, nil), nil)
			e := newEngine(t, Options{Shards: 1})
			both := newSet(t, e, bad.Server, good.Server)
			for range 4 {
				wantAddress(t, both, "www.example.com", "192.0.2.1")
			}
			if st := statsOf(t, both, 0); st.Garbled == 0 || st.Garbled != st.Failed {
				t.Errorf("stats %+v", st)
			}
			alone := newSet(t, e, bad.Server)
			before := bad.tcpCount()
			wantAddress(t, alone, "www.example.com", "192.0.2.1")
			if bad.tcpCount() != before+1 {
				t.Error("not asked over TCP")
			}
		})
	}
}

// TestResponseCodesThatAreNone: another server is asked, also where the EDNS record
// holds a part of the code.
func TestResponseCodesThatAreNone(t *testing.T) {
	for _, code := range []int{7, 8, 9, 11, 15, 23, 4095} {
		bad := serve(t, "127.0.0.1", rcode(code), nil)
		good := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 20*time.Millisecond, nil), nil)
		s := newSet(t, newEngine(t, Options{Shards: 1}), bad.Server, good.Server)
		for range 3 {
			wantAddress(t, s, "www.example.com", "192.0.2.1")
		}
	}
}

// TestBadVersionGoesWithoutEDNS: RFC 6891 §6.1.3.
func TestBadVersionGoesWithoutEDNS(t *testing.T) {
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		f.send(reply(query, "192.0.2.1", func(m *dns.Msg) {
			if m.IsEdns0() != nil {
				m.Rcode, m.Answer = dns.RcodeBadVers, nil
			}
		}), from)
	}, nil)
	s := newSet(t, newEngine(t, Options{Shards: 1}), f.Server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	if n := f.udpCount(); n != 3 {
		t.Errorf("asked %d times, want twice and once with EDNS", n)
	}
}

// refers answers with a referral to the root's servers, as lame servers do.
func refers(m *dns.Msg) {
	m.Answer = nil
	m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "a.root-servers.net."}}
}

func TestLameServerIsPassedBy(t *testing.T) {
	lame := serve(t, "127.0.0.1", answersAfter("", 0, refers), nil)
	good := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 20*time.Millisecond, nil), nil)
	e := newEngine(t, Options{Shards: 1})
	s := newSet(t, e, lame.Server, good.Server)
	for range 12 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if st := statsOf(t, s, 0); !st.Down || st.Failed < failureCount {
		t.Errorf("it is asked first again and again: %+v", st)
	}
	// A zone cut is no fault of an authoritative server.
	cut := serve(t, "127.0.0.1", answersAfter("", 0, refers), nil)
	s = newSet(t, e, cut.Server)
	q := question("www.example.com")
	q.RD = false
	for range 2 * failureCount {
		if a, err := ask(t, s, q); err != nil || len(a.Msg) == 0 {
			t.Fatalf("no referral: %v", err)
		}
	}
	if st := statsOf(t, s, 0); st.Down {
		t.Errorf("a server that refers is down: %+v", st)
	}
}

// TestServerThatFoldsNames is told over TCP, and asked with folded names from then on.
func TestServerThatFoldsNames(t *testing.T) {
	folded := func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }
	f := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 0, folded), func(c net.Conn, query []byte) {
		sendTCP(c, reply(query, "192.0.2.1", folded))
	})
	s := newSet(t, newEngine(t, Options{Shards: 1, MixCase: true}), f.Server)
	const name = "a-rather-long-name-with-letters.example.com"
	for range 5 {
		wantAddress(t, s, name, "192.0.2.1")
	}
	if st := statsOf(t, s, 0); st.OtherCase != 1 || f.tcpCount() != 1 || f.udpCount() != 5 {
		t.Errorf("%d in another case, %d asked over TCP, %d over UDP", st.OtherCase, f.tcpCount(), f.udpCount())
	}
}

// TestGuessesWithoutTCP: a flood of guesses doesn't keep us from a server that has no TCP.
func TestGuessesWithoutTCP(t *testing.T) {
	first := true
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		forged := reply(query, "192.0.2.66", nil)
		for i := 0; first && i < floodReplies; i++ {
			forged[1]++
			f.send(forged, from)
		}
		if !first {
			f.send(reply(query, "192.0.2.1", nil), from)
		}
		first = false
	}, nil)
	_ = f.tcp.Close()
	s := newSet(t, newEngine(t, Options{Shards: 1}), f.Server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	if st := statsOf(t, s, 0); st.Floods != 1 || st.OtherID != floodReplies {
		t.Errorf("stats %+v", st)
	}
}

// TestPadding: RFC 8467 §4.1, queries are as long as one of few lengths, and still whole.
func TestPadding(t *testing.T) {
	for n := range 150 {
		q := question(strings.Repeat("a", 1+n%60) + "." + strings.Repeat("b", 1+n/3) + ".example")
		if n%2 == 0 {
			q.Options = wire.AppendOption(nil, 65001, make([]byte, n/4))
		}
		var f flight
		f.fill(q)
		for _, start := range []int{0, 7} {
			msg := f.pad(f.appendQuery(make([]byte, start), 1, 0, true), start)[start:]
			var m dns.Msg
			if err := m.Unpack(msg); err != nil || m.IsEdns0() == nil {
				t.Fatalf("%x: %v", msg, err)
			}
			options := m.IsEdns0().Option
			if _, ok := options[len(options)-1].(*dns.EDNS0_PADDING); !ok || len(msg)%padBlock != 0 || len(msg) > 2*padBlock+len(q.Name)+len(q.Options) {
				t.Fatalf("%d octets with %v", len(msg), options)
			}
		}
	}
}

// FuzzInspect: what is whole for us an independent parser reads, too.
func FuzzInspect(f *testing.F) {
	var asked flight
	asked.fill(question("www.example.com"))
	query := asked.appendQuery(nil, 1, 0, true)
	f.Add(reply(query, "192.0.2.1", nil))
	f.Add(reply(query, "", refers))
	for _, make := range broken {
		f.Add(make(query))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		in := inspect(append(msg, make([]byte, max(0, wire.HeaderLen-len(msg)))...), asked.name(), asked.class)
		if !bytes.Equal(msg, before) {
			t.Fatal("inspecting changed it")
		}
		var m dns.Msg
		if !in.whole || len(msg) < wire.HeaderLen || m.Unpack(msg) != nil {
			return
		}
		if in.answers != (len(m.Answer) > 0) || in.opt != (m.IsEdns0() != nil) || in.rcode != m.Rcode {
			t.Fatalf("%+v of %v", in, &m)
		}
	})
}
