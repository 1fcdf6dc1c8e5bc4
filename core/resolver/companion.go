package resolver

import (
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/upstream"
)

// A companion is an answerer that receives replies of upstream servers, too, between its
// batches: a share of the engine's, where there is one left.
type companion struct {
	*answerer
	tender *upstream.Tender
}

var _ plane.Companion = (*companion)(nil)

// Join implements plane.Companion.
func (c *companion) Join() {
	if c.r.engine != nil {
		c.tender = c.r.engine.Tend()
	}
}

// Leave implements plane.Companion.
func (c *companion) Leave() {
	if c.tender != nil {
		c.tender.Close()
	}
}

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
