package failover

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// ErrUnknownSite is wrapped by every error about a site that isn't configured.
var ErrUnknownSite = errors.New("unknown site")

// A Site is a place and the servers that stand in it, in the order they are
// preferred. Addresses are opaque here; an address stands in one site only.
type Site struct {
	Name    string
	Servers []string
}

// Config says who there is and how patient to be.
type Config struct {
	Home  string // the site this process stands in; must be among Sites
	Sites []Site
	Pace  Pace

	History int            // events kept; 0 means 256
	OnEvent func(Event)    // told each event once, in order, without a lock held; may be nil
	Jitter  func() float64 // in [0, 1), spreads checks; nil means random
}

// Pace holds the numbers of the `check:` block. Those after HoldDown follow
// from the ones before where they are zero.
type Pace struct {
	Interval time.Duration // between two checks of one server
	Timeout  time.Duration // the longest a check may take
	Fall     int           // failures in a row that take a server down
	Rise     int           // checks answered in a row that bring it back
	HoldDown time.Duration // the shortest stay away from home; 0 means none

	MaxInterval time.Duration // between checks while all are down; 6 × Interval
	MaxHoldDown time.Duration // while home flaps; 16 × HoldDown
	Calm        time.Duration // at home, halves a grown hold-down; 10 × HoldDown
}

// DefaultPace is what a `check:` block that says nothing means.
func DefaultPace() Pace {
	return Pace{Interval: 5 * time.Second, Timeout: time.Second, Fall: 2, Rise: 2, HoldDown: 30 * time.Second}
}

// Check tells what is wrong with the configuration, everything at once.
func (c Config) Check() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("failover: "+format, args...)) }
	sites, servers := map[string]bool{}, map[string]string{}
	for _, s := range c.Sites {
		switch {
		case s.Name == "":
			say("a site has no name")
		case sites[s.Name]:
			say("site %q is there twice", s.Name)
		case len(s.Servers) == 0:
			say("site %q has no servers", s.Name)
		}
		sites[s.Name] = true
		for _, address := range s.Servers {
			if address == "" {
				say("site %q: a server has no address", s.Name)
			} else if before, ok := servers[address]; ok {
				say("site %q: server %s is already in site %q", s.Name, address, before)
			}
			servers[address] = s.Name
		}
	}
	if !sites[c.Home] {
		say("home: %w", unknownSite(c.Home, c.Sites))
	}
	return errors.Join(append(wrong, c.Pace.check()...)...)
}

func (p Pace) check() (wrong []error) {
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"interval", p.Interval, 1}, {"timeout", p.Timeout, 1}, {"hold_down", p.HoldDown, 0},
		{"longest interval", p.MaxInterval, 0}, {"longest hold-down", p.MaxHoldDown, 0}, {"calm", p.Calm, 0},
	} {
		if d.value < d.least {
			wrong = append(wrong, fmt.Errorf("failover: %s is %v, which is too short", d.name, d.value))
		}
	}
	if p.Fall < 1 {
		wrong = append(wrong, fmt.Errorf("failover: fall is %d, must be at least 1", p.Fall))
	}
	if p.Rise < 1 {
		wrong = append(wrong, fmt.Errorf("failover: rise is %d, must be at least 1", p.Rise))
	}
	return wrong
}

func unknownSite(name string, sites []Site) error {
	known := make([]string, len(sites))
	for i, s := range sites {
		known[i] = s.Name
	}
	return fmt.Errorf("%w %q; known: %s", ErrUnknownSite, name, strings.Join(known, ", "))
}

// filled returns c with every number that follows from another set.
func (c Config) filled() Config {
	p := &c.Pace
	fill(&p.MaxInterval, 6*p.Interval, p.Interval)
	fill(&p.MaxHoldDown, 16*p.HoldDown, p.HoldDown)
	fill(&p.Calm, 10*p.HoldDown, 0)
	if c.History <= 0 {
		c.History = 256
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	return c
}

// fill sets *d to value where it is zero, and to least where it is less.
func fill(d *time.Duration, value, least time.Duration) {
	if *d == 0 {
		*d = value
	}
	*d = max(*d, least)
}

// retry is the time between checks that are in a hurry: those that confirm a
// suspicion or follow a hint. A fifth of the interval lets two of them, waited
// for as long (see server.patience), end well within one and a half intervals
// of a loss; half a second is enough for a resolver known to be quick.
func (p Pace) retry() time.Duration { return min(p.Interval/5, 500*time.Millisecond) }
