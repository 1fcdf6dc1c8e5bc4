package cache

import "github.com/strata-dns/strata/core/wire"

// A Match chooses entries. The zero Match is all of them; fields that are set
// must all agree.
type Match struct {
	Name  []byte // folded: this name
	Under []byte // folded: this name and all below it
	Type  uint16 // 0 is any
}

func (m *Match) matches(e *entry) bool {
	return (m.Name == nil || string(e.name()) == string(m.Name)) &&
		(m.Under == nil || wire.IsSubdomain(e.name(), m.Under)) &&
		(m.Type == 0 || m.Type == e.qtype())
}

// Flush drops the entries that match, and returns how many there were. An answer
// that was asked for before the flush is delivered but not stored.
func (c *Cache) Flush(m Match) int {
	c.flushed.Add(1)
	return c.drop(m.matches)
}

// sweep drops what will never be served again.
func (c *Cache) sweep() {
	now := c.Now()
	c.drop(func(e *entry) bool { return !e.fresh(now) && !e.usable(now, c.staleFor) })
}

func (c *Cache) drop(which func(*entry) bool) int {
	n := 0
	c.index.each(func(e *entry) bool {
		if which(e) && c.index.remove(e) {
			n++
		}
		return true
	})
	return n
}
