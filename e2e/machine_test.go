package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// tolerable is how late a goroutine may wake up on a machine that stories with
// bounds in time can say something on.
const tolerable = 100 * time.Millisecond

// A pulse tells when the machine stood still: others had the processors, or the
// hypervisor gave none.
type pulse struct {
	begin sync.Once
	mu    sync.Mutex
	last  time.Time // it beat
	gaps  []gap
}

type gap struct {
	at   time.Time
	long time.Duration
}

var beat pulse

// watch begins to take the pulse.
func (p *pulse) watch() {
	p.begin.Do(func() {
		p.last = time.Now()
		go func() {
			for {
				time.Sleep(rest)
				p.mu.Lock()
				p.gaps = append(p.gaps, p.since(time.Now())...)
				p.last = time.Now()
				p.mu.Unlock()
			}
		}()
	})
}

// rest is the time between two beats.
const rest = 10 * time.Millisecond

// since is the gap between the last beat and now, if there is one, for who holds the lock.
func (p *pulse) since(now time.Time) []gap {
	if late := now.Sub(p.last) - rest; late > tolerable {
		return []gap{{now, late}}
	}
	return nil
}

// stood is for how long the machine stood still at most since a time, and in all.
func (p *pulse) stood(since time.Time) (most, all time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range append(p.since(time.Now()), p.gaps...) {
		if g.at.After(since) {
			most, all = max(most, g.long), all+g.long
		}
	}
	return most, all
}

// stories are when the tests of this run began that go by time.
var stories sync.Map // of time.Time, by name

// fail fails a story, unless the machine stood still since it began: then it says
// nothing about the programs, and is skipped.
func fail(t *testing.T, format string, args ...any) {
	t.Helper()
	what := fmt.Sprintf(format, args...)
	if began, ok := stories.Load(t.Name()); ok {
		if stood, _ := beat.stood(began.(time.Time)); stood > 0 {
			t.Skipf("the machine stood still for %s meanwhile; %s", stood.Round(time.Millisecond), what)
		}
	}
	t.Error(what)
}

// comesAbout waits until something holds in a story, a minute at most.
func comesAbout(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			fail(t, "not seen in a minute: %s", what)
			t.FailNow()
		}
	}
}
