package observe

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// A Sort of what is counted.
type Sort int

// What may be asked for most.
const (
	Names    Sort = iota
	Clients       // addresses that ask
	Junk          // names with a search domain appended that were whole before
	Missing       // names that do not exist, as upstream says
	Suffixes      // the last two labels of names
	sorts
)

var sortNames = [sorts]string{"names", "clients", "junk", "missing", "suffixes"}

func (s Sort) String() string { return sortNames[s] }

// Sorts are all there are.
func Sorts() []Sort { return []Sort{Names, Clients, Junk, Missing, Suffixes} }

// tables are what is asked for most, of each sort.
type tables struct {
	mu      sync.Mutex
	config  Top
	since   time.Time // the beginning of counting
	windows [sorts]window
	seen    window // with one key: how many were counted in all
}

func (t *tables) reset(c Top) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.config, t.since = c, time.Now()
	for s := range t.windows {
		t.windows[s] = newWindow(c.Size)
	}
	t.seen = newWindow(1)
}

func epoch(unix int64) int64 { return unix / int64(generation) }

// see counts an event.
func (t *tables) see(e *Event, from Source) {
	at := epoch(e.Time)
	if !e.Late {
		t.seen.add(nil, at)
		addr := e.Client.Addr().As16()
		t.windows[Clients].add(addr[:], at)
	}
	if len(e.Name) == 0 {
		return
	}
	if !e.Late {
		t.windows[Names].add(e.Name, at)
		t.windows[Suffixes].add(suffix(e.Name), at)
	}
	if from.Junk {
		t.windows[Junk].add(e.Name, at)
	}
	if e.Rcode == wire.RcodeNXDomain && !from.Rules {
		t.windows[Missing].add(e.Name, at)
	}
}

// suffix is the last two labels of a name.
func suffix(name []byte) []byte {
	last, before := 0, 0 // where the last label begins, and the one in front of it
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		before, last = last, i
	}
	return name[before:]
}

func (b *Observer) runTop(ctx context.Context) {
	for b.pipes[topKind].wait(ctx, 0) {
		b.drainTop()
	}
}

func (b *Observer) drainTop() {
	b.top.mu.Lock()
	defer b.top.mu.Unlock()
	now := epoch(time.Now().UnixNano())
	b.top.seen.begin(now)
	for s := range b.top.windows {
		b.top.windows[s].begin(now)
	}
	b.pipes[topKind].drain(func(e *Event) bool {
		if b.top.config.Sample > 0 {
			b.top.see(e, b.source(e.Source))
			b.pipes[topKind].written.Add(1)
		}
		return true
	})
}

// A Ranking is what was asked for most lately.
type Ranking struct {
	What    string  `json:"what"`
	Sample  int     `json:"sample"`         // one in so many queries was counted
	Seconds float64 `json:"window_seconds"` // that were counted
	Queries uint64  `json:"queries"`        // in all, by the sample
	Ranks   []Rank  `json:"ranks"`
}

// A Rank is one name or client. By the sample there were from AtLeast to Queries
// queries.
type Rank struct {
	Key     string `json:"key"`
	Queries uint64 `json:"queries"`
	AtLeast uint64 `json:"at_least"`
}

// Top ranks what was asked for most in the last one to two minutes, at most n of
// it. It fails where that is turned off.
func (b *Observer) Top(what Sort, n int) (Ranking, error) {
	b.drainTop()
	t := &b.top
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.config.Sample == 0 {
		return Ranking{}, fmt.Errorf("top is off: top.sample is 0")
	}
	now := time.Now()
	begin := time.Unix(0, (epoch(now.UnixNano())-1)*int64(generation))
	if begin.Before(t.since) {
		begin = t.since
	}
	every := uint64(t.config.Sample)
	r := Ranking{What: what.String(), Sample: t.config.Sample, Seconds: now.Sub(begin).Seconds(), Ranks: []Rank{}}
	for _, c := range t.seen.most(1) {
		r.Queries = c.count * every
	}
	for _, c := range t.windows[what].most(n) {
		r.Ranks = append(r.Ranks, Rank{keyText(what, c.key), c.count * every, (c.count - c.err) * every})
	}
	return r, nil
}

func keyText(what Sort, key string) string {
	if what == Clients {
		return netip.AddrFrom16([16]byte([]byte(key))).Unmap().String()
	}
	return wire.NameString([]byte(key))
}
