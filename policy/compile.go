package policy

import (
	"fmt"
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

// Defaults, in seconds.
const (
	defaultNegativeTTL = 60
	defaultSynthTTL    = 300
	maxTTL             = 1<<31 - 1 // RFC 2181 §8
)

// How many rules of each kind have metrics of their own.
const (
	defaultSeries = 1000
	maxSeries     = 100_000
)

// A Problem is one thing that is wrong with a configuration.
type Problem struct {
	Key string // policy.synth[1].kind
	Err error
}

func (p Problem) Error() string { return p.Key + ": " + p.Err.Error() }
func (p Problem) Unwrap() error { return p.Err }

// Problems are all that is wrong with a configuration.
type Problems []Problem

// Error has one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Compile makes a Policy of a configuration. Its error is of type [Problems] and
// holds everything that is wrong, each with its key: policy.synth[1].kind: unknown
// kind "foo"; known: ip, site.
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
	if c.RuleMetrics < 0 || c.RuleMetrics > maxSeries {
		b.wrong("policy.rule_metrics", "%d is not within 0 and %d", c.RuleMetrics, maxSeries)
	}
	b.problems = append(b.problems, c.Rate.problems()...)
	if len(b.problems) > 0 {
		return nil, b.problems
	}
	p := &Policy{
		table: newTable(b.nodes, b.names), rules: b.rules, sets: b.sets, clients: b.who, tops: b.tops,
		negative: c.NegativeTTL, aaaa: b.blocked,
	}
	p.counts.base = make([]uint64, len(b.rules))
	p.shared = p.Tally()
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
	blocked  uint8 // the response code to a blocked AAAA
	problems Problems
}

func (b *builder) wrong(path, format string, args ...any) {
	b.problems = append(b.problems, Problem{path, fmt.Errorf(format, args...)})
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
	if wire.IsWildcard(name) {
		b.wrong(path, "%q: a rule holds for all below its name: leave the asterisk out", s)
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
	n := node{parent: b.nodeAt(wire.Parent(name)), nameN: uint8(len(name)), labelN: name[0]}
	copy(n.label[:], label(name))
	at := uint32(len(b.nodes))
	n.name = uint32(len(b.names))
	b.nodes = append(b.nodes, n)
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
	switch c.BlockAAAAAnswer {
	case "", "nodata":
	case "nxdomain":
		b.blocked = wire.RcodeNXDomain
	default:
		b.wrong("policy.block_aaaa_answer", "unknown answer %q; known: nodata, nxdomain", c.BlockAAAAAnswer)
	}
	b.each("policy.block_aaaa", c.BlockAAAA, func(path string, name []byte) {
		if n := b.node(name); n.aaaa == 0 {
			n.aaaa = b.rule(rule{kind: KindAAAA, path: path, name: wire.NameString(name)})
		}
	})
}
