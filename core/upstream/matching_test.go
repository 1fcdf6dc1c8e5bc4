package upstream

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestIgnoresWhatDoesNotMatch sends a forged reply before the right one.
func TestIgnoresWhatDoesNotMatch(t *testing.T) {
	forged := map[string]func(query []byte) []byte{
		"wrong ID": func(q []byte) []byte {
			m := reply(q, "192.0.2.66", nil)
			m[0] ^= 1
			return m
		},
		"wrong name": func(q []byte) []byte {
			return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Question[0].Name = "wwx.example.com." })
		},
		"longer name": func(q []byte) []byte {
			return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Question[0].Name = "a.www.example.com." })
		},
		"wrong type": func(q []byte) []byte {
			return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA })
		},
		"wrong class": func(q []byte) []byte {
			return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
		},
		"no question": func(q []byte) []byte {
			return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Question = nil })
		},
		"no question, SERVFAIL": func(q []byte) []byte { return []byte{q[0], q[1], 0x81, 2, 0, 0, 0, 0, 0, 0, 0, 0} },
		"a query":               func(q []byte) []byte { return q },
		"wrong opcode": func(q []byte) []byte {
			return reply(q, "192.0.2.66", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify })
		},
		"empty":       func([]byte) []byte { return nil },
		"too short":   func(q []byte) []byte { return q[:11] },
		"header only": func(q []byte) []byte { m := reply(q, "192.0.2.66", nil); return m[:12] },
		"noise":       func([]byte) []byte { return []byte(strings.Repeat("\xc0\x0c\xff\x80", 100)) },
	}
	for name, forge := range forged {
		t.Run(name, func(t *testing.T) {
			f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
				f.send(forge(query), from)
				f.send(reply(query, "192.0.2.1", nil), from)
			}, nil)
			s := newSet(t, newEngine(t, Options{}), f.Server)
			wantAddress(t, s, "www.example.com", "192.0.2.1")
			if st := statsOf(t, s, 0); st.Mismatches != 1 || st.Answered != 1 {
				t.Fatalf("stats %+v", st)
			}
			if f.udpCount() != 1 || f.tcpCount() != 0 {
				t.Fatalf("%d queries over UDP, %d over TCP", f.udpCount(), f.tcpCount())
			}
		})
	}
}

// The kernel drops what comes from elsewhere; no count of ours can show it.
func TestIgnoresWrongSource(t *testing.T) {
	stranger, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close() }()
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		_, _ = stranger.WriteToUDPAddrPort(reply(query, "192.0.2.66", nil), from)
		_, _ = other.WriteToUDPAddrPort(reply(query, "192.0.2.67", nil), from)
		f.send(reply(query, "192.0.2.1", nil), from)
	}, nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	for range 20 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
}

func TestMixedCaseIsWantedBack(t *testing.T) {
	const name = "a-rather-long-name-with-letters.example.com"
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		f.send(reply(query, "192.0.2.66", func(m *dns.Msg) {
			m.Question[0].Name = dns.Fqdn(name)
		}), from)
		f.send(reply(query, "192.0.2.1", nil), from)
	}, nil)
	server := f.Server
	server.Mix0x20 = true
	s := newSet(t, newEngine(t, Options{}), server)
	a := wantAddress(t, s, name, "192.0.2.1")
	var m dns.Msg
	if err := m.Unpack(a.Msg); err != nil || m.Question[0].Name != name+"." {
		t.Fatalf("handed over with question %v, %v", m.Question, err)
	}
	// The other case has it ask once more, unless the right one is read along with it.
	if st, asked := statsOf(t, s, 0), f.udpCount(); st.Mismatches < 1 || asked > 2 || int(st.Mismatches) > asked {
		t.Fatalf("%d mismatches, %d asked", st.Mismatches, asked)
	}
	var q dns.Msg
	if err := q.Unpack(f.query(0)); err != nil || q.Question[0].Name == name+"." {
		t.Fatalf("asked for %v, %v: not mixed", q.Question, err)
	}
}

// Without Mix0x20 a server may answer in what case it likes.
func TestOtherCaseIsTaken(t *testing.T) {
	f := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 0, func(m *dns.Msg) {
		m.Question[0].Name = strings.ToUpper(m.Question[0].Name)
	}), nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	a := wantAddress(t, s, "www.example.com", "192.0.2.1")
	if got := string(a.Msg[13:16]); got != "www" {
		t.Fatalf("handed over with %q", got)
	}
}

// TestFloodGoesOverTCP answers with nothing but guesses.
func TestFloodGoesOverTCP(t *testing.T) {
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		forged := reply(query, "192.0.2.66", nil)
		for range floodReplies {
			forged[1]++
			f.send(forged, from)
		}
	}, answersTCP("192.0.2.1"))
	s := newSet(t, newEngine(t, Options{}), f.Server)
	began := time.Now()
	wantAddress(t, s, "www.example.com", "192.0.2.1")
	if took := time.Since(began); took > time.Second {
		t.Fatalf("took %s", took)
	}
	if st := statsOf(t, s, 0); st.Floods != 1 || st.Mismatches != floodReplies {
		t.Fatalf("stats %+v", st)
	}
}

func TestSecondReplyIsLate(t *testing.T) {
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		for range 3 {
			f.send(reply(query, "192.0.2.1", nil), from)
		}
	}, nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	for range 2 * floodReplies {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	eventually(t, "all second replies counted", func() bool { return statsOf(t, s, 0).Late == 4*floodReplies })
	if st := statsOf(t, s, 0); st.Mismatches != 0 || st.Floods != 0 {
		t.Fatalf("stats %+v", st)
	}
}

// TestPortsAndIDsVary looks at what a server sees: enough distinct source ports,
// over the whole range, and IDs.
func TestPortsAndIDsVary(t *testing.T) {
	f := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	e := newEngine(t, Options{Shards: 1})
	s := newSet(t, e, f.Server)
	const queries = 3000
	for range queries {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ports, ids := map[uint16]int{}, map[uint16]bool{}
	for i, from := range f.from {
		ports[from.Port()]++
		ids[uint16(f.asked[i][0])<<8|uint16(f.asked[i][1])] = true
	}
	if len(ports) < poolSize {
		t.Fatalf("%d source ports", len(ports))
	}
	low, high := false, false
	middle := (int(e.ports.low) + int(e.ports.high)) / 2
	for port, n := range ports {
		if n > socketQueries {
			t.Fatalf("port %d used %d times", port, n)
		}
		if port < e.ports.low || port > e.ports.high {
			t.Fatalf("port %d is not in %d…%d", port, e.ports.low, e.ports.high)
		}
		low, high = low || int(port) < middle, high || int(port) > middle
	}
	if !low || !high { // chance 2^-7
		t.Logf("all %d ports in one half", len(ports))
	}
	if len(ids) < queries*9/10 { // by chance 2 % fall together
		t.Fatalf("%d IDs in %d queries", len(ids), queries)
	}
}
