package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/clock"
	"github.com/strata-dns/strata/e2e/stack"
)

// The clocks of a prober, of the server and of etcd's member, which has the probers'
// leases, are set: both probers stay registered with their shares, verdicts stay as they
// are, nobody brakes, and hosts that go and come are seen as ever.
func TestClockOfProbers(t *testing.T) {
	t.Parallel() // it mostly waits
	clocks := []*clock.Clock{newClock(t), newClock(t), newClock(t)}
	p := newProbed(t, 16)
	one, two := p.prober(t, "prober-one"), p.prober(t, "prober-two")
	worn := []*stack.Server{p.Authoritatives[0], p.server, one}
	for i, server := range worn {
		wear(t, p.Stack, server, clocks[i])
	}
	share := func(server *stack.Server) float64 { return gauge(t, server, "strata_probe_addresses") }
	shared := func() bool { return share(one) > 0 && share(two) > 0 && share(one)+share(two) == 16 }
	within(t, "both have a share", shared)
	p.shut(p.addrs[:4]...)
	p.answers(t, p.addrs[4:]...)
	p.watched(t)

	writes := func() float64 {
		return gauge(t, one, "strata_probe_writes_total") + gauge(t, two, "strata_probe_writes_total")
	}
	within(t, "all are known", func() bool { return gauge(t, p.server, "strata_health_addresses") == 16 })
	for i, server := range worn {
		for _, ahead := range settings {
			before, checks := writes(), gauge(t, one, "strata_probe_checks_total")
			clocks[i].Set(ahead)
			when := fmt.Sprintf("%s is %s ahead", server.Name, ahead)
			// Longer than a lease (2 s), and than rounds: 600 ms, of eight addresses or so.
			if !eventually(t, 2*time.Minute, func() bool { return gauge(t, one, "strata_probe_checks_total") > checks+30 }) {
				t.Fatalf("%s: rounds do not go on: %v checks of %v addresses in two minutes, %v in flight, %v s late\n%s\n%s", when, gauge(t, one, "strata_probe_checks_total")-checks,
					share(one), gauge(t, one, "strata_probe_checks_in_flight"), gauge(t, one, "strata_probe_late_seconds"), readyPage(t, one), one.Log())
			}
			if reply, err := exchange(p.server, app, dns.TypeA); !answered(reply, err, p.addrs[4:]...) {
				t.Errorf("%s: %v, %v", when, reply, err)
			}
			if n := writes(); n != before {
				t.Errorf("%s: %v verdicts were written, and no host had changed", when, n-before)
			}
			for _, prober := range []*stack.Server{one, two} {
				if gauge(t, prober, "strata_probe_registered") != 1 || gauge(t, prober, "strata_probe_probers") != 2 || gauge(t, prober, "strata_probe_brake") != 0 {
					t.Errorf("%s: %s is no longer one of two, or brakes:\n%s", when, prober.Name, readyPage(t, prober))
				}
			}
			if !shared() {
				t.Errorf("%s: shares are %v and %v", when, share(one), share(two))
			}
			sane(t, p.server)
		}
		clocks[i].Set(-decade / 10)
		p.shut(p.addrs[4])
		p.answers(t, p.addrs[5:]...)
		p.open(t, p.addrs[4])
		p.answers(t, p.addrs[4:]...)
		clocks[i].Set(0)
	}
}
