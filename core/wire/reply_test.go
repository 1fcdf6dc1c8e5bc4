package wire

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"
)

// begin parses a query and begins its reply.
func begin(t *testing.T, msg []byte, limit int) (*Query, *Reply) {
	t.Helper()
	q, r := new(Query), new(Reply)
	data := make([]byte, len(msg), 65535)
	copy(data, msg)
	if o := q.Parse(data); o != Valid {
		t.Fatal(o)
	}
	r.Begin(data, q, q.Limit(false, limit))
	return q, r
}

func unpack(t *testing.T, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return m
}

func TestReply(t *testing.T) {
	_, r := begin(t, query("WwW.example.org", dns.TypeA, edns(0, 1232, true)), 1232)
	r.SetFlags(FlagAA)
	if !r.PutRR(Answer, HeaderLen, TypeA, ClassIN, 60, []byte{10, 0, 0, 1}) {
		t.Fatal("no room")
	}
	soa := []byte{0, 6, 0, 1, 0, 0, 0, 5, 0, 22, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5}
	if !r.Put(Authority, HeaderLen+4, soa) {
		t.Fatal("no room")
	}
	r.SetEDE(EDEStaleAnswer, "old")
	m := unpack(t, r.Finish())
	if m.Id != 0x1234 || !m.Response || !m.Authoritative || !m.RecursionDesired || m.Truncated {
		t.Errorf("header %v", m.MsgHdr)
	}
	if m.Question[0].Name != "WwW.example.org." {
		t.Errorf("the asker's case: %s", m.Question[0].Name)
	}
	if len(m.Answer) != 1 || m.Answer[0].String() != "WwW.example.org.\t60\tIN\tA\t10.0.0.1" {
		t.Errorf("answer %v", m.Answer)
	}
	if len(m.Ns) != 1 || m.Ns[0].Header().Name != "example.org." {
		t.Errorf("authority %v", m.Ns)
	}
	o := m.IsEdns0()
	if o == nil || !o.Do() || o.UDPSize() != DefaultUDP || len(o.Option) != 1 {
		t.Fatalf("OPT %v", o)
	}
	if e := o.Option[0].(*dns.EDNS0_EDE); e.InfoCode != 3 || e.ExtraText != "old" {
		t.Errorf("EDE %v", e)
	}
}

func TestReplyWithoutEDNS(t *testing.T) {
	_, r := begin(t, query("a", dns.TypeA), 1232)
	r.SetEDE(EDEBlocked, "never shown")
	r.SetRcode(RcodeNXDomain)
	if m := unpack(t, r.Finish()); m.IsEdns0() != nil || m.Rcode != dns.RcodeNameError {
		t.Errorf("%v", m)
	}
}

func TestReplyLimit(t *testing.T) {
	q, r := begin(t, query("a", dns.TypeA, edns(0, 512, false)), 1232)
	n := 0
	for r.PutRR(Answer, HeaderLen, TypeA, ClassIN, 60, []byte{10, 0, 0, 1}) {
		n++
	}
	b := r.Finish()
	if len(b) > 512 || len(b) <= 512-16 || n != (512-19-11)/16 {
		t.Errorf("%d records in %d octets", n, len(b))
	}
	r.Begin(b, q, 512)
	r.Truncate(q)
	if m := unpack(t, r.Finish()); !m.Truncated || len(m.Answer) != 0 || m.IsEdns0() == nil {
		t.Errorf("%v", m)
	}
}

func TestReplyRollback(t *testing.T) {
	_, r := begin(t, query("a", dns.TypeA), 512)
	mark := r.Mark()
	r.PutRR(Answer, HeaderLen, TypeA, ClassIN, 60, []byte{10, 0, 0, 1})
	r.Rollback(mark)
	if m := unpack(t, r.Finish()); len(m.Answer) != 0 {
		t.Errorf("%v", m)
	}
}

// A pointer has 14 bits: an owner that stands further back is written in full.
func TestReplyFarOwner(t *testing.T) {
	_, r := begin(t, query("a.example", dns.TypeTXT), 512)
	r.limit = 65535
	big := append([]byte{0, 16, 0, 1, 0, 0, 0, 1, 0x40, 0}, make([]byte, 0x4000)...)
	for i := 10; i < len(big); i += 128 {
		big[i] = 127
	}
	if !r.Put(Answer, HeaderLen, big) {
		t.Fatal("no room")
	}
	at := r.Len() + 12
	name := MustName("target.example")
	r.PutRR(Answer, HeaderLen, TypeCNAME, ClassIN, 1, name)
	if !r.Put(Answer, at, []byte{0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, 1}) {
		t.Fatal("no room")
	}
	b := r.Finish()
	rd, ok := NewReader(b)
	var rec Record
	for ok && rd.Next(&rec) {
	}
	var owner [MaxName]byte
	n, _, ok := ReadName(b, rec.Name, &owner)
	if !ok || !bytes.Equal(owner[:n], name) || rec.Type != TypeA {
		t.Errorf("owner %v of type %d", owner[:n], rec.Type)
	}
}

// TestReplyUnder writes an owner that stands nowhere yet, above a name that does: near,
// by a pointer, and beyond a pointer's reach, in full; and not where there is no room.
func TestReplyUnder(t *testing.T) {
	q, r := begin(t, AppendQuery(nil, 1, 0, MustName("zone.example"), TypeTXT, ClassIN, nil), MaxMessage)
	r.limit = MaxMessage
	nsec := []byte{0, byte(TypeNSEC), 0, byte(ClassIN), 0, 0, 0, 60, 0, 3, 1, 'x', 0}
	labels := []byte("\x03abc\x01d")
	if !r.PutUnder(Authority, labels, HeaderLen, nsec) {
		t.Fatal("no room")
	}
	if near := r.Len() - q.End; near != len(labels)+2+len(nsec) {
		t.Errorf("%d octets with a pointer", near)
	}
	for r.Len() < 0x4000 {
		r.PutRR(Authority, HeaderLen, TypeTXT, ClassIN, 60, append([]byte{200}, bytes.Repeat([]byte{'x'}, 200)...))
	}
	far := r.Len() + 12
	r.PutRR(Authority, HeaderLen, TypeCNAME, ClassIN, 60, MustName("far.example"))
	if !r.PutUnder(Authority, labels, far, nsec) {
		t.Fatal("no room")
	}
	full := r.Len()
	r.limit = full + 5
	if r.PutUnder(Authority, labels, HeaderLen, nsec) || r.Len() != full {
		t.Error("written beyond the limit")
	}
	m := unpack(t, r.Finish())
	first, last := m.Ns[0].Header().Name, m.Ns[len(m.Ns)-1].Header().Name
	if first != "abc.d.zone.example." || last != "abc.d.far.example." {
		t.Errorf("owners %s, %s", first, last)
	}
}

func TestReader(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("www.example.org.", dns.TypeA)
	m.Response, m.Compress = true, true
	for _, s := range []string{"www.example.org. 30 IN CNAME web.example.org.", "web.example.org. 60 IN A 10.0.0.1"} {
		rr, _ := dns.NewRR(s)
		m.Answer = append(m.Answer, rr)
	}
	soa, _ := dns.NewRR("example.org. 90 IN SOA ns.example.org. h.example.org. 1 2 3 4 5")
	m.Ns = []dns.RR{soa}
	m.SetEdns0(1232, false)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, ok := NewReader(b)
	if !ok {
		t.Fatal("no reader")
	}
	want := []Record{{Section: Answer, Type: TypeCNAME, TTL: 30}, {Section: Answer, Type: TypeA, TTL: 60}, {Section: Authority, Type: TypeSOA, TTL: 90}, {Section: Additional, Type: TypeOPT}}
	var rec Record
	for _, w := range want {
		if !r.Next(&rec) || rec.Section != w.Section || rec.Type != w.Type || rec.TTL != w.TTL {
			t.Fatalf("got %+v, want %+v", rec, w)
		}
	}
	if r.Next(&rec) || r.Bad() || r.Offset() != len(b) {
		t.Error("more behind the last record")
	}
	r, _ = NewReader(b[:len(b)-1])
	for r.Next(&rec) {
	}
	if !r.Bad() {
		t.Error("a cut message reads as whole")
	}
}

func TestReadName(t *testing.T) {
	head := make([]byte, 12)
	for _, c := range []struct {
		what string
		body string
		off  int
		want string
		next int
		ok   bool
	}{
		{"plain", "\x01a\x01b\x00", 0, "\x01a\x01b\x00", 5, true},
		{"pointer back", "\x01b\x00\x01a\xc0\x0c", 3, "\x01a\x01b\x00", 7, true},
		{"pointer to itself", "\xc0\x0c", 0, "", 0, false},
		{"pointer forward", "\xc0\x0e\x00", 0, "", 0, false},
		{"two that point at each other", "\xc0\x0e\xc0\x0c", 2, "", 0, false},
		{"pointer into the header", "\xc0\x00", 0, "", 0, false},
		{"cut pointer", "\xc0", 0, "", 0, false},
		{"cut label", "\x05ab", 0, "", 0, false},
		{"label type 10", "\x80a\x00", 0, "", 0, false},
	} {
		msg := append(bytes.Clone(head), c.body...)
		var dst [MaxName]byte
		n, next, ok := ReadName(msg, 12+c.off, &dst)
		if ok != c.ok || string(dst[:n]) != c.want || ok && next != 12+c.next {
			t.Errorf("%s: %q, next %d, %v", c.what, dst[:n], next-12, ok)
		}
	}
}

func TestAppendQuery(t *testing.T) {
	name := MustName("www.example.org")
	opts := AppendOption(nil, OptionECS, []byte{0, 1, 24, 0, 198, 51, 100})
	b := AppendQuery(nil, 7, FlagRD|FlagCD, name, TypeAAAA, ClassIN, &EDNS{UDPSize: 1232, DO: true, Options: opts})
	m := unpack(t, b)
	if m.Id != 7 || !m.RecursionDesired || !m.CheckingDisabled || m.Question[0].Name != "www.example.org." || m.Question[0].Qtype != dns.TypeAAAA {
		t.Errorf("%v", m)
	}
	if o := m.IsEdns0(); o == nil || !o.Do() || len(o.Option) != 1 || o.Option[0].(*dns.EDNS0_SUBNET).SourceNetmask != 24 {
		t.Errorf("OPT %v", m.IsEdns0())
	}
	if m := unpack(t, AppendQuery(nil, 7, 0, name, TypeA, ClassIN, nil)); m.IsEdns0() != nil {
		t.Error("OPT that was not asked for")
	}
}
