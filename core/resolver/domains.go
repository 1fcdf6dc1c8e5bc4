package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// Domains are names that servers of their own answer for: a nodecache's stubs, a
// recursor's zones.
type Domains struct {
	Names   []string          `mapstructure:"names"`   // each with all below it
	Servers []upstream.Server `mapstructure:"servers"` // any of which answers
	Clients []netip.Prefix    `mapstructure:"clients"` // who are answered so; none: all others
	manner  string            // how the servers are asked, where their answers differ by it
}

var (
	errNoName   = errors.New("no name given")
	errAsterisk = errors.New("a name stands for all below it, too: leave the asterisk out")
)

// maxServers is how many servers an upstream.Set takes.
const maxServers = 64

// ValidateDomains checks the list at key. listen are the process's own addresses.
func ValidateDomains(list []Domains, key string, listen []netip.AddrPort, report *config.Report) {
	seen := map[string]string{}
	for i, d := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		if len(d.Names) == 0 {
			report.Add(at+".names", "missing; the domains that the servers answer for")
		}
		for j, n := range d.Names {
			here := fmt.Sprintf("%s.names[%d]", at, j)
			name, err := wire.ParseName(n)
			switch {
			case err == nil && n == "": // the root is written as a dot
				err = errNoName
			case err == nil && wire.IsWildcard(name):
				err = errAsterisk
			}
			if err != nil {
				report.Add(here, "%q: %v", n, err)
				continue
			}
			for _, whose := range clientTexts(&d) {
				if before := seen[string(name)+whose]; before != "" {
					report.Add(here, "%s stands in %s already%s", n, before, whose)
				}
				seen[string(name)+whose] = here
			}
		}
		for j, p := range d.Clients {
			switch here := fmt.Sprintf("%s.clients[%d]", at, j); {
			case p.Addr().Is4In6():
				report.Add(here, "%s: write IPv4 prefixes as IPv4", p)
			case p != p.Masked():
				report.Add(here, "%s has bits behind its length; %s is meant?", p, p.Masked())
			}
		}
		ValidateServers(d.Servers, at+".servers", "who answers for these names", listen, report)
	}
}

// clientTexts tell apart whose entry this is: one for each of its clients.
func clientTexts(d *Domains) []string {
	if len(d.Clients) == 0 {
		return []string{""}
	}
	var all []string
	for _, p := range d.Clients {
		all = append(all, fmt.Sprintf(" for %s", p.Masked()))
	}
	return all
}

// ValidateServers checks a list of upstream servers; what says what they are for.
func ValidateServers(servers []upstream.Server, key, what string, listen []netip.AddrPort, report *config.Report) {
	switch {
	case len(servers) == 0:
		report.Add(key, "missing; %s, such as [\"10.1.1.120:53\"]", what)
	case len(servers) > maxServers:
		report.Add(key, "%d servers; at most %d can be asked", len(servers), maxServers)
	}
	for i, s := range servers {
		here := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case s.Addr.Port() == 0:
			report.Add(here, "%s has no port to ask; 53 is usual", s.Text())
		case s.Addr.Addr().IsUnspecified(), s.Addr.Addr().IsMulticast():
			report.Add(here, "%s is no address of a server", s.Text())
		case slices.ContainsFunc(listen, func(l netip.AddrPort) bool { return isAt(s.Addr, l) }):
			report.Add(here, "%s is this process itself: it would ask itself", s.Text())
		case slices.Contains(servers[:i], s):
			report.Add(here, "%s stands in the list twice", s.Text())
		}
	}
}

// isAt reports whether a server is who listens at l. Of a wildcard, only loopback is
// known for sure; that of IPv6 takes nothing of IPv4.
func isAt(server, l netip.AddrPort) bool {
	return server == l || l.Addr().IsUnspecified() && server.Addr().IsLoopback() && server.Port() == l.Port() &&
		server.Addr().Is4() == l.Addr().Is4()
}

// Moved are the domains that other servers answer for in fresh than in old.
func Moved(old, fresh []Domains) (names []string) {
	was, is := servedBy(old), servedBy(fresh)
	for n, servers := range is {
		if before, ok := was[n]; !ok || before != servers {
			names = append(names, n)
		}
	}
	for n := range was {
		if _, ok := is[n]; !ok {
			names = append(names, n)
		}
	}
	return names
}

// servedBy says who answers for each domain but in views, which are told apart by
// their numbers.
func servedBy(list []Domains) map[string]string {
	by := map[string]string{}
	for _, d := range list {
		for _, n := range d.Names {
			if len(d.Clients) == 0 {
				by[n] = d.servedBy()
			}
		}
	}
	return by
}

// Asked gives the same domains with servers that are asked in a manner which their
// answers differ by.
func (d Domains) Asked(manner string) Domains {
	d.manner = manner
	return d
}

// servedBy is different where answers may be: for other servers, or asked otherwise.
func (d *Domains) servedBy() string { return fmt.Sprintf("%s%q", d.manner, sorted(d.Servers)) }

// sorted are servers as configs write them, in order.
func sorted(servers []upstream.Server) []string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Text())
	}
	slices.Sort(all)
	return all
}

// Names of all domains of a list.
func Names(list []Domains) (names []string) {
	for _, d := range list {
		names = append(names, d.Names...)
	}
	return names
}
