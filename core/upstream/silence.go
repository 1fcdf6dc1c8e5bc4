package upstream

import (
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// While all servers of a set are silent, questions tell whether one is back: a few
// of them are enough. The others are refused at once, so that what waits for nothing
// does not take memory and processor time from what can be answered. Few questions
// are never refused. Of those that wait already a few are asked again.
const (
	probePause  = 20 * time.Millisecond // between questions about names of one parent
	probeBurst  = 32                    // so many at once
	probeShares = 64                    // parents share by hash: a flood of names below one leaves the others' alone
)

// probes is when the questions admitted so far are paid for, by the parent of their
// names: a leaky bucket (GCRA) each.
type probes [probeShares]atomic.Int64

func (p *probes) share(name []byte) *atomic.Int64 { return &p[wire.HashName(parent(name))%probeShares] }

func beyondBurst(paid, now int64) bool { return paid-now > (probeBurst-1)*int64(probePause) }

// spent reports whether admit would say no.
func (p *probes) spent(name []byte, now int64) bool { return beyondBurst(p.share(name).Load(), now) }

// admit reports whether a question may be asked now.
func (p *probes) admit(name []byte, now int64) bool {
	paid := p.share(name)
	for {
		was := paid.Load()
		if beyondBurst(was, now) {
			return false
		}
		if paid.CompareAndSwap(was, max(was, now)+int64(probePause)) {
			return true
		}
	}
}

// parent is a name without its first label.
func parent(name []byte) []byte { return name[min(1+int(name[0]), len(name)-1):] }

// mute reports whether a server that is backed off has been silent, to more than a
// few queries, for so long that nothing is to be expected of it. One that says that it cannot
// help is not mute: that may be the question's fault.
func (h *health) mute(now int64) bool { return h.down() && h.quiet(now) }

// mute reports whether all servers are.
func mute(servers []*server, now int64) bool {
	for _, s := range servers {
		if !s.mute(now) {
			return false
		}
	}
	return true
}

// refuses reports whether a question is not asked, for nobody would answer.
func (s *Set) refuses(q *Question, servers []*server) bool {
	if !servers[0].down() { // mostly
		return false
	}
	now := s.engine.now()
	if !mute(servers, now) || s.probes.admit(q.Name, now) {
		return false
	}
	s.refuse(servers, now)
	return true
}

// refuse counts a question that is not asked.
func (s *Set) refuse(servers []*server, now int64) {
	servers[0].refused.Add(1)
	s.engine.refused.Store(now)
}

// Refuses reports whether a question about a folded name would get ErrMute at this moment, and
// counts it if so: for who answers floods of such questions without a way to
// ask them. It allocates nothing.
func (s *Set) Refuses(name []byte) bool {
	servers := *s.servers.Load()
	if len(servers) == 0 || !servers[0].down() {
		return false
	}
	now := s.engine.now()
	if !mute(servers, now) || !s.probes.spent(name, now) {
		return false
	}
	s.refuse(servers, now)
	return true
}

// vain reports whether asking a flight's servers again would only be more of the same:
// none of them replies any more, to whatever. The questions that are asked to find that
// out are asked of each server, as ever.
func (s *shard) vain(f *flight, now int64) bool {
	return f.open > 0 && !f.scout && f.servers[0].down() && mute(f.servers, now) && !f.servers[0].again.admit(f.name(), now)
}

// bide has a flight wait for its next turn without asking anybody.
func (s *shard) bide(f *flight, now int64) {
	f.onTime++
	s.wait(f, now+int64(pause(f.servers[0], int(f.onTime), false)))
}

// refusing is for how long it is likely that a question is refused as the last one was.
const refusing = int64(time.Second)

// Refusing reports whether a set has refused questions of late. Mostly none has, and
// then it costs next to nothing.
func (e *Engine) Refusing() bool {
	at := e.refused.Load()
	if at == 0 || e.now()-at < refusing {
		return at != 0
	}
	e.refused.CompareAndSwap(at, 0)
	return false
}
