package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// withOPT appends an OPT record to a message, with so much in its TTL.
func withOPT(msg []byte, ttl uint32, options ...byte) []byte {
	msg = append(slices.Clone(msg), 0, 0, byte(wire.TypeOPT), 4, 208)
	msg = binary.BigEndian.AppendUint32(msg, ttl)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(options)))
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	return append(msg, options...)
}

// agree fails where addresses takes a message that any reads differently, and reports
// whether it takes it.
func agree(t *testing.T, q *Question, msg []byte) bool {
	t.Helper()
	var quick, slow builder
	quick.reset(q)
	slow.reset(q)
	asCame := slices.Clone(msg)
	life, ok := quick.addresses(msg)
	if !bytes.Equal(msg, asCame) {
		t.Fatalf("the message was written to:\n%x\n%x", asCame, msg)
	}
	if !ok {
		if len(quick.out) != wire.HeaderLen || len(quick.ttls) != 0 || quick.answers != 0 {
			t.Fatalf("left alone, but written: %x", quick.out)
		}
		return false
	}
	o := Options{}
	want, err := slow.any(msg, &o)
	if err != nil {
		t.Fatalf("taken, but any says: %v\n%x", err, msg)
	}
	if life != want || !bytes.Equal(quick.out, slow.out) || !slices.Equal(quick.ttls, slow.ttls) || quick.body != slow.body ||
		quick.answers != slow.answers || quick.rest != slow.rest || quick.rcode != slow.rcode || quick.ede != slow.ede || slow.trimmed != 0 {
		t.Fatalf("life %d, want %d; ttls %v, want %v\n%x\n%x", life, want, quick.ttls, slow.ttls, quick.out, slow.out)
	}
	return true
}

// TestAddresses checks which messages are read in one look, and that it makes of them what
// the long way does.
func TestAddresses(t *testing.T) {
	a := Question{Name: wire.MustName("www.example"), Type: dns.TypeA, Class: dns.ClassINET}
	aaaa, do, txt, root := a, a, a, a
	aaaa.Type, do.DO, txt.Type, root.Name = dns.TypeAAAA, true, dns.TypeTXT, []byte{0}
	one := message(a, 0, address)
	many := []string{"www.example. 60 IN A 192.0.2.1", "www.example. 30 IN A 192.0.2.2", "www.example. 700000 IN A 192.0.2.3"}
	old := message(a, 0, "www.example. 4294967295 IN A 192.0.2.1") // its top bit is set: a week
	otherCase := slices.Clone(one)
	otherCase[wire.HeaderLen+1] = 'W'
	for i, tt := range []struct {
		q    Question
		msg  []byte
		want bool
	}{
		{a, one, true},
		{a, withOPT(one, 0), true},
		{a, withOPT(one, 1<<15), true}, // DO
		{a, message(a, 0, many...), true},
		{a, message(a, 0, "AD", address), true},
		{a, old, true},
		{aaaa, message(aaaa, 0, "www.example. 60 IN AAAA 2001:db8::1", "www.example. 60 IN AAAA 2001:db8::2"), true},
		{do, withOPT(message(do, 0, address), 1<<15), true},
		{root, message(root, 0, ". 60 IN A 192.0.2.1"), false}, // no pointer is shorter
		{a, otherCase, false},
		{a, message(aaaa, 0, "www.example. 60 IN AAAA 2001:db8::1"), false},
		{txt, message(txt, 0, `www.example. 60 IN TXT "a"`), false},
		{a, message(a, 0), false},
		{a, message(a, dns.RcodeNameError, address), false},
		{a, message(a, 0, "www.example. 60 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.1"), false},
		{a, message(a, 0, "a.example. 60 IN A 192.0.2.1"), false},
		{a, message(a, 0, "www.example. 60 CH A 192.0.2.1"), false},
		{a, message(a, 0, address, "AUTHORITY", "example. 60 IN NS ns.example."), false},
		{a, message(a, 0, address, "ADDITIONAL", "ns.example. 60 IN A 192.0.2.1"), false},
		{a, withOPT(withOPT(one, 0), 0), false},
		{a, withOPT(one, 1<<24), false},                                // BADVERS
		{a, withOPT(one, 0, 0, byte(dns.EDNS0EDE), 0, 2, 0, 3), false}, // stale
		{a, append(slices.Clone(one), 0), false},
		{a, one[:len(one)-1], false},
		{a, one[:20], false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if taken := agree(t, &tt.q, tt.msg); taken != tt.want {
				t.Errorf("taken: %v\n%x", taken, tt.msg)
			}
		})
	}
	for bit := range 32 { // of the header: ID, flags
		msg := slices.Clone(one)
		msg[bit/8] ^= 0x80 >> (bit % 8)
		agree(t, &a, msg)
	}
}

// FuzzAddresses compares the one look with the long way.
func FuzzAddresses(f *testing.F) {
	q := Question{Name: wire.MustName("www.example"), Type: dns.TypeA, Class: dns.ClassINET}
	one := message(q, 0, address)
	f.Add(one, dns.TypeA)
	f.Add(withOPT(one, 0), dns.TypeA)
	f.Add(message(q, 0, "www.example. 60 IN A 192.0.2.1", "www.example. 30 IN A 192.0.2.2"), dns.TypeA)
	f.Add(message(q, 0, "www.example. 60 IN AAAA 2001:db8::1"), dns.TypeAAAA)
	f.Fuzz(func(t *testing.T, msg []byte, typ uint16) {
		asked := q
		asked.Type = typ
		if end := wire.QuestionEnd(msg); end > 0 { // most fuzz would end at the wrong name else
			asked.Name = slices.Clone(msg[wire.HeaderLen : end-4])
			wire.Fold(asked.Name)
			binary.BigEndian.PutUint16(msg[end-4:], typ)
			binary.BigEndian.PutUint16(msg[end-2:], wire.ClassIN)
		}
		agree(t, &asked, msg)
	})
}
