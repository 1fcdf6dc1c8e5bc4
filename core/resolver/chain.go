package resolver

import "sync"

// chains know which questions wait for which others, as those are their aliases'
// targets. Each question in the air is asked once, so a circle of them would wait
// for itself until the budget is over; here it is seen when it is closed.
type chains struct {
	mu    sync.Mutex
	links map[string]*link // by question
}

// A link is one question of a chain.
type link struct {
	next    string // what it waits for; "" where for nothing
	waits   int    // how often: a question asked anew may wait beside its old self
	waiters int    // questions that wait for it
	depth   int    // how many before it wait, at most
}

// begin notes that from waits for to. It reports false, and notes nothing, where
// to waits for from already, or the chain has got too long.
func (c *chains) begin(from, to string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	depth := 1
	if l := c.links[from]; l != nil {
		depth += l.depth
	}
	if depth > maxAliases {
		return false
	}
	at := to
	for range maxAliases {
		if at == from {
			return false
		}
		l := c.links[at]
		if l == nil || l.next == "" {
			break
		}
		at = l.next
	}
	a, b := c.link(from), c.link(to)
	a.next = to
	a.waits++
	b.waiters++
	b.depth = max(b.depth, depth)
	return true
}

func (c *chains) link(question string) *link {
	if c.links == nil {
		c.links = map[string]*link{}
	}
	l := c.links[question]
	if l == nil {
		l = &link{}
		c.links[question] = l
	}
	return l
}

// end undoes one begin.
func (c *chains) end(from, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, b := c.links[from], c.links[to]
	if a.waits--; a.waits == 0 {
		a.next = ""
	}
	b.waiters--
	c.drop(from, a)
	c.drop(to, b)
}

func (c *chains) drop(question string, l *link) {
	if l.waits == 0 && l.waiters == 0 {
		delete(c.links, question)
	}
}
