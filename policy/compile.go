package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// Defaults, in seconds.
const (
	defaultNegativeTTL = 60
	defaultSynthTTL    = 300
	maxTTL             = 1<<31 - 1 // RFC 2181 §8
)

// Compile makes a Policy of a configuration. The error joins everything that is
// wrong, each named by its key: policy.synth[1].kind: unknown kind "foo"; known:
// ip, site.
func Compile(c Config, env Env) (*Policy, error) {
	b := &builder{
		index: map[string]uint32{"\x00": 0},
		nodes: []node{{nameN: 1}},
		names: []byte{0},
		rules: make([]rule, 1),
		sets:  make([]set, 1),
		tops:  builtinTops(),
	}
	b.clients(c, env)
	b.zones(c)
	b.synths(c, env)
	b.data(c)
	b.junk(c, env)
	b.aaaa(c)
	b.ttl("policy.negative_ttl", c.NegativeTTL)
	if _, err := NewLimiter(c.Rate); err != nil {
		b.problems = append(b.problems, err)
	}
	if len(b.problems) > 0 {
		return nil, errors.Join(b.problems...)
	}
	p := &Policy{
		table: newTable(b.nodes, b.names), rules: b.rules, sets: b.sets, clients: b.who, tops: b.tops,
		negative: c.NegativeTTL, counts: make([]count, len(b.rules)),
	}
	if p.negative == 0 {
		p.negative = defaultNegativeTTL
	}
	return p, nil
}

type builder struct {
	index    map[string]uint32 // name to node
	nodes    []node
	names    []byte
	rules    []rule
	sets     []set
	who      clients
	tops     map[string]topKind
	problems []error
}

func (b *builder) wrong(path, format string, args ...any) {
	b.problems = append(b.problems, fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...)))
}

func (b *builder) ttl(path string, ttl uint32) {
	if ttl > maxTTL {
		b.wrong(path, "%d is more than %d seconds", ttl, maxTTL)
	}
}

// name reads a name; an empty one is never the root.
func (b *builder) name(path, s string) []byte {
	if s == "" {
		b.wrong(path, "no name given")
		return nil
	}
	name, err := wire.ParseName(s)
	if err != nil {
		b.wrong(path, "%w", err)
		return nil
	}
	return name
}

// each reads a list of names and calls do for those that are right.
func (b *builder) each(path string, list []string, do func(path string, name []byte)) {
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if name := b.name(at, s); name != nil {
			do(at, name)
		}
	}
}

// node gives the node of a name, made with all its ancestors where it is new. The
// pointer holds until the next call.
func (b *builder) node(name []byte) *node { return &b.nodes[b.nodeAt(name)] }

func (b *builder) nodeAt(name []byte) uint32 {
	if at, ok := b.index[string(name)]; ok {
		return at
	}
	b.nodes[b.nodeAt(wire.Parent(name))].inner = true
	at := uint32(len(b.nodes))
	b.nodes = append(b.nodes, node{name: uint32(len(b.names)), nameN: uint8(len(name))})
	b.names = append(b.names, name...)
	b.index[string(name)] = at
	return at
}

func (b *builder) rule(r rule) int32 {
	b.rules = append(b.rules, r)
	return int32(len(b.rules) - 1)
}

// claim makes a name the apex of a zone, which it can be once.
func (b *builder) claim(name []byte, r rule) {
	n := b.node(name)
	if n.zone != 0 {
		was := &b.rules[n.zone]
		b.wrong(r.path, "%s is %s already by %s", wire.NameString(name), was.kind, was.path)
		return
	}
	n.zone = b.rule(r)
}

func (b *builder) zones(c Config) {
	for _, list := range []struct {
		path  string
		names []string
		kind  Kind
	}{
		{"policy.transparent", c.Transparent, KindTransparent},
		{"policy.static", c.Static, KindStatic},
		{"policy.refused", c.Refused, KindRefused},
	} {
		b.each(list.path, list.names, func(path string, name []byte) {
			b.claim(name, rule{kind: list.kind, path: path, name: wire.NameString(name)})
		})
	}
}

func (b *builder) aaaa(c Config) {
	rcode := uint8(wire.RcodeSuccess)
	switch c.BlockAAAAAnswer {
	case "", "nodata":
	case "nxdomain":
		rcode = wire.RcodeNXDomain
	default:
		b.wrong("policy.block_aaaa_answer", "unknown answer %q; known: nodata, nxdomain", c.BlockAAAAAnswer)
	}
	b.each("policy.block_aaaa", c.BlockAAAA, func(path string, name []byte) {
		if n := b.node(name); n.aaaa == 0 {
			n.aaaa = b.rule(rule{kind: KindAAAA, path: path, name: wire.NameString(name), rcode: rcode})
		}
	})
}

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
	allow, path := env.Allow, "allow"
	if len(allow) == 0 && env.Private {
		allow, path = privateClients, "allow (by default)"
	}
	for i, s := range allow {
		add(fmt.Sprintf("%s[%d]", path, i), s, rule{})
	}
	drop := b.denyDrops(c)
	for i, s := range c.Deny {
		add(fmt.Sprintf("policy.deny[%d]", i), s, rule{rcode: wire.RcodeRefused, drop: drop})
	}
	b.who = clients{open: len(allow) == 0, listed: len(all) > 0, prefix: newPrefixMap(all)}
	if !b.who.open {
		b.who.closed = b.rule(rule{kind: KindClient, path: path, name: "not in allow", rcode: wire.RcodeRefused, drop: drop})
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
			return netip.Prefix{}, err
		}
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has bits behind its length; %s is meant?", s, prefix.Masked())
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s: write IPv4 prefixes as IPv4", s)
	}
	return prefix, nil
}

// junk compiles the search domains and the top labels.
func (b *builder) junk(c Config, env Env) {
	domains := map[string]bool{}
	b.each("policy.search", c.Search, func(path string, name []byte) {
		if len(name) == 1 {
			b.wrong(path, "the root is no search domain")
			return
		}
		domains[string(name)] = true
		b.tops[lastLabel(name)] = topSure
	})
	for _, s := range env.Zones { // whose names the binary answers for
		if name, err := wire.ParseName(s); err == nil && len(name) > 1 {
			b.tops[lastLabel(name)] = topSure
		}
	}
	under := b.junkUnder(c, domains)
	for i, s := range c.Search {
		name, err := wire.ParseName(s)
		if err != nil || !under[string(name)] {
			continue
		}
		if n := b.node(name); n.junk == 0 {
			n.search = searchKindOf(name)
			n.junk = b.rule(rule{kind: KindJunk, path: fmt.Sprintf("policy.search[%d]", i), name: wire.NameString(name)})
		}
	}
	b.each("policy.junk.extra", c.Junk.Extra, func(path string, name []byte) {
		if wire.Labels(name) != 1 {
			b.wrong(path, "%s is not one label", wire.NameString(name))
			return
		}
		b.tops[lastLabel(name)] = topSure
	})
	b.each("policy.junk.keep", c.Junk.Keep, func(_ string, name []byte) {
		if wire.Labels(name) == 1 {
			delete(b.tops, lastLabel(name))
			return
		}
		b.node(name).kept = true
	})
}

// junkUnder gives the search domains that the junk rule holds under.
func (b *builder) junkUnder(c Config, domains map[string]bool) map[string]bool {
	switch {
	case len(c.Junk.Under) == 0, slices.Equal(c.Junk.Under, []string{"auto"}):
		return domains
	case slices.Equal(c.Junk.Under, []string{"off"}):
		return nil
	}
	under := map[string]bool{}
	b.each("policy.junk.under", c.Junk.Under, func(path string, name []byte) {
		if !domains[string(name)] {
			b.wrong(path, "%s is not in policy.search", wire.NameString(name))
		}
		under[string(name)] = true
	})
	return under
}

func lastLabel(name []byte) string {
	for len(wire.Parent(name)) > 1 {
		name = wire.Parent(name)
	}
	return string(label(name))
}

// data compiles the given records.
func (b *builder) data(c Config) {
	type key struct {
		name string
		typ  uint16
	}
	sets := map[key]*set{}
	var names []string
	types := map[string][]uint16{}
	for i, s := range c.Data {
		path := fmt.Sprintf("policy.data[%d]", i)
		name, typ, rr, err := parseRecord(s)
		if err != nil {
			b.wrong(path, "%w", err)
			continue
		}
		k := key{string(name), typ}
		if sets[k] == nil {
			r := rule{kind: KindData, path: path, name: wire.NameString(name) + " " + dns.TypeToString[typ]}
			sets[k] = &set{typ: typ, rule: b.rule(r)}
			if types[k.name] == nil {
				names = append(names, k.name)
			}
			types[k.name] = append(types[k.name], typ)
		}
		if has := types[k.name]; len(has) > 1 && slices.Contains(has, wire.TypeCNAME) {
			b.wrong(path, "%s has a CNAME, and so no other data (RFC 1034 §3.6.2)", wire.NameString(name))
		}
		if typ == wire.TypeCNAME && len(sets[k].rrs) > 0 {
			b.wrong(path, "%s has a CNAME already", wire.NameString(name))
		}
		sets[k].rrs = append(sets[k].rrs, rr)
	}
	for _, name := range names {
		for above := []byte(name); len(above) > 1; above = wire.Parent(above) {
			b.node(above).given = true
		}
		b.node([]byte(name)).dataSet = int32(len(b.sets))
		for _, typ := range types[name] {
			s := sets[key{name, typ}]
			s.more = true
			b.sets = append(b.sets, *s)
		}
		b.sets[len(b.sets)-1].more = false
	}
}

// parseRecord reads one record in master-file form and gives its owner and what
// follows the owner on the wire.
func parseRecord(s string) (name []byte, typ uint16, rr []byte, err error) {
	r, err := dns.NewRR(s)
	if err != nil {
		return nil, 0, nil, err
	}
	if r == nil {
		return nil, 0, nil, errors.New("no record given")
	}
	h := r.Header()
	if h.Class != wire.ClassIN || h.Ttl > maxTTL {
		return nil, 0, nil, fmt.Errorf("%q: class is not IN or TTL is more than %d seconds", s, maxTTL)
	}
	if name, err = wire.ParseName(h.Name); err != nil {
		return nil, 0, nil, err
	}
	buf := make([]byte, wire.MaxMessage)
	n, err := dns.PackRR(r, buf, 0, nil, false)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("pack %q: %w", s, err)
	}
	return name, h.Rrtype, slices.Clone(buf[wire.NameLen(buf):n]), nil
}
