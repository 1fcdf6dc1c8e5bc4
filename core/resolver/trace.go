package resolver

import (
	"fmt"
	"strings"
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
	Rcode  string  `json:"rcode,omitempty"` // of an answer that says neither what there is nor that it is not
	Error  string  `json:"error,omitempty"`
}

func (h Hop) String() string {
	if h.Error != "" {
		return fmt.Sprintf("asked for %s: %s", h.Name, h.Error)
	}
	return fmt.Sprintf("asked for %s: %s answered%s in %gms", h.Name, h.Server, strings.TrimSuffix(" "+h.Rcode, " "), h.RTT)
}

// traces note who is asked while somebody wants to know. Nobody does mostly: then
// an answer from upstream costs the look at a number.
type traces struct {
	n    atomic.Int32
	mu   sync.Mutex
	open map[*trace]bool
}

// A trace is the questions of one type, in one view, that are asked while it is open, by
// name, and where aliases led from there.
type trace struct {
	typ     uint16
	view    uint32
	hops    map[string]Hop
	aliases map[string]string
}

// maxHops bounds a trace on a busy server.
const maxHops = 10_000

func (t *traces) begin(typ uint16, view uint32) *trace {
	one := &trace{typ: typ, view: view, hops: map[string]Hop{}, aliases: map[string]string{}}
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

// note takes an answer, or the lack of one.
func (t *traces) note(q *cache.Question, a upstream.Answer) {
	if t.n.Load() == 0 {
		return
	}
	h := Hop{Name: wire.NameString(q.Name)}
	if a.Err != nil {
		h.Error = a.Err.Error()
	} else {
		h.Server, h.RTT = a.Server.String(), float64(a.RTT.Round(time.Microsecond).Microseconds())/1000
		if rcode := int(a.Msg[3] & 0xf); rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
			h.Rcode = dns.RcodeToString[rcode]
		}
	}
	t.each(q, func(one *trace) { one.hops[h.Name] = h })
}

// alias takes where a question goes on.
func (t *traces) alias(q *cache.Question, target []byte) {
	if t.n.Load() == 0 {
		return
	}
	from, to := wire.NameString(q.Name), wire.NameString(target)
	t.each(q, func(one *trace) { one.aliases[from] = to })
}

// each gives the open traces that a question belongs to and that have room.
func (t *traces) each(q *cache.Question, do func(one *trace)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.open {
		if one.typ == q.Type && one.view == q.View && len(one.hops)+len(one.aliases) < maxHops {
			do(one)
		}
	}
}

// along are the hops of a closed trace for a name and for what its aliases lead to, also
// where that ended in nothing.
func (t *trace) along(m *dns.Msg, name string) (hops []Hop) {
	add := func(name string) {
		for ok := true; ok; {
			if h, asked := t.hops[name]; asked {
				hops = append(hops, h)
				delete(t.hops, name)
			}
			next, follows := t.aliases[name]
			delete(t.aliases, name)
			name, ok = next, follows
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
