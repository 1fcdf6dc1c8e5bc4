package cache

import (
	"encoding/binary"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// FuzzUpstream has upstream answer anything. Whatever is made of it answers the
// question asked, is a whole message, and survives being understood again.
func FuzzUpstream(f *testing.F) {
	q := Question{Name: wire.MustName("www.example"), Type: dns.TypeA, Class: dns.ClassINET, DO: true}
	for _, records := range [][]string{
		{address},
		{"www.example. 60 IN CNAME a.b.example.", "a.b.example. 60 IN A 192.0.2.1", "a.b.example. 60 IN A 192.0.2.2"},
		{"example. 60 IN DNAME other.", "www.example. 60 IN CNAME www.other.", rrsig("example.", "DNAME")},
		{"AUTHORITY", soa, rrsig("example.", "SOA"), "a.example. 60 IN NSEC z.example. A"},
		{"AUTHORITY", "example. 60 IN NS ns.example.", "ADDITIONAL", "ns.example. 60 IN A 192.0.2.1"},
		{`www.example. 60 IN NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp.example.`, "www.example. 60 IN MX 10 mail.example.", "www.example. 60 IN SRV 1 2 53 srv.example."},
	} {
		f.Add(message(q, 0, records...), dns.TypeA)
		f.Add(message(q, dns.RcodeNameError, records...), dns.TypeA)
		any := q
		any.Type = dns.TypeANY
		f.Add(message(any, 0, records...), dns.TypeANY)
	}
	f.Fuzz(func(t *testing.T, msg []byte, typ uint16) {
		if typ == wire.TypeOPT {
			return
		}
		asked := q
		asked.Type = typ
		if end := wire.QuestionEnd(msg); end > 0 { // most fuzz would end at the wrong name else
			asked.Name = append([]byte(nil), msg[12:end-4]...)
			wire.Fold(asked.Name)
			binary.BigEndian.PutUint16(msg[end-4:], typ)
			binary.BigEndian.PutUint16(msg[end-2:], wire.ClassIN)
		}
		s := open(t, Options{})
		defer s.Close()
		e, err := s.understand(&asked, asked.key(), msg, s.Now())
		if err != nil {
			return
		}
		if stored := e.asked(); stored.key() != e.key || string(stored.Name) != string(asked.Name) {
			t.Fatalf("asked %+v, stored %+v", asked, stored)
		}
		again, err := s.understand(&asked, asked.key(), e.appendMessage(nil), s.Now())
		if err != nil {
			t.Fatalf("what was stored is refused: %v\n%x", err, e.appendMessage(nil))
		}
		if again.answers != e.answers || again.rest != e.rest {
			t.Fatalf("understood again it has %d and %d records, not %d and %d", again.answers, again.rest, e.answers, e.rest)
		}
		e.life = 1000
		s.keep(e, s.Now())
		serve(t, s.Cache, &asked)
		e.stored -= 10_000
		e.hold.Store(1 << 40)
		serve(t, s.Cache, &asked)
	})
}
