package cache

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestRelatedRecordsOnly checks what of an answer is kept.
func TestRelatedRecordsOnly(t *testing.T) {
	for _, tt := range []struct {
		what    string
		typ     uint16
		do      bool
		records []string
		kept    []string // owner, type
	}{
		{"chain", dns.TypeA, false, []string{"www.example. 60 IN CNAME a.other.", "a.other. 60 IN CNAME B.other.", "b.OTHER. 60 IN A 192.0.2.1"},
			[]string{"www.example. CNAME", "a.other. CNAME", "B.other. A"}},
		{"chain out of order", dns.TypeA, false, []string{"b.other. 60 IN A 192.0.2.1", "a.other. 60 IN CNAME b.other.", "www.example. 60 IN CNAME a.other."},
			[]string{"b.other. A", "a.other. CNAME", "www.example. CNAME"}},
		{"a stranger beside", dns.TypeA, false, []string{"www.example. 60 IN A 192.0.2.1", "bank.example. 60 IN A 192.0.2.66"},
			[]string{"www.example. A"}},
		{"another type beside", dns.TypeA, false, []string{"www.example. 60 IN A 192.0.2.1", "www.example. 60 IN TXT x"},
			[]string{"www.example. A"}},
		{"dname", dns.TypeA, false, []string{"example. 60 IN DNAME other.", "www.example. 60 IN CNAME www.other.", "www.other. 60 IN A 192.0.2.1"},
			[]string{"example. DNAME", "www.example. CNAME", "www.other. A"}},
		{"a dname that is not above", dns.TypeA, false, []string{"w.example. 60 IN DNAME other.", "www.example. 60 IN A 192.0.2.1"},
			[]string{"www.example. A"}},
		{"authority and additional", dns.TypeA, false, []string{"www.example. 60 IN A 192.0.2.1", "AUTHORITY", "example. 60 IN NS ns.bank.", "ADDITIONAL", "ns.bank. 60 IN A 192.0.2.66"},
			[]string{"www.example. A"}},
		{"a loop", dns.TypeA, false, []string{"www.example. 60 IN CNAME a.example.", "a.example. 60 IN CNAME www.example."},
			[]string{"www.example. CNAME", "a.example. CNAME"}},
		{"no such type", dns.TypeA, false, []string{"AUTHORITY", soa, "example. 60 IN NS ns.bank.", "other. 60 IN SOA a. b. 1 2 3 4 5"},
			[]string{"example. SOA"}},
		{"signed, but not asked for", dns.TypeA, false, []string{"www.example. 60 IN A 192.0.2.1", rrsig("www.example.", "A")},
			[]string{"www.example. A"}},
		{"signed", dns.TypeA, true, []string{"www.example. 60 IN A 192.0.2.1", rrsig("www.example.", "A"), "AUTHORITY", "example. 60 IN NS ns.example.", rrsig("example.", "NS"), "a.example. 60 IN NSEC z.example. A", rrsig("a.example.", "NSEC")},
			[]string{"www.example. A", "www.example. RRSIG", "a.example. NSEC", "a.example. RRSIG"}},
		{"signed, with another zone's proof", dns.TypeA, true, []string{"www.example. 60 IN A 192.0.2.1", rrsig("www.example.", "A"), "AUTHORITY", "a.bank. 60 IN NSEC z.bank. A", rrsig("a.bank.", "NSEC"), "b.EXAMPLE. 60 IN NSEC c.example. A"},
			[]string{"www.example. A", "www.example. RRSIG", "b.EXAMPLE. NSEC"}},
		{"a signature of another name", dns.TypeA, true, []string{"www.example. 60 IN A 192.0.2.1", rrsig("bank.example.", "A")},
			[]string{"www.example. A"}},
		{"the alias's target, but no alias", dns.TypeA, false, []string{"www.example. 60 IN A 192.0.2.1", "a.other. 60 IN CNAME b.other.", "b.other. 60 IN A 192.0.2.66"},
			[]string{"www.example. A"}},
		{"an alias that leads on, and a stranger", dns.TypeA, false, []string{"www.example. 60 IN CNAME a.other.", "b.other. 60 IN A 192.0.2.66"},
			[]string{"www.example. CNAME"}},
		{"another class", dns.TypeA, false, []string{"www.example. 60 IN A 192.0.2.1", "www.example. 60 CH A 192.0.2.66"},
			[]string{"www.example. A"}},
		{"a SOA below the name and one beside", dns.TypeA, false, []string{"AUTHORITY", "a.www.example. 60 IN SOA a. b. 1 2 3 4 5", "bank. 60 IN SOA a. b. 1 2 3 4 5", "bank. 60 IN NS ns.bank."},
			nil},
		{"denied", dns.TypeA, true, []string{"AUTHORITY", soa, rrsig("example.", "SOA"), "a.example. 60 IN NSEC z.example. A", "a.other. 60 IN NSEC z.other. A"},
			[]string{"example. SOA", "example. RRSIG", "a.example. NSEC"}},
		{"denied behind a wildcard's alias of another zone", dns.TypeA, true, []string{"www.example. 60 IN CNAME www.other.", rrsig("www.example.", "CNAME"), "AUTHORITY",
			"other. 60 IN SOA ns.other. h.other. 1 1 1 1 60", "v.other. 60 IN NSEC x.other. A", "v.example. 60 IN NSEC x.example. A", "v.bank. 60 IN NSEC x.bank. A"},
			[]string{"www.example. CNAME", "www.example. RRSIG", "other. SOA", "v.other. NSEC", "v.example. NSEC"}},
		{"any", dns.TypeANY, false, []string{"www.example. 60 IN HINFO RFC8482 \"\"", "www.example. 60 IN A 192.0.2.1"},
			[]string{"www.example. HINFO", "www.example. A"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			play(t, Options{}, func(s *scene) {
				options := []option{withEDNS}
				if tt.do {
					options = []option{withDO}
				}
				box := s.wait("www.example.", tt.typ, options...)
				s.next().answer(tt.records...)
				var kept []string
				for _, rr := range records(s.reply(box)) {
					kept = append(kept, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
				}
				if !slices.EqualFunc(kept, tt.kept, strings.EqualFold) {
					t.Errorf("kept %q, want %q", kept, tt.kept)
				}
			})
		})
	}
}

func rrsig(owner, covers string) string {
	return owner + " 60 IN RRSIG " + covers + " 13 2 60 20300101000000 20200101000000 1 example. AAAA"
}

func records(m *dns.Msg) (all []dns.RR) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				all = append(all, rr)
			}
		}
	}
	return all
}

// TestRefusedMessages goes through upstream messages that are no answer: the
// asker gets SERVFAIL, nothing of them is kept, and they are counted.
func TestRefusedMessages(t *testing.T) {
	q := Question{Name: wire.MustName("www.example"), Type: dns.TypeA, Class: dns.ClassINET}
	good := message(q, 0, address)
	alter := func(f func(b []byte) []byte) []byte { return f(slices.Clone(good)) }
	rr := func(owner []byte, typ uint16, data ...byte) []byte {
		b := slices.Clone(good[:wire.QuestionEnd(good)])
		b = append(b, owner...)
		b = binary.BigEndian.AppendUint16(b, typ)
		b = append(b, 0, 1, 0, 0, 0, 60)
		b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
		return append(b, data...)
	}
	self := byte(wire.QuestionEnd(good))
	other := q
	other.Name = wire.MustName("www.bank")
	aaaa := q
	aaaa.Type = dns.TypeAAAA
	for what, msg := range map[string][]byte{
		"empty":             {},
		"header only":       good[:12],
		"cut":               good[:len(good)-1],
		"another name":      message(other, 0, "www.bank. 60 IN A 192.0.2.1"),
		"another type":      message(aaaa, 0, "www.example. 60 IN AAAA 2001:db8::1"),
		"a query":           alter(func(b []byte) []byte { b[2] &^= 0x80; return b }),
		"truncated":         alter(func(b []byte) []byte { b[2] |= 2; return b }),
		"another opcode":    alter(func(b []byte) []byte { b[2] |= 0x20; return b }),
		"two questions":     alter(func(b []byte) []byte { b[5] = 2; return b }),
		"more records said": alter(func(b []byte) []byte { b[7] = 2; return b }),
		"unrelated":         message(q, 0, "bank.example. 60 IN A 192.0.2.66"),
		"short address":     rr([]byte{0xc0, 12}, dns.TypeA, 1, 2, 3),
		"long address":      rr([]byte{0xc0, 12}, dns.TypeA, 1, 2, 3, 4, 5),
		"owner loops":       rr([]byte{0xc0, self}, dns.TypeA, 1, 2, 3, 4),
		"owner points on":   rr([]byte{0xc0, self + 4}, dns.TypeA, 1, 2, 3, 4),
		"alias loops":       rr([]byte{0xc0, 12}, dns.TypeCNAME, 0xc0, self+12),
		"alias cut":         rr([]byte{0xc0, 12}, dns.TypeCNAME, 3, 'w', 'w'),
		"alias and more":    rr([]byte{0xc0, 12}, dns.TypeCNAME, 0xc0, 12, 0),
		"OPT as an answer":  rr([]byte{0}, dns.TypeOPT),
	} {
		t.Run(what, func(t *testing.T) {
			play(t, Options{}, func(s *scene) {
				box := s.wait("www.example.", dns.TypeA)
				s.next().done(msg, nil)
				if m := s.reply(box); m.Rcode != dns.RcodeServerFailure || len(records(m)) != 0 {
					t.Errorf("got\n%v", m)
				}
				if f := s.Stats(); f.UpstreamRefused != 1 {
					t.Errorf("%d refused", f.UpstreamRefused)
				}
				for it := range s.Dump() {
					if !it.Failure {
						t.Errorf("kept %+v", it)
					}
				}
			})
		})
	}
}
