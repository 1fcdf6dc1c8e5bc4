package policy

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

// synths compiles the zones of made-up names.
func (b *builder) synths(c Config, env Env) {
	for i, s := range c.Synth {
		path := fmt.Sprintf("policy.synth[%d]", i)
		b.ttl(path+".ttl", s.TTL)
		if s.TTL == 0 {
			s.TTL = defaultSynthTTL
		}
		zone := b.name(path+".zone", s.Zone)
		switch s.Kind {
		case "ip":
			b.unused(path, s.Kind, "to", s.To != "")
			if zone != nil {
				b.synthIP(path, zone, s)
			}
		case "site":
			b.unused(path, s.Kind, "ptr", len(s.PTR) > 0)
			if zone != nil {
				b.synthSite(path, zone, s, env.Site)
			}
		default:
			b.wrong(path+".kind", "unknown kind %q; known: ip, site", s.Kind)
		}
	}
}

func (b *builder) unused(path, kind, key string, given bool) {
	if given {
		b.wrong(path+"."+key, "has no meaning for kind %s", kind)
	}
}

func (b *builder) synthIP(path string, zone []byte, s Synth) {
	if 1+maxDashed+len(zone) > wire.MaxName {
		b.wrong(path+".zone", "no room for addresses in front of %s", s.Zone)
		return
	}
	b.claim(zone, rule{kind: KindIP, path: path, name: wire.NameString(zone), ttl: s.TTL})
	for i, text := range s.PTR {
		at := fmt.Sprintf("%s.ptr[%d]", path, i)
		prefix, err := parsePrefix(text)
		if err != nil {
			b.wrong(at, "%w", err)
			continue
		}
		for _, name := range reverseZones(prefix) {
			b.claim(name, rule{kind: KindReverse, path: at, name: wire.NameString(name), ttl: s.TTL, to: zone})
		}
	}
}

// reverseZones are the reverse names that together hold a prefix: one where its
// length ends an octet (IPv6: a nibble), up to 128 (IPv6: 8) where it doesn't.
func reverseZones(p netip.Prefix) [][]byte {
	unit, suffix := 8, ".in-addr.arpa"
	labels := []string{}
	for _, o := range p.Addr().AsSlice() {
		labels = append(labels, strconv.Itoa(int(o)))
	}
	if p.Addr().Is6() {
		unit, suffix = 4, ".ip6.arpa"
		labels = strings.Split(hex.EncodeToString(p.Addr().AsSlice()), "")
	}
	n := (p.Bits() + unit - 1) / unit // labels of the zones' names
	if n == 0 {
		return [][]byte{wire.MustName(suffix[1:])}
	}
	labels = labels[:n]
	base := map[int]int{8: 10, 4: 16}[unit]
	first, _ := strconv.ParseUint(labels[n-1], base, 8)
	var zones [][]byte
	for i := range uint64(1) << (n*unit - p.Bits()) {
		labels[n-1] = strconv.FormatUint(first+i, base)
		reversed := slices.Clone(labels)
		slices.Reverse(reversed)
		zones = append(zones, wire.MustName(strings.Join(reversed, ".")+suffix))
	}
	return zones
}

func (b *builder) synthSite(path string, zone []byte, s Synth, site string) {
	if strings.Contains(s.To, "{site}") && site == "" {
		b.wrong(path+".to", "{site} stands for this process's site, which is not set")
		return
	}
	text := strings.ReplaceAll(s.To, "{site}", site)
	if strings.ContainsAny(text, "{}") {
		b.wrong(path+".to", "%q: what stands in braces is unknown; known: {site}", s.To)
		return
	}
	to := b.name(path+".to", text)
	if to == nil {
		return
	}
	if wire.IsSubdomain(to, zone) {
		b.wrong(path+".to", "%s lies within the zone itself, so that it would be rewritten for ever", wire.NameString(to))
		return
	}
	b.claim(zone, rule{kind: KindSite, path: path, name: wire.NameString(zone), ttl: s.TTL, to: to})
}
