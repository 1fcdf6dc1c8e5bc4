package resolver

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/policy"
)

// A blocked AAAA waits for nothing: NODATA, unless memory says that A is NXDOMAIN.
func TestBlockedAAAA(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1", "www.example. 300 IN AAAA 2001:db8::1")
	for _, answer := range []string{"nodata", "nxdomain"} {
		s := play(t, plot{rest: up, policy: policy.Config{BlockAAAA: []string{"example"}, BlockAAAAAnswer: answer}})
		before := up.asked.Load()
		there := map[string]int{"nodata": dns.RcodeSuccess, "nxdomain": dns.RcodeNameError}[answer]
		for _, step := range []struct {
			name     string
			typ      uint16
			rcode    int
			upstream int64 // questions by then
		}{
			{"gone.example.", dns.TypeAAAA, there, 0}, // not known yet, and not asked for
			{"gone.example.", dns.TypeA, dns.RcodeNameError, 1},
			{"gone.example.", dns.TypeAAAA, dns.RcodeNameError, 1},
			{"x.gone.example.", dns.TypeAAAA, there, 1},
			{"www.example.", dns.TypeAAAA, there, 1},
		} {
			m := s.ask(step.name, step.typ)
			see(t, m, step.rcode)
			if len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
				t.Errorf("%s: no SOA: %v", answer, m)
			}
			if why, err := s.explain(wireName(t, step.name), step.typ, netip.Addr{}); err != nil || step.typ == dns.TypeAAAA && why.Rcode != dns.RcodeToString[step.rcode] {
				t.Errorf("%s, explained as %v, %v", answer, why, err)
			}
			if n := up.asked.Load() - before; n != step.upstream {
				t.Errorf("%s, %s %s: %d questions upstream, want %d", answer, step.name, dns.Type(step.typ), n, step.upstream)
			}
		}
		see(t, s.ask("www.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.1")
	}
}
