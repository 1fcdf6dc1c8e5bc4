package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
	"github.com/strata-dns/strata/e2e/world"
)

// Signed zones are answered as NSD answers them from the same files: the same codes,
// records, signatures and proofs, for every kind of answer, with NSEC, NSEC3, and NSEC3
// with opt-out.
func TestSignedZones(t *testing.T) {
	t.Parallel() // it mostly waits
	need(t, append([]string{"nsd"}, world.Tools...)...)
	w := newTown(t)
	tree, err := world.Plant(w.dir, world.Addresses{Root: "10.1.0.2", Top: "10.1.0.2", Leaves: "10.1.0.2", BelowLeaves: "10.1.0.4"})
	must(t, err)
	site := w.site("lab", 1)
	ours, theirs := w.newHost(site, "ours", "10.1.0.2"), w.newHost(site, "theirs", "10.1.0.3")
	zones := tree.Leaves
	w.ready(w.settle(ours, "authoritative", "listen: [\"0.0.0.0:53\"]\n"+zoneLines(zones)))
	w.nsd(theirs, zones)
	a, b := &verifier{ours, "10.1.0.2:53"}, &verifier{theirs, "10.1.0.3:53"}
	within(t, "NSD answers", func() bool {
		m, err := b.ask("www.nsec.test.", dns.TypeA, true)
		return err == nil && m.Rcode == dns.RcodeSuccess
	})

	asked := 0
	for _, z := range zones {
		for _, name := range questionsAbout(z) {
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCNAME, dns.TypeDNAME, dns.TypeDS, dns.TypeNS, dns.TypeSOA, dns.TypeSRV, dns.TypeDNSKEY, dns.TypeNSEC3PARAM} {
				for _, do := range []bool{true, false} {
					if strings.HasPrefix(name, "*.wild.") && z.Apex != "nsec.test" {
						continue // NSD takes the wildcard's own name for one made from it: a record too many
					}
					asked++
					got, err := a.ask(name, typ, do)
					must(t, err)
					want, err := b.ask(name, typ, do)
					must(t, err)
					if g, w := signedShape(got), signedShape(want); g != w {
						t.Errorf("%s %s, DO %v:\n%s\nNSD:\n%s", name, dns.Type(typ), do, g, w)
					}
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d questions answered alike", asked)
}

// zoneLines is the config of file zones.
func zoneLines(zones []world.Zone) string {
	lines := "zones:\n"
	for _, z := range zones {
		lines += fmt.Sprintf("  - {name: %q, source: file, file: %q}\n", z.Apex, z.File)
	}
	return lines
}

// questionsAbout are names of each kind that a leaf has.
func questionsAbout(z world.Zone) (names []string) {
	labels := strings.Fields(`www two ent b.ent a.b.ent c.b.ent wild x.wild y.wild z.y.wild a.x.wild *.wild alias x.alias q.many r.q.many q.away q.down
		dname x.dname into a.b.into mail _tcp _s._tcp _t._tcp inside nothing a.nothing insecure www.insecure ns.insecure ns 0 zzz \000 \255 \000.www * *.www`)
	for range 30 {
		labels = append(labels, fmt.Sprintf("%x", rand.Uint32()))
	}
	names = append(names, z.Apex+".")
	for _, l := range labels {
		names = append(names, l+"."+z.Apex+".")
	}
	return append(names, hashedOwners(z)...)
}

// hashedOwners are some owners of NSEC3 records, which are no names of the zone. (Below
// them NSD's proofs lack the closest encloser's.)
func hashedOwners(z world.Zone) (names []string) {
	b, _ := os.ReadFile(z.File)
	p := dns.NewZoneParser(strings.NewReader(string(b)), z.Apex, "")
	for rr, ok := p.Next(); ok && len(names) < 4; rr, ok = p.Next() {
		if rr.Header().Rrtype == dns.TypeNSEC3 {
			names = append(names, rr.Header().Name)
		}
	}
	return names
}

// A verifier asks one server from a host.
type verifier struct {
	host   *hosts.Host
	server string
}

func (a *verifier) ask(name string, typ uint16, do bool) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(name, typ)
	m.RecursionDesired = false
	m.SetEdns0(4096, do)
	conn, err := a.host.Dial("tcp", a.server, 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
	reply, _, err := c.ExchangeWithConn(m, &dns.Conn{Conn: conn})
	return reply, err
}

// signedShape is a reply's code, AA, answer and authority, in no order. TTLs of a
// negative answer's SOA aside, all is compared.
func signedShape(m *dns.Msg) string {
	s := fmt.Sprintf("%s aa=%v", dns.RcodeToString[m.Rcode], m.Authoritative)
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		var lines []string
		for _, rr := range section {
			lines = append(lines, strings.ToLower(rr.String()))
		}
		slices.Sort(lines)
		s += "\n  " + strings.Join(lines, "\n  ")
	}
	return s
}

// nsd puts an NSD with these zones on a host.
func (w *town) nsd(h *hosts.Host, zones []world.Zone) *resident {
	w.t.Helper()
	path, err := lookPath("nsd")
	must(w.t, err)
	s := &stack.Server{Config: filepath.Join(w.dir, h.Name+".conf")}
	s.Name, s.LogFile, s.Launch = h.Name, filepath.Join(w.dir, h.Name+".log"), h.Start
	s.Path, s.Args = path, []string{"-d", "-c", s.Config}
	conf := fmt.Sprintf("server:\n ip-address: 0.0.0.0\n username: \"\"\n pidfile: \"\"\n zonesdir: %[1]q\n database: \"\"\n xfrdfile: %[2]q\n zonelistfile: %[3]q\n minimal-responses: yes\n server-count: 1\nremote-control:\n control-enable: no\n",
		w.dir, w.dir+"/xfrd", w.dir+"/zonelist")
	for _, z := range zones {
		conf += fmt.Sprintf("zone:\n name: %q\n zonefile: %q\n", z.Apex, z.File)
	}
	writeFile(w.t, s.Config, conf)
	return w.add(h, s)
}
