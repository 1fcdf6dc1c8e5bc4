package resolver

import (
	"fmt"
	"time"

	"github.com/strata-dns/strata/core/cache"
)

// A Memory is an entry of the cache as `ctl lookup` shows it.
type Memory struct {
	Age     float64  `json:"age_seconds"`
	TTL     float64  `json:"ttl_seconds"`               // left; negative where expired
	Refresh *float64 `json:"refresh_seconds,omitempty"` // until a use has it asked for anew ahead of its expiry
	Failure bool     `json:"failure,omitempty"`
}

func (m *Memory) String() string {
	text := fmt.Sprintf("in memory for %gs, ", m.Age)
	switch {
	case m.Failure:
		text += fmt.Sprintf("a failure, asked for anew in %gs", m.TTL)
	case m.TTL <= 0:
		text += fmt.Sprintf("stale: expired %gs ago", -m.TTL)
	default:
		text += fmt.Sprintf("%gs left", m.TTL)
	}
	switch {
	case m.Refresh == nil:
	case *m.Refresh == 0:
		text += ", refresh due"
	default:
		text += fmt.Sprintf(", refresh due in %gs", *m.Refresh)
	}
	return text
}

// remembers describes what memory holds about a question.
func (r *Resolver) remembers(q *cache.Question) *Memory {
	s, ok := r.cache.Look(q)
	if !ok {
		return nil
	}
	seconds := func(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }
	m := &Memory{Age: seconds(s.Stored), TTL: seconds(s.TTL), Failure: s.Failure}
	if s.Refresh >= 0 {
		due := seconds(s.Refresh)
		m.Refresh = &due
	}
	return m
}
