package resolver

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// A Hop is one question that was asked upstream, and who answered.
type Hop struct {
	Name   string  `json:"name"`
	Server string  `json:"server,omitempty"`
	RTT    float64 `json:"rtt_ms,omitempty"`
	Error  string  `json:"error,omitempty"`
}

func (h Hop) String() string {
	if h.Error != "" {
		return fmt.Sprintf("asked for %s: %s", h.Name, h.Error)
	}
	return fmt.Sprintf("asked for %s: %s answered in %gms", h.Name, h.Server, h.RTT)
}

// traces note who is asked while somebody wants to know. Nobody does mostly: then
// an answer from upstream costs the look at a number.
type traces struct {
	n    atomic.Int32
	mu   sync.Mutex
	open map[*trace]bool
}

// A trace is the questions of one type, in one view, that are asked while it is open, by name.
type trace struct {
	typ  uint16
	view uint32
	hops map[string]Hop
}

// maxHops bounds a trace on a busy server.
const maxHops = 10_000

func (t *traces) begin(typ uint16, view uint32) *trace {
	one := &trace{typ: typ, view: view, hops: map[string]Hop{}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[*trace]bool{}
	}
	t.open[one] = true
	t.n.Add(1)
	return one
}

// end closes a trace: its hops are the caller's.
func (t *traces) end(one *trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, one)
	t.n.Add(-1)
}

func (t *traces) note(q *cache.Question, a upstream.Answer) {
	if t.n.Load() == 0 {
		return
	}
	h := Hop{Name: wire.NameString(q.Name)}
	if a.Err != nil {
		h.Error = a.Err.Error()
	} else {
		h.Server, h.RTT = a.Server.String(), float64(a.RTT.Round(time.Microsecond).Microseconds())/1000
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.open {
		if one.typ == q.Type && one.view == q.View && len(one.hops) < maxHops {
			one.hops[h.Name] = h
		}
	}
}

// along are the hops of a closed trace for a name and for what its aliases lead to.
func (t *trace) along(m *dns.Msg, name string) (hops []Hop) {
	add := func(name string) {
		if h, ok := t.hops[name]; ok {
			hops = append(hops, h)
			delete(t.hops, name)
		}
	}
	add(name)
	for _, rr := range m.Answer {
		if alias, ok := rr.(*dns.CNAME); ok {
			add(dns.CanonicalName(alias.Target))
		}
	}
	return hops
}
