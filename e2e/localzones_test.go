package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// localZones are the same rules for nodecache and for unbound.
const (
	localPolicy = `  transparent: [t.plain.test, in.s.plain.test]
  static: [s.plain.test, in.t.plain.test]
  refused: [r.plain.test, no.s.plain.test]
`
	localZones = `local-zone: test nodefault
local-zone: t.plain.test transparent
local-zone: in.s.plain.test transparent
local-zone: s.plain.test static
local-zone: in.t.plain.test static
local-zone: r.plain.test refuse
local-zone: no.s.plain.test refuse
`
)

// localData are given to both. At the apex of a static zone without any, unbound says
// NXDOMAIN, which would deny what is below.
var localData = []string{
	`s.plain.test. 60 IN TXT "apex"`, `in.t.plain.test. 60 IN TXT "apex"`,
	"h.s.plain.test. 60 IN A 192.0.2.1", "deep.e.s.plain.test. 60 IN A 192.0.2.2", "h.in.s.plain.test. 60 IN A 192.0.2.3", "h.no.s.plain.test. 60 IN A 192.0.2.4",
	"h.t.plain.test. 60 IN A 192.0.2.5", "deep.e.t.plain.test. 60 IN A 192.0.2.6", "h.in.t.plain.test. 60 IN A 192.0.2.7",
	"h.r.plain.test. 60 IN A 192.0.2.8", "h.r.plain.test. 60 IN A 192.0.2.9", "h.plain.test. 60 IN AAAA 2001:db8::1",
}

// Static, transparent and refused zones answer as unbound's do.
func TestLocalZonesLikeUnbound(t *testing.T) {
	need(t, "unbound")
	s := newEmptyStreet(t)
	policy, conf := localPolicy+"  data:\n", "server:\nchroot: \"\"\nusername: \"\"\npidfile: \"\"\nuse-syslog: no\ninterface: 127.0.0.2\nmodule-config: iterator\n"+
		"stub-zone:\nname: plain.test\nstub-addr: "+awayAddress+"\nserver:\n"+localZones
	for _, rr := range localData {
		policy += "    - '" + rr + "'\n"
		conf += "local-data: '" + rr + "'\n"
	}
	s.cache(policy)
	file := filepath.Join(s.dir, "unbound.conf")
	writeFile(t, file, conf)
	program, err := lookPath("unbound")
	must(t, err)
	s.run(s.home, "unbound.log", program, "-d", "-p", "-c", file)
	within(t, "unbound answers", func() bool { return s.outcome("127.0.0.2:53", "plain.test.", dns.TypeSOA) != "" })

	seen := map[string]bool{}
	for _, front := range []string{"", "h.", "x.h.", "x.", "e.", "deep.e.", "x.e.", "in.", "h.in.", "x.in.", "x.x.in.", "no.", "h.no.", "x.no."} {
		for _, zone := range []string{"s", "t", "r", "there"} {
			for _, typ := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeAAAA} {
				name := front + zone + ".plain.test."
				got, want := s.outcome("127.0.0.1:53", name, typ), s.outcome("127.0.0.2:53", name, typ)
				if got != want || got == "" {
					t.Errorf("%s %s: %q, unbound %q", name, dns.Type(typ), got, want)
				}
				rcode, _, _ := strings.Cut(got, " ")
				seen[rcode] = true
			}
		}
	}
	for _, rcode := range []string{"NOERROR", "NXDOMAIN", "REFUSED"} {
		if !seen[rcode] {
			t.Errorf("no question was answered %s", rcode)
		}
	}
}

// outcome asks a server on the home host: the response code and data, "" for no reply.
func (s *street) outcome(server, name string, typ uint16) string {
	conn, err := s.home.Dial("udp", server, time.Second)
	if err != nil {
		return ""
	}
	c := &dns.Conn{Conn: conn}
	defer c.Close()
	must(s.t, c.SetDeadline(time.Now().Add(5*time.Second)))
	if c.WriteMsg(new(dns.Msg).SetQuestion(name, typ)) != nil {
		return ""
	}
	reply, err := c.ReadMsg()
	if err != nil {
		return ""
	}
	all := data(reply)
	slices.Sort(all)
	return fmt.Sprint(dns.RcodeToString[reply.Rcode], " ", strings.Join(all, ", "))
}
