package resolver

import (
	"time"

	"github.com/strata-dns/strata/core/upstream"
)

// lingering is how long a view outlives the configuration that had it: longer than
// any question is on its way, aliases followed.
const lingering = 10 * time.Second

// A departed view is one that a reload has taken out, or given other servers. Clients
// wait for what was begun in it: nobody else's servers may be asked for them (see
// Views), and its own are still there. What they say stays in that view.
type departed struct {
	targets map[*Target]*Target // by those of the routes before
	until   time.Time
	timer   *time.Timer
}

// inherit takes over from the routes before the views that are no more.
func (r *Routes) inherit(before *Routes, open func([]upstream.Server, string) (*Target, error)) error {
	if before == nil {
		return nil
	}
	for number, entries := range before.own {
		if r.own[number] != nil {
			continue // it stays
		}
		d := &departed{targets: map[*Target]*Target{}, until: time.Now().Add(lingering)}
		if was := before.left[number]; was != nil {
			d.until = was.until
		}
		left := time.Until(d.until)
		if left <= 0 {
			continue
		}
		own := map[string]*Target{}
		for name, to := range entries {
			if d.targets[to] == nil {
				again, err := open(to.Servers(), to.Manner)
				if err != nil {
					d.release()
					return err
				}
				d.targets[to] = again
			}
			own[name] = d.targets[to]
			r.lengths[len(name)] = true
		}
		d.timer = time.AfterFunc(left, d.release)
		r.own[number], r.left[number] = own, d
	}
	return nil
}

// release lets go of the servers, so that nobody is asked in the view any more.
func (d *departed) release() {
	for _, to := range d.targets {
		to.Close()
	}
}

// close is release before its time.
func (d *departed) close() {
	d.timer.Stop()
	d.release()
}
