package wire

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// FuzzQuery parses anything and answers it: whatever is valid must mean the same
// to miekg/dns, and every reply must be a message that it reads.
func FuzzQuery(f *testing.F) {
	good := query("www.Example.org", dns.TypeA)
	f.Add(good)
	f.Add(query("a.b", dns.TypeAAAA, edns(0, 1232, true)))
	f.Add(query("a.b", dns.TypeAAAA, edns(1, 1232, true)))
	f.Add(edit(good, 12, 0xc0, 12))
	f.Add(append(bytes.Clone(good), 0))
	f.Add(good[:13])
	f.Add(AppendQuery(nil, 1, FlagRD, []byte{0}, TypeNS, ClassIN, &EDNS{UDPSize: 512, Options: AppendOption(nil, OptionCookie, make([]byte, 8))}))
	f.Add(append(edit(make([]byte, 12), 11, 1), 0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8)) // no question
	cookies, client := NewCookies(CookieSecret{1}), netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) > MaxMessage {
			return
		}
		data := make([]byte, len(msg), max(512, len(msg)))
		copy(data, msg)
		var q Query
		o := q.Parse(data)
		if o == Silence {
			return
		}
		state := cookies.Check(&q, client, 1)
		if q.OnlyCookie(data) && o != FormErr {
			t.Fatal("a message without a question is none that is wrong")
		}
		var r Reply
		r.Begin(data, &q, q.Limit(false, 1232))
		if o == Valid {
			var m dns.Msg
			if err := m.Unpack(msg); err == nil {
				sameQuestion(t, &q, &m)
			}
			r.PutRR(Answer, HeaderLen, TypeA, ClassIN, 1, []byte{10, 0, 0, 1})
		}
		r.SetRcode(o.Rcode())
		reply := r.Finish()
		if len(reply) > 512 && len(reply) > q.Limit(false, 1232) {
			t.Fatalf("%d octets", len(reply))
		}
		var m dns.Msg
		if err := m.Unpack(reply); err != nil {
			t.Fatalf("reply %x to %x: %v", reply, msg, err)
		}
		if given := givenCookie(&m); (given != "") != (state == BareCookie || state == ProvenCookie) {
			t.Fatalf("the cookie %q for one that is %s", given, state)
		}
	})
}

// givenCookie is the cookie of a reply.
func givenCookie(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	return ""
}

func sameQuestion(t *testing.T, q *Query, m *dns.Msg) {
	t.Helper()
	var buf [MaxName + 1]byte
	n, err := dns.PackDomainName(m.Question[0].Name, buf[:], 0, nil, false)
	if err != nil {
		return
	}
	Fold(buf[:n])
	if !bytes.Equal(buf[:n], q.Name()) || q.Type != m.Question[0].Qtype || q.ID != m.Id {
		t.Fatalf("%s %d, miekg/dns %v", NameString(q.Name()), q.Type, m.Question[0])
	}
}

// FuzzReader walks anything: no panic, offsets within the message, names read
// as miekg/dns reads them.
func FuzzReader(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("www.example.org.", dns.TypeA)
	m.Response, m.Compress = true, true
	rr, _ := dns.NewRR("www.example.org. 30 IN CNAME web.example.org.")
	m.Answer = []dns.RR{rr}
	b, _ := m.Pack()
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, msg []byte) {
		r, ok := NewReader(msg)
		if !ok {
			return
		}
		var rec Record
		for r.Next(&rec) {
			if rec.Name < HeaderLen || rec.TTLAt+4 > len(msg) || rec.Data > rec.End || rec.End > len(msg) {
				t.Fatalf("%+v in %d octets", rec, len(msg))
			}
			var name [MaxName]byte
			n, next, ok := ReadName(msg, rec.Name, &name)
			if !ok {
				continue
			}
			if NameLen(name[:n]) != n || next > len(msg) {
				t.Fatalf("name %v, next %d", name[:n], next)
			}
			theirs, off, err := dns.UnpackDomainName(msg, rec.Name)
			if err != nil || off != next {
				t.Fatalf("name at %d: ours ends at %d, miekg/dns %q, %d, %v", rec.Name, next, theirs, off, err)
			}
		}
	})
}
