package policy

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

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
	at := c.prefix.find(addr)
	switch {
	case at == 0 && c.open, at != 0 && p.rules[at].rcode == 0:
		return Verdict{}
	case at == 0:
		at = c.closed
	}
	if p.rules[at].drop {
		return Verdict{Action: Drop, why: why{rule: at}}
	}
	return Verdict{Action: Refuse, why: why{rule: at}}
}

// clients compiles who may ask.
func (b *builder) clients(c Config, env Env) {
	var all []prefixValue
	seen := map[netip.Prefix]string{}
	add := func(path, s string, r rule) {
		prefix, err := parsePrefix(s)
		if err != nil {
			b.wrong(path, "%w", err)
			return
		}
		if was, ok := seen[prefix]; ok {
			b.wrong(path, "%s is in %s already", prefix, was)
			return
		}
		seen[prefix] = path
		r.kind, r.path, r.name = KindClient, path, prefix.String()
		all = append(all, prefixValue{prefix, b.rule(r)})
	}
	drop := b.denyDrops(c)
	for i, s := range c.Deny {
		add(fmt.Sprintf("policy.deny[%d]", i), s, rule{rcode: wire.RcodeRefused, drop: drop})
	}
	for i, s := range env.Allow {
		add(fmt.Sprintf("allow[%d]", i), s, rule{})
	}
	if len(env.Allow) == 0 && env.Private {
		for _, s := range privateClients {
			if _, denied := seen[netip.MustParsePrefix(s)]; !denied {
				add("allow by default", s, rule{})
			}
		}
	}
	b.who = clients{open: len(env.Allow) == 0 && !env.Private, listed: len(all) > 0, prefix: newPrefixMap(all)}
	if !b.who.open {
		b.who.closed = b.rule(rule{kind: KindClient, path: "allow", name: "not in allow", rcode: wire.RcodeRefused, drop: drop})
	}
}

func (b *builder) denyDrops(c Config) bool {
	switch c.DenyAnswer {
	case "", "refuse":
	case "drop":
		return true
	default:
		b.wrong("policy.deny_answer", "unknown answer %q; known: refuse, drop", c.DenyAnswer)
	}
	return false
}

// parsePrefix reads a prefix, or an address as the longest prefix of it.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, notPrefix(s)
		}
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, notPrefix(s)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has bits behind its length; %s is meant?", s, prefix.Masked())
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s: write IPv4 prefixes as IPv4", s)
	}
	return prefix, nil
}

func notPrefix(s string) error {
	return fmt.Errorf("found %q, expected a network or an address, such as 10.0.0.0/8 or 2001:db8::1", s)
}
