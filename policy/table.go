package policy

import "github.com/strata-dns/strata/core/wire"

// A node is one name of the rules, or an ancestor of one. Every ancestor is a
// node, so that a walk from the root ends at the first suffix without one.
type node struct {
	name    uint32 // where in table.names
	nameN   uint8
	inner   bool // nodes stand below
	kept    bool // no junk from here on
	search  searchKind
	zone    int32 // rules, 0: none
	aaaa    int32
	junk    int32
	dataSet int32 // first RRset of given data, 0: none
}

type slot struct {
	hash uint64
	node uint32 // 0: free; the root is no slot's
}

// A table finds nodes by the hash of their names: open addressing, at most half
// full, never changed once built.
type table struct {
	slots []slot
	nodes []node // [0] is the root's
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
		for t.slots[at].node != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = slot{h, uint32(i)}
	}
	return t
}

func (t *table) name(n *node) []byte { return t.names[n.name : n.name+uint32(n.nameN)] }

// find gives the node of a name, 0 for none.
func (t *table) find(hash uint64, name []byte) uint32 {
	mask := uint64(len(t.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := &t.slots[at]
		if s.node == 0 {
			return 0
		}
		if s.hash == hash && string(t.name(&t.nodes[s.node])) == string(name) {
			return s.node
		}
	}
}

// A match is what a walk met: of each sort of rule the one with the longest
// suffix, and the label that suffix begins with.
type match struct {
	zone, aaaa, junk       int32
	zoneAt, aaaaAt, junkAt int
	search                 searchKind
	kept                   bool
	exact                  *node // of the whole name, nil for none
	lookups                int
}

// walk goes from the root towards the whole name and ends where no rule is left.
func (t *table) walk(q *wire.Query, m *match) {
	n := &t.nodes[0]
	m.lookups = 1
	for i := q.Labels; ; {
		m.meet(n, i)
		if i == 0 {
			m.exact = n
			return
		}
		if !n.inner {
			return
		}
		i--
		m.lookups++
		at := t.find(q.Hash[i], q.Suffix(i))
		if at == 0 {
			return
		}
		n = &t.nodes[at]
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
		m.junk, m.junkAt, m.search = n.junk, i, n.search
	}
	m.kept = m.kept || n.kept
}
