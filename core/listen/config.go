package listen

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/wire"
)

// TCP is the section tcp of a config: what streams may hold.
type TCP struct {
	Idle      time.Duration `mapstructure:"idle"`       // without a query or a reply a connection is closed
	Clients   int           `mapstructure:"clients"`    // connections in all
	PerClient int           `mapstructure:"per_client"` // connections of one IPv4 address or IPv6 /64
}

// Validate finds what types alone do not.
func (t *TCP) Validate(report *config.Report) {
	if t.Idle <= 0 {
		report.Add("idle", "%s; how long a connection may be silent, such as 10s", t.Idle)
	}
	if t.Clients < 1 {
		report.Add("clients", "%d; how many connections there may be, such as 1000", t.Clients)
	}
	if t.PerClient < 1 {
		report.Add("per_client", "%d; how many connections one address may have, such as 100", t.PerClient)
	}
}

// ValidateAddresses checks where queries are answered.
func ValidateAddresses(addresses []netip.AddrPort, report *config.Report) {
	if len(addresses) == 0 {
		report.Add("listen", "missing; where queries are answered, such as [\"127.0.0.1:53\"]")
	}
	for i, a := range addresses {
		if slices.Contains(addresses[:i], a) {
			report.Add(fmt.Sprintf("listen[%d]", i), "%s stands in the list twice", a)
		}
	}
}

// ValidateMaxUDP checks the largest reply over UDP.
func ValidateMaxUDP(octets int, report *config.Report) {
	if octets < wire.MinUDP || octets > 4096 {
		report.Add("max_udp", "%d octets; from 512 (RFC 1035) to 4096 can be sent, 1232 passes every path", octets)
	}
}
