package policy

import "net/netip"

// clients says who may ask.
type clients struct {
	open   bool  // no list: everyone who isn't denied
	listed bool  // there are prefixes to look up
	closed int32 // the rule that refuses those in no list
	prefix prefixMap
}

// privateClients may ask a resolver whose allow list is empty: loopback,
// link-local, and the private ranges of RFC 1918, RFC 6598 and RFC 4193.
var privateClients = []string{
	"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
	"::1/128", "fc00::/7", "fe80::/10",
}

// client gives the verdict on who asks: Pass, Refuse or Drop.
func (p *Policy) client(addr netip.Addr) Verdict {
	c := &p.clients
	if !c.listed {
		return Verdict{}
	}
	at := c.prefix.find(addr)
	switch {
	case at == 0 && c.open, at != 0 && p.rules[at].rcode == 0:
		return Verdict{}
	case at == 0:
		at = c.closed
	}
	if p.rules[at].drop {
		return Verdict{Action: Drop, rule: at}
	}
	return Verdict{Action: Refuse, rule: at}
}
