package policy

import (
	"fmt"
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

// A searchKind says what may stand in front of a search domain.
type searchKind uint8

const (
	searchPlain      searchKind = iota
	searchServices              // NS.svc.ZONE: services
	searchNamespaces            // svc.ZONE: namespaces, and services in front of them
)

func searchKindOf(name []byte) searchKind {
	switch {
	case string(label(name)) == "svc":
		return searchNamespaces
	case string(label(wire.Parent(name))) == "svc":
		return searchServices
	}
	return searchPlain
}

// label is the first label of a name, empty for the root.
func label(name []byte) []byte { return name[1 : 1+int(name[0])] }

// isJunk reports whether the name is a whole name with a search domain behind.
func (p *Policy) isJunk(q *wire.Query, m *match) bool {
	if m.kept || m.ours || m.exact != nil || m.junkAt < 2 {
		return false
	}
	switch front := m.junkAt; m.search {
	case searchPlain:
		return p.top(q, front) != topNone
	case searchServices:
		return p.junkInNamespace(q, front)
	default:
		return p.junkNamespace(q, front) || p.junkInNamespace(q, front-1)
	}
}

// junkInNamespace is isJunk for front labels before a namespace. Kubernetes has
// SERVICE, HOST.SERVICE and _PORT._PROTOCOL.SERVICE there (its DNS specification
// 1.1.0, §2.3 and §2.4). NAME.NAMESPACE.svc, which lacks ZONE only, is no top label's
// but is as whole as others.
func (p *Policy) junkInNamespace(q *wire.Query, front int) bool {
	longest := 2
	if isPort(q) {
		longest = 3
	}
	switch {
	case front > longest:
		return p.top(q, front) != topNone || string(label(q.Suffix(front-1))) == "svc"
	case front == 2:
		return p.top(q, front) >= topSure
	}
	return false
}

// junkNamespace is isJunk for front labels before svc.ZONE, of which the last is a
// namespace: SERVICE.NAMESPACE has its right whatever they are called. The longest
// are _PORT._PROTOCOL.SERVICE.NAMESPACE and, with several clusters,
// HOST.CLUSTER.SERVICE.NAMESPACE.
func (p *Policy) junkNamespace(q *wire.Query, front int) bool {
	least := topSure
	switch {
	case front == 2, front == 4 && isPort(q):
		least = topExtra
	case front > 4:
		least = topOurs
	}
	return p.top(q, front) >= least
}

// isPort reports whether the name begins as those of SRV records do.
func isPort(q *wire.Query) bool { return q.Name()[1] == '_' }

// top says what the last of front labels is.
func (p *Policy) top(q *wire.Query, front int) topKind {
	return p.tops[string(label(q.Suffix(front-1)))]
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
	})
	b.topLabels(c, env, domains)
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
	b.ours(env, under)
}

// ours marks the zones of ours within search domains: their names are real.
func (b *builder) ours(env Env, under map[string]bool) {
	for _, s := range env.Zones { // whose problems the binary reports
		name, err := wire.ParseName(s)
		for up := name; err == nil && len(up) > 1; {
			if up = wire.Parent(up); under[string(up)] {
				b.node(name).ours = true
				break
			}
		}
	}
}

// topLabels adds to the well-known top labels those of ours and junk.extra, and
// leaves out what junk.keep says.
func (b *builder) topLabels(c Config, env Env, domains map[string]bool) {
	add := func(name []byte, kind topKind) {
		b.tops[lastLabel(name)] = max(b.tops[lastLabel(name)], kind)
	}
	for name := range domains {
		add([]byte(name), topOurs)
	}
	for _, s := range env.Zones {
		if name, err := wire.ParseName(s); err == nil && len(name) > 1 {
			add(name, topOurs)
		}
	}
	b.each("policy.junk.extra", c.Junk.Extra, func(path string, name []byte) {
		if wire.Labels(name) != 1 {
			b.wrong(path, "%s is not one label", wire.NameString(name))
			return
		}
		add(name, topExtra)
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
	const path = "policy.junk.under"
	switch c.Junk.Under {
	case "", "auto":
		return domains
	case "off":
		return nil
	}
	under := map[string]bool{}
	for s := range strings.FieldsSeq(c.Junk.Under) {
		name := b.name(path, s)
		if name != nil && !domains[string(name)] {
			b.wrong(path, "%s is not in policy.search; known besides: auto, off", wire.NameString(name))
		}
		under[string(name)] = true
	}
	return under
}

// lastLabel is the one before the root.
func lastLabel(name []byte) string {
	for len(wire.Parent(name)) > 1 {
		name = wire.Parent(name)
	}
	return string(label(name))
}
