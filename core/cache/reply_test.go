package cache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestReplyKeepsWhatIsTheAskers checks header and question of hits.
func TestReplyKeepsWhatIsTheAskers(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("www.example.", dns.TypeA)
		s.next().answer("AD", address)
		if m := s.reply(box); m.AuthenticatedData {
			t.Error("late: AD for an asker who knows nothing of it")
		}
		for _, tt := range []struct {
			what    string
			options []option
			ad, rd  bool
		}{
			{"plain", nil, false, true},
			{"AD", []option{withAD}, true, true},
			{"no recursion desired", []option{withoutRD}, false, false},
		} {
			q := newQuery(t, "wWw.ExAmPlE.", dns.TypeA, tt.options...)
			id := q.ID
			b, _ := s.Answer(&q.Query, q.data, 512, s.Now())
			m := unpack(t, b)
			switch {
			case m.Id != id, m.Question[0].Name != "wWw.ExAmPlE.", !m.Response, !m.RecursionAvailable, m.Authoritative, m.Truncated, m.CheckingDisabled:
				t.Errorf("%s:\n%v", tt.what, m)
			case m.AuthenticatedData != tt.ad, m.RecursionDesired != tt.rd:
				t.Errorf("%s: AD %v, RD %v", tt.what, m.AuthenticatedData, m.RecursionDesired)
			case m.IsEdns0() != nil:
				t.Errorf("%s: OPT record in a reply to a query without", tt.what)
			case m.Answer[0].Header().Name != "wWw.ExAmPlE.":
				t.Errorf("%s: owner %s", tt.what, m.Answer[0].Header().Name)
			}
		}
		for _, options := range [][]option{{withDO}, {withCD}} {
			if _, state := s.ask("www.example.", dns.TypeA, options...); state != Miss {
				t.Errorf("a question with other marks: %v", state)
			}
		}
		if m, _ := s.ask("www.example.", dns.TypeA, withEDNS); m.IsEdns0() == nil || m.IsEdns0().Do() {
			t.Errorf("EDNS:\n%v", m)
		}
		box = s.wait("www.example.", dns.TypeA, withDO, withCD)
		s.next().answer("AD", address)
		if m := s.reply(box); !m.AuthenticatedData || !m.CheckingDisabled || !m.IsEdns0().Do() {
			t.Errorf("late, DO and CD:\n%v", m)
		}
	})
}

// TestTruncation checks that what does not fit goes out empty with TC, at once
// and late, and whole where there is room.
func TestTruncation(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var rrs []string
		for i := range 40 {
			rrs = append(rrs, fmt.Sprintf("www.example. 60 IN A 192.0.2.%d", i))
		}
		box := s.wait("www.example.", dns.TypeA)
		s.next().answer(rrs...)
		if m := s.reply(box); !m.Truncated || len(m.Answer) != 0 {
			t.Errorf("late, 512 octets:\n%v", m)
		}
		if m, _ := s.ask("www.example.", dns.TypeA); !m.Truncated || len(m.Answer) != 0 {
			t.Errorf("512 octets:\n%v", m)
		}
		if m, _ := s.ask("www.example.", dns.TypeA, withEDNS); m.Truncated || len(m.Answer) != 40 {
			t.Errorf("1232 octets:\n%v", m)
		}
	})
}

// TestRotation checks that each address gets its turn at the front, that none
// is lost, and that the alias before them stays there.
func TestRotation(t *testing.T) {
	for _, tt := range []struct {
		typ     uint16
		records []string
		lead    int
	}{
		{dns.TypeA, []string{"a.example. 60 IN A 192.0.2.1", "a.example. 60 IN A 192.0.2.2", "a.example. 60 IN A 192.0.2.3"}, 0},
		{dns.TypeA, []string{"a.example. 60 IN CNAME b.other.", "b.other. 60 IN A 192.0.2.1", "b.other. 60 IN A 192.0.2.2"}, 1},
		{dns.TypeAAAA, []string{"a.example. 60 IN AAAA 2001:db8::1", "a.example. 60 IN AAAA 2001:db8::2"}, 0},
	} {
		play(t, Options{}, func(s *scene) {
			s.fill("a.example.", tt.typ, tt.records...)
			front := map[string]int{}
			for range 200 {
				m, _ := s.ask("a.example.", tt.typ)
				var got []string
				for _, rr := range m.Answer {
					got = append(got, strings.ReplaceAll(rr.String(), "\t", " "))
				}
				front[got[tt.lead]]++
				slices.Sort(got)
				want := slices.Clone(tt.records)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			if len(front) != len(tt.records)-tt.lead {
				t.Errorf("in front: %v", front)
			}
		})
	}
}

// TestEveryTypeSurvives stores records of many types, compressed where upstream
// may, and compares what comes back.
func TestEveryTypeSurvives(t *testing.T) {
	for typ, data := range map[string]string{
		"NS": "ns1.example.", "CNAME": "a.b.example.", "PTR": "Host.Example.", "DNAME": "other.example.",
		"SOA": "ns.example. h.example. 1 2 3 4 5", "MX": "10 mail.example.", "SRV": "1 2 53 srv.example.",
		"TXT": `"v=spf1" "example"`, "RP": "a.example. b.example.", "AFSDB": "1 afs.example.", "KX": "1 kx.example.",
		"NAPTR": `1 2 "s" "SIP+D2U" "" _sip._udp.example.`, "CAA": `0 issue "ca.example"`, "MINFO": "a.example. b.example.",
		"HTTPS": `1 . alpn="h2" ipv4hint="192.0.2.1"`, "SVCB": "1 svc.example. port=53", "HINFO": `"a" "b"`,
		"TLSA": "3 1 1 00112233", "DS": "1 13 2 0011", "DNSKEY": "257 3 13 AAAA", "AAAA": "2001:db8::1",
		"NSEC": "z.example. A RRSIG", "RRSIG": "A 13 2 60 20300101000000 20200101000000 1 example. AAAA", "LOC": "52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m",
	} {
		t.Run(typ, func(t *testing.T) {
			play(t, Options{}, func(s *scene) {
				rr, err := dns.NewRR("www.example. 60 IN " + typ + " " + data)
				if err != nil {
					t.Fatal(err)
				}
				box := s.wait("www.example.", dns.StringToType[typ], withEDNS)
				call := s.next()
				msg := message(call.Question, 0, rr.String())
				call.done(msg, nil)
				b := <-box
				m := unpack(t, b)
				if len(m.Answer) != 1 || m.Answer[0].String() != rr.String() {
					t.Fatalf("got %v, want %v", m.Answer, rr)
				}
				if len(b) > len(msg)+11+8 {
					t.Errorf("upstream's %d octets became %d", len(msg), len(b))
				}
			})
		})
	}
}

// TestCompression checks that rewriting does not make a message grow.
func TestCompression(t *testing.T) {
	q := Question{Name: wire.MustName("_ldap._tcp.dc.example.com"), Type: dns.TypeMX, Class: dns.ClassINET}
	var rrs []string
	for i := range 30 {
		rrs = append(rrs, fmt.Sprintf("_ldap._tcp.dc.example.com. 60 IN MX %d dc%d.site%d.example.com.", i, i, i%3))
	}
	msg := message(q, 0, rrs...)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		defer s.Close()
		e, err := s.understand(&q, q.key(), msg, s.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := e.appendMessage(nil); len(got) > len(msg) {
			t.Errorf("%d octets became %d", len(msg), len(got))
		}
	})
}

func TestRcode(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("no.example.", dns.TypeA)
		s.next().nxdomain("AUTHORITY", soa)
		s.reply(box)
		q := newQuery(t, "no.example.", dns.TypeAAAA)
		if rcode, ok := s.Rcode(&q.Query, dns.TypeA, s.Now()); !ok || rcode != dns.RcodeNameError {
			t.Errorf("%d, %v", rcode, ok)
		}
		time.Sleep(301 * time.Second)
		if _, ok := s.Rcode(&q.Query, dns.TypeA, s.Now()); ok {
			t.Error("known although expired")
		}
	})
}

func TestFlush(t *testing.T) {
	for _, tt := range []struct {
		what string
		Match
		left string
	}{
		{"all", Match{}, ""},
		{"name", Match{Name: wire.MustName("a.example")}, "b.example. A|b.example. AAAA|c.a.example. A"},
		{"under", Match{Under: wire.MustName("a.example")}, "b.example. A|b.example. AAAA"},
		{"type", Match{Type: dns.TypeAAAA}, "a.example. A|b.example. A|c.a.example. A"},
		{"name and type", Match{Name: wire.MustName("b.example"), Type: dns.TypeA}, "a.example. A|b.example. AAAA|c.a.example. A"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			play(t, Options{}, func(s *scene) {
				for _, name := range []string{"a.example.", "b.example.", "c.a.example."} {
					s.fill(name, dns.TypeA, name+" 60 IN A 192.0.2.1")
				}
				s.fill("b.example.", dns.TypeAAAA, "b.example. 60 IN AAAA 2001:db8::1")
				n := s.Flush(tt.Match)
				var left []string
				for it := range s.Dump() {
					left = append(left, wire.NameString(it.Name)+" "+dns.TypeToString[it.Type])
				}
				slices.Sort(left)
				if got := strings.Join(left, "|"); got != tt.left || n != 4-len(left) {
					t.Errorf("%d flushed, left %q; want %q", n, got, tt.left)
				}
			})
		})
	}
}

// TestFlushOutrunsAFlight checks that what was asked for before a flush is not
// stored behind it.
func TestFlushOutrunsAFlight(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("www.example.", dns.TypeA)
		call := s.next()
		s.Flush(Match{})
		call.answer(address)
		s.reply(box)
		if _, state := s.ask("www.example.", dns.TypeA); state != Miss {
			t.Errorf("stored: %v", state)
		}
	})
}

func TestDump(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		time.Sleep(10 * time.Second)
		for it := range s.Dump() {
			m := unpack(t, it.Message)
			if it.TTL != 50*time.Second || it.Stored != 10*time.Second || m.Answer[0].String() != "www.example.\t60\tIN\tA\t192.0.2.1" {
				t.Errorf("%+v\n%v", it, m)
			}
		}
	})
}

func TestSweep(t *testing.T) {
	play(t, Options{StaleFor: -1}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		time.Sleep(3 * time.Minute)
		if f := s.Stats(); f.Entries != 0 || s.index.bytes.Load() != 0 {
			t.Errorf("%d entries of %d bytes left", f.Entries, s.index.bytes.Load())
		}
	})
}
