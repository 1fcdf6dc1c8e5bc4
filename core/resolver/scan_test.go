package resolver

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestScan reads answers to www.ours. A, and says what is kept of them. What is
// below world. is others' to answer for.
func TestScan(t *testing.T) {
	const (
		sig    = " 60 IN RRSIG CNAME 8 2 60 20300101000000 20200101000000 1 ours. AAAA"
		sigA   = " 60 IN RRSIG A 8 2 60 20300101000000 20200101000000 1 world. AAAA"
		sigD   = " 60 IN RRSIG DNAME 8 1 60 20300101000000 20200101000000 1 ours. AAAA"
		cname  = "www.ours. 60 IN CNAME a.ours."
		denial = "ours. 60 IN SOA ns.ours. h.ours. 1 2 3 4 5"
	)
	for _, tt := range []struct {
		what    string
		records string // answer | authority, lines
		rcode   int
		want    nature
		target  string
		kept    []bool
	}{
		{"data", "www.ours. 60 IN A 192.0.2.1", 0, whole, "", nil},
		{"nothing", "", 0, whole, "", nil},
		{"denial", "|" + denial, 3, whole, "", nil},
		{"denial with servers", "|ours. 60 IN NS ns.ours.\n" + denial, 0, whole, "", nil},
		{"referral", "|ours. 60 IN NS ns.ours.", 0, referral, "", nil},
		{"whole chain", cname + "\na.ours. 60 IN A 192.0.2.1", 0, whole, "", nil},
		{"chain in any order", "b.ours. 60 IN A 192.0.2.1\na.ours. 60 IN CNAME b.ours.\n" + cname, 0, whole, "", nil},
		{"chain to a denial", cname + "|" + denial, 3, whole, "", nil},
		{"chain to no data", cname + "|" + denial, 0, whole, "", nil},
		{"dangling", cname, 0, open, "a.ours.", []bool{true}},
		{"dangling beside another's data", cname + "\nc.ours. 60 IN A 192.0.2.1", 0, open, "a.ours.", []bool{true, false}},
		{"dangling to a referral", cname + "|a.ours. 60 IN NS ns.a.ours.", 0, open, "a.ours.", []bool{true}},
		{"dangling, signed", cname + "\nwww.ours." + sig, 0, open, "a.ours.", []bool{true, true}},
		{"case differs", "WWW.ours. 60 IN CNAME A.ours.\na.OURS. 60 IN A 192.0.2.1", 0, whole, "", nil},
		{"to others", "www.ours. 60 IN CNAME b.world.\nwww.ours." + sig + "\nb.world. 60 IN A 192.0.2.1\nb.world." + sigA, 0, open, "b.world.", []bool{true, true, false, false}},
		{"to others and on", cname + "\na.ours. 60 IN CNAME b.world.\nb.world. 60 IN CNAME c.world.\nb.world." + sig + "\nc.world. 60 IN A 192.0.2.1", 0, open, "b.world.", []bool{true, true, false, false, false}},
		{"to others, denied", "www.ours. 60 IN CNAME b.world.|world. 60 IN SOA ns.world. h.world. 1 2 3 4 5", 3, open, "b.world.", []bool{true}},
		{"by dname", "ours. 60 IN DNAME world.\nours." + sigD + "\nwww.ours. 0 IN CNAME www.world.", 0, open, "www.world.", []bool{true, true, true}},
		{"circle", cname + "\na.ours. 60 IN CNAME www.ours.", 0, circular, "", nil},
		{"to itself", "www.ours. 60 IN CNAME www.ours.", 0, circular, "", nil},
		{"of another name", "x.ours. 60 IN CNAME y.ours.", 0, whole, "", nil},
		{"a failure", "", dns.RcodeServerFailure, whole, "", nil},
	} {
		m := new(dns.Msg).SetRcode(new(dns.Msg).SetQuestion("www.ours.", dns.TypeA), tt.rcode)
		answer, authority, _ := strings.Cut(tt.records, "|")
		m.Answer, m.Ns = records(t, answer), records(t, authority)
		s := scan{msg: pack(t, m), typ: wire.TypeA, apart: func(n []byte) bool { return wire.IsSubdomain(n, wire.MustName("world")) }}
		got := s.read(wire.MustName("www.ours"))
		if got != tt.want || tt.target != "" && wire.NameString(s.target) != tt.target {
			t.Errorf("%s: %d, target %x", tt.what, got, s.target)
			continue
		}
		if got == open && !slices.Equal(s.keeps(), tt.kept) {
			t.Errorf("%s: keeps %v, want %v", tt.what, s.keeps(), tt.kept)
		}
		if got != whole && plain(s.msg) {
			t.Errorf("%s: taken for plain", tt.what)
		}
	}
}

func records(t *testing.T, text string) (all []dns.RR) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return all
}
