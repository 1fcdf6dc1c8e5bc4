package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/daemon/config"
)

// Config is the section node.
type Config struct {
	Interface string       `mapstructure:"interface"` // made where it is not there; or lo
	Addresses []netip.Addr `mapstructure:"addresses"` // of this host while nodecache runs; none: off
}

// Validate finds what types alone do not. listen is where queries are answered.
func (c *Config) Validate(listen []netip.AddrPort, report *config.Report) {
	if len(c.Addresses) == 0 {
		return
	}
	switch {
	case c.Interface == "":
		report.Add("interface", "missing; where the addresses are added, such as strata0, or lo")
	case len(c.Interface) >= unix.IFNAMSIZ || strings.ContainsAny(c.Interface, "/: \t\n") || c.Interface == "." || c.Interface == "..":
		report.Add("interface", "%q can be no interface's name; such as strata0, or lo", c.Interface)
	}
	for i, a := range c.Addresses {
		here := fmt.Sprintf("addresses[%d]", i)
		switch {
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() || a.Is6() && a.IsLinkLocalUnicast():
			report.Add(here, "%s is no address to add; such as 169.254.20.10", a)
		case slices.Contains(c.Addresses[:i], a):
			report.Add(here, "%s stands in the list twice", a)
		case !slices.ContainsFunc(listen, func(l netip.AddrPort) bool { return l.Addr() == a || l.Addr().IsUnspecified() }):
			report.Add(here, "nobody would listen there: add %q to listen", netip.AddrPortFrom(a, 53))
		}
	}
}
