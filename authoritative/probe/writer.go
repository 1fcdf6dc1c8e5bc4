package probe

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// A writer has edits written, one lot at a time, while probing goes on.
type writer struct {
	p     *Prober
	ready chan struct{} // there is room for another lot
	busy  bool
	done  chan written
	after time.Time // of a failure
	wait  time.Duration
}

type written struct {
	edits []store.HealthEdit
	err   error
}

// lot is how many edits are taken at once.
const lot = 1000

func newWriter(p *Prober) *writer {
	return &writer{p: p, ready: make(chan struct{}, 1), done: make(chan written, 1)}
}

// offer takes what is to be written, if nothing is being written.
func (w *writer) offer(ctx context.Context) {
	w.finish()
	registration := w.p.registration.Load()
	if w.busy || registration == nil || w.p.state.Load().members.current != registration.Revision() || time.Now().Before(w.after) {
		return
	}
	edits := w.p.rounds.edits(lot)
	if len(edits) == 0 {
		return
	}
	w.busy = true
	w.p.say(edits)
	go func() {
		_, err := w.p.opts.Client.WriteHealth(ctx, registration, edits)
		w.done <- written{edits, err}
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}()
}

// finish takes the end of a lot. What came of it the watch tells; what failed is
// looked at again.
func (w *writer) finish() {
	select {
	case got := <-w.done:
		w.busy = false
		if got.err == nil {
			w.wait = 0
			w.p.trouble.Store(nil)
			for _, e := range got.edits {
				w.p.counters.writes[e.State].Add(1)
			}
			return
		}
		w.p.fail(context.Background(), got.err)
		for _, e := range got.edits {
			w.p.rounds.unsaid[e.Address] = struct{}{}
		}
		w.wait = min(max(2*w.wait, 100*time.Millisecond), 2*time.Second)
		w.after = time.Now().Add(w.wait)
	default:
	}
}

// end waits for what is being written.
func (w *writer) end() {
	if w.busy {
		<-w.done
	}
}

// sayMost is how many addresses of one lot have a line of their own.
const sayMost = 20

// say logs what has gone down and come back, of very many their number.
func (p *Prober) say(edits []store.HealthEdit) {
	var said, more [store.Down + 1]int
	for _, e := range edits {
		was := p.rounds.known[e.Address].State
		if e.State == was || e.State == store.Unknown || e.State == store.Up && was != store.Down {
			continue // vouched for by another, not needed any more, found to be well
		}
		if said[e.State]++; said[e.State] > sayMost {
			more[e.State]++
			continue
		}
		level := slog.LevelInfo
		if e.State == store.Down {
			level = slog.LevelWarn
		}
		p.opts.Log.Log(context.Background(), level, "address is "+e.State.String(), "address", e.Address, "was", was, "checks", p.checks(e.Address))
	}
	for state, n := range more {
		if n > 0 {
			p.opts.Log.Warn("and more addresses are "+store.State(state).String(), "count", n)
		}
	}
}

func (p *Prober) checks(addr netip.Addr) []Check {
	if w := p.rounds.wards[addr]; w != nil {
		return w.checks
	}
	return nil
}
