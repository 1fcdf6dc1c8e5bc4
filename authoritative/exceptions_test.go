package main

import (
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/strata-dns/strata/core/plane/dpdk"
)

// TestTakes: which sockets get what comes to a service address over TCP.
func TestTakes(t *testing.T) {
	for _, c := range []struct {
		listen, service string
		want            bool
	}{
		{"10.0.0.53:53", "10.0.0.53", true},
		{"10.0.0.53:5300", "10.0.0.53", false},
		{"10.0.0.2:53", "10.0.0.53", false},
		{"0.0.0.0:53", "10.0.0.53", true},
		{"0.0.0.0:53", "fd53::53", false},
		{"[::]:53", "fd53::53", true},
		{"[::]:53", "10.0.0.53", true},
		{"[fd53::53]:53", "fd53::53", true},
	} {
		if got := takes(netip.MustParseAddrPort(c.listen), netip.MustParseAddr(c.service)); got != c.want {
			t.Errorf("%s for %s: %v", c.listen, c.service, got)
		}
	}
}

// excepting is a plane that has counted.
type excepting struct {
	dpdk.Plane
	counts dpdk.Exceptions
}

func (e excepting) Exceptions() dpdk.Exceptions { return e.counts }

// TestExceptions: there are counters where there are exception interfaces.
func TestExceptions(t *testing.T) {
	counts := dpdk.Exceptions{Up: 1, UpDropped: 2, Down: 3, DownDropped: 4}
	if n := testutil.CollectAndCount(exceptions{excepting{counts: counts}}); n != 0 {
		t.Errorf("%d counters without an interface", n)
	}
	counts.Interfaces = 1
	if n := testutil.CollectAndCount(exceptions{excepting{counts: counts}}, "strata_dpdk_exceptions_total"); n != 4 {
		t.Errorf("%d counters", n)
	}
}
