package failover

import (
	"slices"
	"time"
)

// An Event is one transition: of a server (Server is set), of a site (only Site
// is), or of the fleet as a whole (neither is).
//
// The events of one subject form a chain: From is the last To. A server begins
// up; home begins serving and the other sites standby; the fleet begins home.
// What a new configuration brings starts with "added" and what it takes away
// ends with "removed".
type Event struct {
	At     time.Time `json:"at"`
	Site   string    `json:"site,omitempty"`
	Server string    `json:"server,omitempty"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Why    string    `json:"why"`
}

// Subject names what changed: a server's address, a site's name or "fleet".
func (e Event) Subject() string {
	switch {
	case e.Server != "":
		return "server " + e.Server
	case e.Site != "":
		return "site " + e.Site
	}
	return "fleet"
}

// What a subject was before it was there, and is after it has gone.
const (
	added   = "added"
	removed = "removed"
)

// A record keeps the latest events, and hands each on once.
type record struct {
	kept       []Event // oldest first
	most       int
	pending    []Event // not told yet
	delivering bool    // someone is telling them
}

func (r *record) add(e Event) {
	r.kept = append(r.kept, e)
	r.trim()
	r.pending = append(r.pending, e)
}

func (r *record) trim() {
	if over := len(r.kept) - r.most; over > 0 {
		r.kept = slices.Delete(r.kept, 0, over)
	}
}

// History returns the latest events, oldest first: at most Config.History.
func (f *Fleet) History() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.record.kept)
}

// deliver tells pending events, in order and unlocked, so that whoever listens
// may call the fleet. One goroutine at a time does it: one that finds another
// at it leaves its events to that one. Called and returns with the lock held.
func (f *Fleet) deliver() {
	if f.record.delivering {
		return
	}
	f.record.delivering = true
	defer func() { f.record.delivering = false }()
	for len(f.record.pending) > 0 {
		batch := f.record.pending
		f.record.pending = nil
		if f.cfg.OnEvent != nil {
			f.unlocked(f.cfg.OnEvent, batch)
		}
	}
}

// unlocked gives the lock away meanwhile, and takes it again even on a panic.
func (f *Fleet) unlocked(tell func(Event), batch []Event) {
	f.mu.Unlock()
	defer f.mu.Lock()
	for _, e := range batch {
		tell(e)
	}
}
