package resolver

import (
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/upstream"
)

// A companion is an answerer that receives replies of upstream servers, too, between its
// batches: a share of the engine's, where there is one left.
type companion struct {
	*answerer
	tender *upstream.Tender // nil where there is none left
}

var _ plane.Companion = (*companion)(nil)

// Join implements plane.Companion.
func (c *companion) Join() {
	c.accompanied = true
	if c.r.engine != nil {
		c.tender = c.r.engine.Tend()
	}
}

// Leave implements plane.Companion.
func (c *companion) Leave() {
	c.accompanied = false
	if c.tender != nil {
		c.tender.Close()
	}
}

// Sent implements plane.Companion: what a batch asks upstream leaves behind the answers
// that memory had for it.
func (c *companion) Sent() { c.release() }

// FD implements plane.Companion.
func (c *companion) FD() int {
	if c.tender == nil {
		return -1
	}
	return c.tender.FD()
}

// Awaits implements plane.Companion.
func (c *companion) Awaits() bool { return c.tender != nil && c.tender.Awaits() }

// Turn implements plane.Companion.
func (c *companion) Turn() { c.tender.Turn() }
