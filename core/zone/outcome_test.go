package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// loaded makes a table of zones, each given as apex and master file.
func loaded(t testing.TB, zones ...string) *Table {
	t.Helper()
	table := newTable(t)
	t.Cleanup(table.Close)
	for i := 0; i < len(zones); i += 2 {
		addZone(t, table, zones[i])
	}
	for i := 0; i < len(zones); i += 2 {
		if _, err := table.Load(wire.MustName(zones[i]), strings.NewReader(zones[i+1]), zones[i]+".zone", Source(i)); err != nil {
			t.Fatal(err)
		}
	}
	return table
}

func addZone(t testing.TB, table *Table, apex string) {
	t.Helper()
	if err := table.Update(func(tx *Tx) error { return tx.AddZone(wire.MustName(apex)) }); err != nil {
		t.Fatal(err)
	}
}

// shape is a reply in one line: rcode, flags, and the sections, each sorted.
func shape(m *dns.Msg) string {
	flags := ""
	if m.Authoritative {
		flags += " aa"
	}
	if m.Truncated {
		flags += " tc"
	}
	extra := slices.DeleteFunc(slices.Clone(m.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	s := dns.RcodeToString[m.Rcode] + flags
	for _, section := range [][]dns.RR{m.Answer, m.Ns, extra} {
		var rrs []string
		for _, rr := range section {
			rrs = append(rrs, strings.Replace(strings.Join(strings.Fields(rr.String()), " "), " IN ", " ", 1))
		}
		slices.Sort(rrs)
		s += " | " + strings.Join(rrs, ", ")
	}
	return strings.TrimRight(s, " |")
}

// The example zone of RFC 4592 §2.2.1, with a second server's name as there.
const wildZone = `
$ORIGIN example.
$TTL 3600
example.                 SOA   ns.example.com. h.example. 1 2 3 4 60
example.                 NS    ns.example.com.
example.                 NS    ns.example.net.
*.example.               TXT   "this is a wildcard"
*.example.               MX    10 host1.example.
sub.*.example.           TXT   "this is not a wildcard"
host1.example.           A     192.0.2.1
_ssh._tcp.host1.example. SRV   0 0 22 host1.example.
_ssh._tcp.host2.example. SRV   0 0 22 host1.example.
subdel.example.          NS    ns.example.com.
subdel.example.          NS    ns.example.net.
`

var mainZone = `
$ORIGIN test.
$TTL 300
@        900  SOA ns h 7 3600 600 86400 60
@             NS  ns
@             NS  ns.elsewhere.invalid.
ns            A   192.0.2.53
@             MX  10 mail
mail          A   192.0.2.25
mail          AAAA 2001:db8::25
www           A   192.0.2.80
www           A   192.0.2.81
www           TXT "x"
a.b.ent       A   192.0.2.1
alias         CNAME www
alias2        CNAME alias
toempty       CNAME b.ent
tonothing     CNAME nothing
tomissingtype CNAME ns
across        CNAME host.other
out           CNAME www.example.invalid.
loop1         CNAME loop2
loop2         CNAME loop1
self          CNAME self
towild        CNAME x.wild
tocut         CNAME host.sub
*.wild        A   192.0.2.99
*.cwild       CNAME www
sub           NS  ns.sub
sub           NS  ns2.sub
sub           NS  ns
sub           DS  1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub        A   192.0.2.54
ns.sub        AAAA 2001:db8::54
ns2.sub       A   192.0.2.55
dn            DNAME target
dn            TXT "at the owner"
below.target  A   192.0.2.7
selfdn        DNAME x.selfdn
across-dn     DNAME other.
dnloop1       DNAME dnloop2
dnloop2       DNAME dnloop1
long          DNAME ` + longTarget + `
dept          DS  2 8 2 1111111111111111111111111111111111111111111111111111111111111111
dept          NS  ns.dept
_srv._tcp     SRV 0 0 80 mail
`

// longTarget has 227 octets in wire form: it leaves 28 for what is substituted.
var longTarget = strings.Repeat(strings.Repeat("l", 55)+".", 4) + "t."

const otherZone = `
$ORIGIN other.
$TTL 300
@    SOA ns h 1 2 3 4 30
@    NS  ns
ns   A   192.0.2.3
back CNAME www.test.
gone CNAME nothing.test.
`

const deptZone = `
$ORIGIN dept.test.
$TTL 300
@    SOA ns h 1 2 3 4 20
@    NS  ns
ns   A   192.0.2.61
www  A   192.0.2.62
`

const (
	testSOA    = "test. 60 SOA ns.test. h.test. 7 3600 600 86400 60"
	otherSOA   = "other. 30 SOA ns.other. h.other. 1 2 3 4 30"
	deptSOA    = "dept.test. 20 SOA ns.dept.test. h.dept.test. 1 2 3 4 20"
	exampleSOA = "example. 60 SOA ns.example.com. h.example. 1 2 3 4 60"
	subNS      = "sub.test. 300 NS ns.sub.test., sub.test. 300 NS ns.test., sub.test. 300 NS ns2.sub.test."
	subGlue    = "ns.sub.test. 300 A 192.0.2.54, ns.sub.test. 300 AAAA 2001:db8::54, ns.test. 300 A 192.0.2.53, ns2.sub.test. 300 A 192.0.2.55"
	wwwA       = "www.test. 300 A 192.0.2.80, www.test. 300 A 192.0.2.81"
)

// outcomes has a row for each clause. A wanted reply is: rcode and flags |
// answer | authority | additional.
var outcomes = []struct{ clause, name, typ, want string }{
	{"RFC 1034 §4.3.2 3a hit", "www.test.", "A", "NOERROR aa | " + wwwA},
	{"RFC 1034 §4.3.2 3a nodata", "www.test.", "AAAA", "NOERROR aa |  | " + testSOA},
	{"RFC 4343 case does not matter", "WwW.TeSt.", "TXT", `NOERROR aa | WwW.TeSt. 300 TXT "x"`},
	{"RFC 1034 §4.3.2 3c nxdomain", "nothing.test.", "A", "NXDOMAIN aa |  | " + testSOA},
	{"RFC 1034 §4.3.2 3c nxdomain below a name", "x.y.www.test.", "A", "NXDOMAIN aa |  | " + testSOA},
	{"RFC 1034 §4.3.2 2 no zone", "example.invalid.", "A", "REFUSED"},
	{"RFC 1034 §4.3.2 2 above all zones", ".", "NS", "REFUSED"},
	{"RFC 1034 §4.3.2 2 nearest zone", "www.dept.test.", "A", "NOERROR aa | www.dept.test. 300 A 192.0.2.62"},
	{"RFC 1034 §4.3.2 2 nearest zone's SOA", "x.dept.test.", "A", "NXDOMAIN aa |  | " + deptSOA},
	{"RFC 1034 §4.3.2 3b referral", "host.sub.test.", "A", "NOERROR |  | " + subNS + " | " + subGlue},
	{"RFC 1034 §4.3.2 3b referral at the cut", "sub.test.", "NS", "NOERROR |  | " + subNS + " | " + subGlue},
	{"RFC 1034 §4.3.2 3b glue is no answer", "ns.sub.test.", "A", "NOERROR |  | " + subNS + " | " + subGlue},
	{"RFC 1034 §4.3.2 3b ANY at the cut", "sub.test.", "ANY", "NOERROR |  | " + subNS + " | " + subGlue},
	{"RFC 4035 §3.1.4.1 DS at the cut", "sub.test.", "DS", "NOERROR aa | sub.test. 300 DS 1 8 2 " + strings.Repeat("0", 64)},
	{"RFC 4035 §3.1.4.1 DS of a zone of ours", "dept.test.", "DS", "NOERROR aa | dept.test. 300 DS 2 8 2 " + strings.Repeat("1", 64)},
	{"RFC 4035 §3.1.4.1 DS, parent not ours", "test.", "DS", "NOERROR aa |  | " + testSOA},
	{"RFC 1034 §4.3.2 6 additional of MX", "test.", "MX", "NOERROR aa | test. 300 MX 10 mail.test. |  | mail.test. 300 A 192.0.2.25, mail.test. 300 AAAA 2001:db8::25"},
	{"RFC 2782 additional of SRV", "_srv._tcp.test.", "SRV", "NOERROR aa | _srv._tcp.test. 300 SRV 0 0 80 mail.test. |  | mail.test. 300 A 192.0.2.25, mail.test. 300 AAAA 2001:db8::25"},
	{"RFC 1034 §4.3.2 6 additional of NS", "other.", "NS", "NOERROR aa | other. 300 NS ns.other. |  | ns.other. 300 A 192.0.2.3"},

	{"RFC 2308 §5 TTL of a negative answer", "ns.test.", "TXT", "NOERROR aa |  | " + testSOA},
	{"RFC 2308 §5 the SOA itself keeps its TTL", "test.", "SOA", "NOERROR aa | test. 900 SOA ns.test. h.test. 7 3600 600 86400 60"},

	{"RFC 8020 §2 empty non-terminal", "b.ent.test.", "A", "NOERROR aa |  | " + testSOA},
	{"RFC 8020 §2 empty non-terminal above it", "ent.test.", "A", "NOERROR aa |  | " + testSOA},
	{"RFC 8020 §2 beside an empty non-terminal", "c.ent.test.", "A", "NXDOMAIN aa |  | " + testSOA},
	{"RFC 8020 §2 _tcp", "_tcp.test.", "ANY", "NOERROR aa |  | " + testSOA},

	{"RFC 4592 §2.2.1 host3 MX", "host3.example.", "MX", "NOERROR aa | host3.example. 3600 MX 10 host1.example. |  | host1.example. 3600 A 192.0.2.1"},
	{"RFC 4592 §2.2.1 host3 A", "host3.example.", "A", "NOERROR aa |  | " + exampleSOA},
	{"RFC 4592 §2.2.1 foo.bar TXT", "foo.bar.example.", "TXT", `NOERROR aa | foo.bar.example. 3600 TXT "this is a wildcard"`},
	{"RFC 4592 §2.2.1 host1 MX", "host1.example.", "MX", "NOERROR aa |  | " + exampleSOA},
	{"RFC 4592 §2.2.1 sub.* MX", "sub.*.example.", "MX", "NOERROR aa |  | " + exampleSOA},
	{"RFC 4592 §2.2.1 _telnet._tcp.host1 SRV", "_telnet._tcp.host1.example.", "SRV", "NXDOMAIN aa |  | " + exampleSOA},
	{"RFC 4592 §2.2.1 host.subdel A", "host.subdel.example.", "A", "NOERROR |  | subdel.example. 3600 NS ns.example.com., subdel.example. 3600 NS ns.example.net."},
	{"RFC 4592 §2.2.1 ghost.* MX", "ghost.*.example.", "MX", "NXDOMAIN aa |  | " + exampleSOA},
	{"RFC 4592 §2.1.3 the wildcard asked for", "*.example.", "TXT", `NOERROR aa | *.example. 3600 TXT "this is a wildcard"`},
	{"RFC 4592 §2.2.2 _tcp.host2 is there", "_tcp.host2.example.", "TXT", "NOERROR aa |  | " + exampleSOA},
	{"RFC 4592 §4.2.1 not below another name", "x.host1.example.", "TXT", "NXDOMAIN aa |  | " + exampleSOA},
	{"RFC 4592 §3.3.1 CNAME of a wildcard", "x.cwild.test.", "A", "NOERROR aa | " + wwwA + ", x.cwild.test. 300 CNAME www.test."},

	{"RFC 1034 §4.3.2 3a CNAME", "alias.test.", "A", "NOERROR aa | alias.test. 300 CNAME www.test., " + wwwA},
	{"RFC 1034 §3.6.2 CNAME asked for", "alias.test.", "CNAME", "NOERROR aa | alias.test. 300 CNAME www.test."},
	{"RFC 1034 §3.6.2 chain", "alias2.test.", "TXT", `NOERROR aa | alias.test. 300 CNAME www.test., alias2.test. 300 CNAME alias.test., www.test. 300 TXT "x"`},
	{"RFC 2308 §2.2.1 chain to nodata", "tomissingtype.test.", "TXT", "NOERROR aa | tomissingtype.test. 300 CNAME ns.test. | " + testSOA},
	{"RFC 8020 §2 chain to an empty non-terminal", "toempty.test.", "A", "NOERROR aa | toempty.test. 300 CNAME b.ent.test. | " + testSOA},
	{"RFC 6604 §3 chain to nxdomain", "tonothing.test.", "A", "NXDOMAIN aa | tonothing.test. 300 CNAME nothing.test. | " + testSOA},
	{"RFC 6604 §3 across zones to nxdomain", "gone.other.", "A", "NXDOMAIN aa | gone.other. 300 CNAME nothing.test. | " + testSOA},
	{"RFC 1034 §4.3.2 3a into another zone", "back.other.", "A", "NOERROR aa | back.other. 300 CNAME www.test., " + wwwA},
	{"RFC 1034 §4.3.2 3a another zone's nxdomain", "across.test.", "A", "NXDOMAIN aa | across.test. 300 CNAME host.other.test. | " + testSOA},
	{"RFC 1034 §4.3.2 3a out of our zones", "out.test.", "A", "NOERROR aa | out.test. 300 CNAME www.example.invalid."},
	{"RFC 1034 §3.6.2 loop", "loop1.test.", "A", "NOERROR aa | loop1.test. 300 CNAME loop2.test., loop2.test. 300 CNAME loop1.test."},
	{"RFC 1034 §3.6.2 loop of one", "self.test.", "A", "NOERROR aa | self.test. 300 CNAME self.test."},
	{"RFC 4592 §3.3.1 chain into a wildcard", "towild.test.", "A", "NOERROR aa | towild.test. 300 CNAME x.wild.test., x.wild.test. 300 A 192.0.2.99"},
	{"RFC 1034 §4.3.2 3b chain into a delegation", "tocut.test.", "A", "NOERROR aa | tocut.test. 300 CNAME host.sub.test. | " + subNS + " | " + subGlue},

	{"RFC 6672 §3.1 DNAME", "below.dn.test.", "A", "NOERROR aa | below.dn.test. 300 CNAME below.target.test., below.target.test. 300 A 192.0.2.7, dn.test. 300 DNAME target.test."},
	{"RFC 6672 §2.3 the owner itself", "dn.test.", "TXT", `NOERROR aa | dn.test. 300 TXT "at the owner"`},
	{"RFC 6672 §2.3 the owner itself, no CNAME", "dn.test.", "A", "NOERROR aa |  | " + testSOA},
	{"RFC 6672 §2.3 DNAME asked for", "dn.test.", "DNAME", "NOERROR aa | dn.test. 300 DNAME target.test."},
	{"RFC 6672 §3.1 nothing at the target", "x.y.dn.test.", "A", "NXDOMAIN aa | dn.test. 300 DNAME target.test., x.y.dn.test. 300 CNAME x.y.target.test. | " + testSOA},
	{"RFC 6672 §3.1 the CNAME asked for", "below.dn.test.", "CNAME", "NOERROR aa | below.dn.test. 300 CNAME below.target.test., dn.test. 300 DNAME target.test."},
	{"RFC 6672 §2.2 name too long", strings.Repeat("a", 28) + ".long.test.", "A", "YXDOMAIN aa | long.test. 300 DNAME " + longTarget},
	{"RFC 6672 §2.2 name just fits", strings.Repeat("a", 27) + ".long.test.", "A", "NOERROR aa | " + strings.Repeat("a", 27) + ".long.test. 300 CNAME " + strings.Repeat("a", 27) + "." + longTarget + ", long.test. 300 DNAME " + longTarget},
	{"RFC 6672 §2.3 target below the owner", "a.selfdn.test.", "A", "NOERROR aa | a.selfdn.test. 300 CNAME a.x.selfdn.test., selfdn.test. 300 DNAME x.selfdn.test."},
	{"RFC 6672 §3.1 into another zone", "ns.across-dn.test.", "A", "NOERROR aa | across-dn.test. 300 DNAME other., ns.across-dn.test. 300 CNAME ns.other., ns.other. 300 A 192.0.2.3"},
	{"RFC 6672 §3.1 another zone's nxdomain", "x.across-dn.test.", "A", "NXDOMAIN aa | across-dn.test. 300 DNAME other., x.across-dn.test. 300 CNAME x.other. | " + otherSOA},
	{"RFC 6672 §3.1 loop", "x.dnloop1.test.", "A", "NOERROR aa | dnloop1.test. 300 DNAME dnloop2.test., dnloop2.test. 300 DNAME dnloop1.test., x.dnloop1.test. 300 CNAME x.dnloop2.test., x.dnloop2.test. 300 CNAME x.dnloop1.test."},

	{"RFC 5936 §2.2 AXFR not here", "test.", "AXFR", "REFUSED"},
}

func TestOutcomes(t *testing.T) {
	table := loaded(t, "test", mainZone, "other", otherZone, "dept.test", deptZone, "example", wildZone)
	for _, c := range outcomes {
		t.Run(c.clause, func(t *testing.T) {
			m := new(dns.Msg)
			m.SetQuestion(c.name, dns.StringToType[c.typ])
			m.SetEdns0(4096, false)
			got := ask(t, table, m)
			if s := shape(got); s != strings.TrimRight(c.want, " |") {
				t.Errorf("%s %s\ngot  %s\nwant %s", c.name, c.typ, s, c.want)
			}
			if got.Question[0].Name != c.name || got.Id != m.Id {
				t.Errorf("the question came back as %v", got.Question[0])
			}
		})
	}
}

// ANY is answered with one RRset (RFC 8482 §4.1).
func TestAnyIsOneRRset(t *testing.T) {
	table := loaded(t, "test", mainZone)
	m := new(dns.Msg)
	m.SetQuestion("www.test.", dns.TypeANY)
	types := map[uint16]bool{}
	for _, rr := range ask(t, table, m).Answer {
		types[rr.Header().Rrtype] = true
	}
	if len(types) != 1 {
		t.Errorf("%d types in the answer to ANY", len(types))
	}
}

// Each answer begins with another record, and holds all of them.
func TestRotation(t *testing.T) {
	var text strings.Builder
	text.WriteString("@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\n")
	for i := range 5 {
		fmt.Fprintf(&text, "a 60 A 192.0.2.%d\nt 60 TXT %q\n", i, strings.Repeat("x", i+1))
	}
	table := loaded(t, "test", text.String())
	r := table.NewReader()
	defer r.Close()
	for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
		name := map[uint16]string{dns.TypeA: "a.test.", dns.TypeTXT: "t.test."}[typ]
		first := map[string]int{}
		for range 50 {
			m := new(dns.Msg)
			m.SetQuestion(name, typ)
			got := askReader(t, r, m, 512)
			all := map[string]bool{}
			for _, rr := range got.Answer {
				all[rr.String()] = true
			}
			if len(got.Answer) != 5 || len(all) != 5 {
				t.Fatalf("answer %v", got.Answer)
			}
			first[got.Answer[0].String()]++
		}
		for rr, n := range first {
			if n != 10 {
				t.Errorf("%s came first %d times of 50", rr, n)
			}
		}
	}
}

// In-domain glue that does not fit means TC, other glue does not (RFC 9471 §3.1).
func TestGlueAndTruncation(t *testing.T) {
	var in, out strings.Builder
	for i := range 12 {
		fmt.Fprintf(&in, "in NS ns%d.in\nns%d.in A 192.0.2.%d\nns%d.in AAAA 2001:db8::%d\n", i, i, i, i, i)
		fmt.Fprintf(&out, "out NS ns%d.hosts\nns%d.hosts A 192.0.2.%d\nns%d.hosts AAAA 2001:db8::%d\n", i, i, i, i, i)
	}
	mixed := "mix NS ns.mix\nns.mix A 192.0.2.1\n" + strings.ReplaceAll(out.String(), "out NS", "mix NS")
	table := loaded(t, "test", "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n"+in.String()+out.String()+mixed)
	for _, c := range []struct {
		name  string
		limit int
		tc    bool
	}{{"x.in.test.", 512, true}, {"x.in.test.", 4096, false}, {"x.out.test.", 512, false}, {"x.mix.test.", 512, false}} {
		for range 13 { // whatever record comes first
			m := new(dns.Msg)
			m.SetQuestion(c.name, dns.TypeA)
			m.SetEdns0(uint16(c.limit), false)
			r := table.NewReader()
			got := askReader(t, r, m, c.limit)
			r.Close()
			if got.Truncated != c.tc || len(got.Ns) == 0 || got.Authoritative {
				t.Errorf("%s in %d octets: tc=%v, %d NS", c.name, c.limit, got.Truncated, len(got.Ns))
			}
		}
	}
}

// An RRset is answered whole or not at all (RFC 2181 §9), but for one that no
// message can hold.
func TestLargeRRsets(t *testing.T) {
	table := loaded(t, "test", mainZone)
	fill := func(name string, n int) {
		rec := Record{Name: wire.MustName(name), Type: wire.TypeA, TTL: 60}
		for i := range n {
			rec.Data = append(rec.Data, []byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		}
		put(t, table, &rec)
	}
	fill("many.test", 100)
	fill("toomany.test", 50_000)
	for _, c := range []struct {
		name       string
		limit      int
		tc         bool
		from, most int
	}{
		{"many.test.", 512, true, 0, 0}, {"many.test.", 4096, false, 100, 100}, {"many.test.", 65535, false, 100, 100},
		{"toomany.test.", 4096, true, 0, 0}, {"toomany.test.", 65535, true, 4000, 4096},
	} {
		m := new(dns.Msg)
		m.SetQuestion(c.name, dns.TypeA)
		m.SetEdns0(4096, false)
		r := table.NewReader()
		got := askReader(t, r, m, c.limit)
		r.Close()
		if n := len(got.Answer); got.Truncated != c.tc || n < c.from || n > c.most {
			t.Errorf("%s in %d octets: tc=%v, %d records", c.name, c.limit, got.Truncated, n)
		}
	}
}

// Names of an answer beyond what a pointer reaches (0x3fff) are written in full.
func TestFarOwners(t *testing.T) {
	var text strings.Builder
	text.WriteString("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n")
	for i := range 600 {
		fmt.Fprintf(&text, "@ MX %d host%d-%s\nhost%d-%s A 192.0.2.1\n", i, i, strings.Repeat("x", 30), i, strings.Repeat("x", 30))
	}
	table := loaded(t, "test", text.String())
	r := table.NewReader()
	defer r.Close()
	for range 20 {
		m := new(dns.Msg)
		m.SetQuestion("test.", dns.TypeMX)
		got := askReader(t, r, m, 65535)
		if len(got.Answer) != 600 || got.Truncated || len(got.Extra) != maxHosts {
			t.Fatalf("%d MX, %d addresses, tc=%v", len(got.Answer), len(got.Extra), got.Truncated)
		}
		for i, rr := range got.Extra {
			if mx := got.Answer[i].(*dns.MX); rr.Header().Name != mx.Mx {
				t.Errorf("address %d is of %s, not %s", i, rr.Header().Name, mx.Mx)
			}
		}
	}
}
