package zone

import (
	"testing"

	"github.com/miekg/dns"
)

// A table in front of another: names, aliases across, and addresses in the additional
// section.
func TestBehind(t *testing.T) {
	const head = "$TTL 60\n@ SOA ns h 1 2 3 4 60\n@ NS ns\n"
	all := loaded(t,
		"test", head+"ns A 10.9.0.1\nw A 10.0.0.1\nonly A 10.0.0.9\n",
		"other", head+"ns A 10.9.0.2\nx A 10.0.0.2\nto CNAME w.test.\nmail MX 1 w.test.\nlost MX 1 only.test.\nhost MX 1 X.other.\n")
	some := loaded(t, "test", head+"ns A 10.9.0.3\nw A 10.0.0.3\nout CNAME x.other.\nround CNAME to.other.\nmail MX 1 x.other.\nsrv SRV 0 0 1 W.test.\n")
	behind, r := all.NewReader(), some.NewReader()
	defer behind.Close()
	defer r.Close()
	r.Before(behind)
	behind.Enter()
	defer behind.Leave()
	for _, row := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"w.test.", dns.TypeA, "NOERROR aa | w.test. 60 A 10.0.0.3"},
		{"only.test.", dns.TypeA, "NXDOMAIN aa |  | test. 60 SOA ns.test. h.test. 1 2 3 4 60"},
		{"x.other.", dns.TypeA, "NOERROR aa | x.other. 60 A 10.0.0.2"},
		{"y.other.", dns.TypeA, "NXDOMAIN aa |  | other. 60 SOA ns.other. h.other. 1 2 3 4 60"},
		{"x.elsewhere.", dns.TypeA, "REFUSED"},
		{"out.test.", dns.TypeA, "NOERROR aa | out.test. 60 CNAME x.other., x.other. 60 A 10.0.0.2"},
		{"to.other.", dns.TypeA, "NOERROR aa | to.other. 60 CNAME w.test., w.test. 60 A 10.0.0.3"},
		{"round.test.", dns.TypeA, "NOERROR aa | round.test. 60 CNAME to.other., to.other. 60 CNAME w.test., w.test. 60 A 10.0.0.3"},
		{"mail.test.", dns.TypeMX, "NOERROR aa | mail.test. 60 MX 1 x.other. |  | x.other. 60 A 10.0.0.2"},
		{"mail.other.", dns.TypeMX, "NOERROR aa | mail.other. 60 MX 1 w.test. |  | w.test. 60 A 10.0.0.3"},
		{"lost.other.", dns.TypeMX, "NOERROR aa | lost.other. 60 MX 1 only.test."},
		{"host.other.", dns.TypeMX, "NOERROR aa | host.other. 60 MX 1 X.other. |  | X.other. 60 A 10.0.0.2"},
		{"srv.test.", dns.TypeSRV, "NOERROR aa | srv.test. 60 SRV 0 0 1 W.test. |  | W.test. 60 A 10.0.0.3"},
	} {
		m := new(dns.Msg)
		m.SetQuestion(row.name, row.typ)
		if got := shape(askReader(t, r, m, 4096)); got != row.want {
			t.Errorf("%s %s: %s\nwant %s", row.name, dns.TypeToString[row.typ], got, row.want)
		}
	}
	m := new(dns.Msg)
	m.SetQuestion("w.test.", dns.TypeA)
	if got := shape(ask(t, all, m)); got != "NOERROR aa | w.test. 60 A 10.0.0.1" {
		t.Errorf("from behind alone: %s", got)
	}
}
