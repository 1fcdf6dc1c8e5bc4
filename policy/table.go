package policy

import "github.com/strata-dns/strata/core/wire"

// A node is one name of the rules, or an ancestor of one, in one cache line. Every
// ancestor is a node, so that a walk from the root ends at the first suffix without
// one, and a node's first label and parent say its whole name.
type node struct {
	zone    int32 // rules, 0: none
	aaaa    int32
	junk    int32
	dataSet int32 // first RRset of given data, 0: none
	parent  uint32
	name    uint32 // where in table.names
	nameN   uint8
	below   below
	kept    bool // no junk from here on
	ours    bool // a zone of ours in a search domain: no junk of that domain from here on
	search  searchKind
	labelN  uint8
	label   [inlineLabel]byte // the first label, if it is no longer than that
}

const inlineLabel = 34

// below says what sorts of rules stand below a node.
type below uint8

const (
	belowAAAA  below = 1 << iota // blocked AAAA, which matters to nobody else
	belowOther                   // what matters whatever the type
	belowNames                   // zones or data: names that exist
)

// A slot is the upper half of a name's hash, and its node; 0 is free, as the root
// is no slot's.
type slot uint64

const tagBits = 32

// A table finds nodes by the hash of their names: open addressing, at most half
// full, never changed once built.
type table struct {
	slots []slot
	nodes []node // [0] is the root's; parents stand before their children
	names []byte
}

func newTable(nodes []node, names []byte) table {
	size := 2
	for size < 2*len(nodes) {
		size *= 2
	}
	t := table{make([]slot, size), nodes, names}
	mask := uint64(size - 1)
	for i := 1; i < len(nodes); i++ {
		h := wire.HashName(t.name(&nodes[i]))
		at := h & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = slot(h>>tagBits<<tagBits | uint64(i))
	}
	for i := len(nodes) - 1; i > 0; i-- {
		n := &nodes[i]
		nodes[n.parent].below |= n.below | t.sorts(n)
	}
	return t
}

// sorts is what a node itself is to those above it. A name that a rule for AAAA
// mentions within a search domain is no junk, whatever the type.
func (t *table) sorts(n *node) (s below) {
	if n.zone != 0 || n.dataSet != 0 {
		s |= belowNames | belowOther
	}
	if n.junk != 0 || n.kept || n.ours {
		s |= belowOther
	}
	if n.aaaa == 0 {
		return s
	}
	for up := n; up.nameN > 1; {
		if up = &t.nodes[up.parent]; up.junk != 0 {
			return s | belowAAAA | belowOther
		}
	}
	return s | belowAAAA
}

func (t *table) name(n *node) []byte { return t.names[n.name : n.name+uint32(n.nameN)] }

// find gives the child of a node with a label in front, 0 for none; hash is that of
// the child's whole name.
func (t *table) find(hash uint64, parent uint32, label []byte) uint32 {
	mask := uint64(len(t.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s == 0 {
			return 0
		}
		if uint64(s)>>tagBits == hash>>tagBits && t.is(&t.nodes[uint32(s)], parent, label) {
			return uint32(s)
		}
	}
}

// is compares: two names may have the same hash.
func (t *table) is(n *node, parent uint32, label []byte) bool {
	if n.parent != parent || int(n.labelN) != len(label) {
		return false
	}
	if len(label) > inlineLabel {
		return string(t.names[n.name+1:n.name+1+uint32(n.labelN)]) == string(label)
	}
	return string(n.label[:n.labelN]) == string(label)
}

// A match is what a walk met: of each sort of rule the one with the longest
// suffix, and the label that suffix begins with.
type match struct {
	zone, aaaa, junk       int32
	zoneAt, aaaaAt, junkAt int
	search                 searchKind
	kept, ours             bool
	exact                  *node // of the whole name, nil for none
	lookups                int
}

// walk goes from the root towards the whole name and ends where no rule is left
// that matters for the query's type.
func (t *table) walk(q *wire.Query, m *match) {
	if q.Type == wire.TypeAAAA {
		t.walkFor(q, m, belowAAAA|belowOther)
		return
	}
	t.walkFor(q, m, belowOther)
}

func (t *table) walkFor(q *wire.Query, m *match, sorts below) {
	at := uint32(0)
	m.lookups = 1
	for i := q.Labels; ; {
		n := &t.nodes[at]
		m.meet(n, i)
		if i == 0 {
			m.exact = n
			return
		}
		if n.below&sorts == 0 {
			return
		}
		i--
		m.lookups++
		if at = t.find(q.Hash[i], at, label(q.Suffix(i))); at == 0 {
			return
		}
	}
}

func (m *match) meet(n *node, i int) {
	if n.zone != 0 {
		m.zone, m.zoneAt = n.zone, i
	}
	if n.aaaa != 0 {
		m.aaaa, m.aaaaAt = n.aaaa, i
	}
	if n.junk != 0 {
		m.junk, m.junkAt, m.search, m.ours = n.junk, i, n.search, false
	} else if n.ours {
		m.ours = true
	}
	m.kept = m.kept || n.kept
}
