package cache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// A model says what the cache does about one name, in the plainest way.
type model struct {
	known   bool // a good answer is stored
	failed  bool // a failure is
	stored  Instant
	life    Instant
	hold    Instant // stale at once until then
	flight  bool
	opened  Instant
	late    bool
	waiting []mailbox
	due     int // of waiting, those who should have a reply by now
	call    call
}

func (m *model) fresh(now Instant) bool  { return (m.known || m.failed) && now < m.stored+m.life }
func (m *model) usable(now Instant) bool { return m.known && now < m.stored+m.life+24*3600*1000 }

func (m *model) state(now Instant) State {
	switch {
	case m.fresh(now) && m.failed:
		return Failure
	case m.fresh(now):
		return Hit
	case m.usable(now) && now < m.hold:
		return Stale
	}
	return Miss
}

func (m *model) store(now Instant, life Instant, failed bool) {
	m.known, m.failed, m.stored, m.life, m.hold = !failed, failed, now, life, 0
}

// end has the flight fail.
func (m *model) end(now Instant) {
	if m.usable(now) {
		m.hold = m.opened + 30_000
	} else {
		m.store(now, 5000, true)
	}
	m.flight, m.due = false, len(m.waiting)
}

// pass lets the timers of the flight run up to now.
func (m *model) pass(now Instant) {
	if m.flight && !m.late && now >= m.opened+1800 {
		m.late = true
		if at := m.opened + 1800; m.usable(at) {
			if !m.fresh(at) {
				m.hold = m.opened + 30_000
			}
			m.due = len(m.waiting)
		}
	}
	if m.flight && now >= m.opened+4000 {
		m.end(m.opened + 4000)
	}
}

// near reports whether now is too close to a moment at which things change.
func (m *model) near(now Instant) bool {
	for _, at := range []Instant{m.stored + m.life, m.stored + m.life + 24*3600*1000, m.hold, m.opened + 1800, m.opened + 4000} {
		if now > at-5 && now < at+5 {
			return true
		}
	}
	return false
}

// A step is something that askers, upstream or time do.
type step struct {
	Do    string // ask, answer, fail, sleep
	Name  int    // of modelled
	TTL   int    // of answer, seconds
	Sleep int    // ms
}

var modelled = [...]string{"a.example.", "b.example.", "c.example."}

func drawStep(r *rapid.T) step {
	return step{
		Do:    rapid.SampledFrom([]string{"ask", "ask", "ask", "answer", "fail", "sleep", "sleep"}).Draw(r, "do"),
		Name:  rapid.IntRange(0, len(modelled)-1).Draw(r, "name"),
		TTL:   rapid.SampledFrom([]int{0, 1, 10, 60, 86400}).Draw(r, "ttl"),
		Sleep: rapid.SampledFrom([]int{1, 900, 1700, 1900, 4100, 9500, 11_000, 28_000, 31_000, 61_000, 3_600_000, 86_500_000}).Draw(r, "sleep"),
	}
}

// TestAgainstModel takes steps at random and compares cache and model at each.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 60, 60).Draw(r, "steps")
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			s := open(t, Options{})
			defer s.Close()
			p := pair{scene: s}
			for i, step := range steps {
				if wrong = p.take(step); wrong != "" {
					wrong = fmt.Sprintf("step %d, %+v: %s", i, step, wrong)
					return
				}
			}
		})
		if wrong != "" {
			r.Fatal(wrong)
		}
	})
}

// A pair is a cache and what the model says of it, name by name.
type pair struct {
	*scene
	models [len(modelled)]model
}

// take takes a step and tells what is wrong behind it, if anything is.
func (p *pair) take(step step) string {
	now, wrong := p.steady()
	if wrong != "" {
		return wrong
	}
	m, name := &p.models[step.Name], modelled[step.Name]
	switch {
	case step.Do == "sleep":
		return p.sleep(time.Duration(step.Sleep) * time.Millisecond)
	case step.Do == "ask":
		return p.query(m, name, now)
	case !m.flight:
		return ""
	case step.Do == "fail":
		m.call.servfail()
		m.end(now)
	case step.Do == "answer":
		m.call.answer(fmt.Sprintf("%s %d IN A 192.0.2.1", name, step.TTL))
		if step.TTL > 0 {
			m.store(now, Instant(step.TTL)*1000, false)
		}
		m.flight, m.due = false, len(m.waiting)
	}
	return p.replies()
}

func (p *pair) query(m *model, name string, now Instant) string {
	_, state := p.ask(name, dns.TypeA)
	if want := m.state(now); state != want {
		return fmt.Sprintf("at %d: %v, want %v of %+v", now, state, want, m)
	}
	if state != Miss {
		return ""
	}
	m.waiting = append(m.waiting, p.wait(name, dns.TypeA))
	switch {
	case !m.flight:
		m.call, m.flight, m.late, m.opened = p.next(), true, false, now
	case m.late && m.usable(now):
		m.due = len(m.waiting)
	}
	p.quiet()
	return p.replies()
}

// sleep lets time pass, no more than one timer of a flight at once.
func (p *pair) sleep(left time.Duration) (wrong string) {
	for left > 0 && wrong == "" {
		some := left
		for i := range p.models {
			if p.models[i].flight {
				some = min(left, time.Second)
			}
		}
		time.Sleep(some)
		left -= some
		_, wrong = p.steady()
	}
	return wrong
}

// steady gets past all moments at which things change, and has the models do so.
func (p *pair) steady() (Instant, string) {
	for i := 0; i < len(p.models); {
		if p.models[i].near(p.Now()) {
			time.Sleep(3 * time.Millisecond)
			i = 0
			continue
		}
		i++
	}
	now := p.Now()
	for i := range p.models {
		p.models[i].pass(now)
	}
	return now, p.replies()
}

// replies checks that those and only those have a reply who should.
func (p *pair) replies() string {
	synctest.Wait()
	for i := range p.models {
		m := &p.models[i]
		for ; m.due > 0; m.due-- {
			if len(m.waiting[0]) != 1 {
				return fmt.Sprintf("%d replies for one who asked for %s", len(m.waiting[0]), modelled[i])
			}
			m.waiting = m.waiting[1:]
		}
		for _, box := range m.waiting {
			if len(box) != 0 {
				return "a reply too early for " + modelled[i]
			}
		}
	}
	return ""
}
