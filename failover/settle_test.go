package failover

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSettles wants the fleet to come to what is true, in time, whatever has happened
// before, clients or not, and also where results of checks get lost.
func TestSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			rapid.SampledFrom([]func(*rapid.T){p.result, p.hint, p.site, p.wait, p.take, p.pin, p.release, p.reconfigure}).Draw(t, "step")(t)
		}
		p.release(t)
		f, now := p.fleet, p.model.now
		f.cfg.OnEvent = nil // the model goes no further
		truth := map[string]bool{}
		for s := range f.servers() {
			truth[s.address] = rapid.Bool().Draw(t, s.address)
		}
		lossy := rapid.Bool().Draw(t, "lossy")
		asked := rapid.Bool().Draw(t, "clients")
		pace := f.cfg.Pace
		// The longest a check, or the loss of its result, may take; as often as it takes
		// to rise or fall; and the hold-down.
		limit := now.Add(time.Duration(pace.Fall+pace.Rise+4)*(pace.MaxInterval+pace.Timeout+pace.Interval)*2 + pace.MaxHoldDown)
		for n := 0; now.Before(limit); n++ {
			now = later(now.Add(time.Millisecond), f.Next())
			for i, check := range f.Take(now, 16) {
				if lossy && (n+i)%7 == 0 {
					continue
				}
				f.Result(Result{Server: check.Server.Address, At: now.Add(time.Millisecond), OK: truth[check.Server.Address], How: Active, RTT: time.Millisecond})
			}
			if s := f.Current().Servers[0]; asked {
				f.Result(Result{Server: s.Address, At: now, OK: truth[s.Address], How: Passive})
			}
		}
		want, fit := AllDown, 0
		for _, home := range []bool{false, true} {
			for s := range f.servers() {
				if truth[s.address] && (s.site == f.cfg.Home) == home {
					if want = Swung; home {
						want = Home
					}
				}
			}
		}
		set := f.Current()
		for _, s := range set.Servers {
			if truth[s.Address] {
				fit++
			}
			if truth[s.Address] != (s.State == Up) {
				t.Fatalf("%s is %v, and answers: %v", s.Address, s.State, truth[s.Address])
			}
		}
		if set.Mode != want || set.Fit != fit {
			t.Fatalf("%v with %d fit, want %v with %d; %+v", set.Mode, set.Fit, want, fit, f.Status())
		}
	})
}
