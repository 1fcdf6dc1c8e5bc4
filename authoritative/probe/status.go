package probe

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/authoritative/store"
)

// A Status is the section of /status about a Prober.
type Status struct {
	Name       string   `json:"name"`
	Registered bool     `json:"registered"`
	Probers    []string `json:"probers"`
	Needed     int      `json:"addresses_of_all"`
	Own        int      `json:"addresses"`
	Up         int      `json:"up"`
	Down       int      `json:"down"`
	Unknown    int      `json:"not_known_yet"`
	Braked     bool     `json:"braked"`
	Withheld   int      `json:"withheld"` // that would be down, were it not for the brake
	InFlight   int      `json:"checks_under_way"`
	Late       float64  `json:"late_seconds"` // of the last address whose turn came
	Trouble    string   `json:"trouble,omitempty"`

	members membership
	counted time.Time
}

// publish lets others see how it is, once a second: it looks at all addresses.
func (p *Prober) publish() {
	status := *p.state.Load()
	if now := time.Now(); now.Sub(status.counted) >= time.Second {
		status.counted = now
		status.Up, status.Down, status.Unknown = p.rounds.counts()
	}
	status.Own, status.InFlight, status.Late = len(p.rounds.wards), p.rounds.inFlight, p.rounds.late.Seconds()
	if status.Withheld = 0; status.Braked {
		status.Withheld = len(p.rounds.accused)
	}
	p.state.Store(&status)
}

// Status gives it.
func (p *Prober) Status() Status {
	s := *p.state.Load()
	s.Registered = s.members.current != 0
	p.mu.Lock()
	for name := range p.probers {
		s.Probers = append(s.Probers, name)
	}
	p.mu.Unlock()
	if trouble := p.trouble.Load(); trouble != nil {
		s.Trouble = *trouble
	}
	return s
}

// Ready implements daemon.Task: it knows all records and has its share.
func (p *Prober) Ready() bool { return p.watcher.Synced() && p.state.Load().members.current != 0 }

// Reason implements daemon.Reasoner.
func (p *Prober) Reason() string {
	s := p.Status()
	switch {
	case s.Braked:
		return fmt.Sprintf("the brake withholds that %d of %d addresses are down (probe.brake)", s.Withheld, s.Own)
	case s.Trouble != "":
		return s.Trouble
	case !p.watcher.Synced():
		return "etcd has not given all records yet"
	case !s.Registered:
		return "not registered in etcd yet"
	}
	return ""
}

// String implements daemon.Task.
func (p *Prober) String() string { return "prober " + p.opts.Name }

// counters are counted where things happen.
type counters struct {
	probes   [HTTP + 1][3]atomic.Uint64 // by kind; up, down, local
	writes   [store.Down + 1]atomic.Uint64
	failures atomic.Uint64
	brakes   atomic.Uint64
	said     time.Time
}

const (
	foundUp = iota
	foundDown
	foundNothing
)

func (c *counters) count(kind Kind, err error) {
	found := foundUp
	switch {
	case errors.Is(err, ErrLocal):
		found = foundNothing
	case err != nil:
		found = foundDown
	}
	c.probes[kind][found].Add(1)
}

// say logs that probes cannot be made, twice a minute.
func (c *counters) say(log *slog.Logger, l landing) {
	if now := time.Now(); now.Sub(c.said) >= 30*time.Second {
		c.said = now
		log.Error("probes cannot be made", "probe", l.Target, "error", l.err)
	}
}

var (
	addressesDesc  = prometheus.NewDesc("strata_probe_addresses", "Addresses that are this prober's, by what is known of them.", []string{"state"}, nil)
	probersDesc    = prometheus.NewDesc("strata_probe_probers", "Probers registered in etcd.", nil, nil)
	registeredDesc = prometheus.NewDesc("strata_probe_registered", "1 while this prober is registered, and has a share.", nil, nil)
	probesDesc     = prometheus.NewDesc("strata_probe_checks_total", "Checks made, by kind and by what was found; local: they could not be made.", []string{"kind", "found"}, nil)
	inFlightDesc   = prometheus.NewDesc("strata_probe_checks_in_flight", "Checks under way.", nil, nil)
	lateDesc       = prometheus.NewDesc("strata_probe_late_seconds", "How late the address was whose turn came last.", nil, nil)
	writesDesc     = prometheus.NewDesc("strata_probe_writes_total", "Health keys written, by state; unknown: deleted.", []string{"state"}, nil)
	failuresDesc   = prometheus.NewDesc("strata_probe_failures_total", "Writes and registrations that failed.", nil, nil)
	brakeDesc      = prometheus.NewDesc("strata_probe_brake", "1 while the brake is on: most addresses seem to have gone at once.", nil, nil)
	brakesDesc     = prometheus.NewDesc("strata_probe_brakes_total", "Times the brake went on.", nil, nil)
	withheldDesc   = prometheus.NewDesc("strata_probe_withheld", "Addresses that the brake keeps from being down.", nil, nil)
)

// Describe implements prometheus.Collector.
func (p *Prober) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{addressesDesc, probersDesc, registeredDesc, probesDesc, inFlightDesc, lateDesc, writesDesc, failuresDesc, brakeDesc, brakesDesc, withheldDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Prober) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	flag := func(d *prometheus.Desc, on bool) {
		v := 0.0
		if on {
			v = 1
		}
		gauge(d, v)
	}
	s := p.Status()
	gauge(addressesDesc, float64(s.Up), "up")
	gauge(addressesDesc, float64(s.Down), "down")
	gauge(addressesDesc, float64(s.Unknown), "unknown")
	gauge(probersDesc, float64(len(s.Probers)))
	flag(registeredDesc, s.Registered)
	gauge(inFlightDesc, float64(s.InFlight))
	gauge(lateDesc, s.Late)
	flag(brakeDesc, s.Braked)
	gauge(withheldDesc, float64(s.Withheld))
	counter(brakesDesc, p.counters.brakes.Load())
	counter(failuresDesc, p.counters.failures.Load())
	for kind := TCP; kind <= HTTP; kind++ {
		for found, label := range [...]string{"up", "down", "local"} {
			counter(probesDesc, p.counters.probes[kind][found].Load(), kind.String(), label)
		}
	}
	for state := store.Unknown; state <= store.Down; state++ {
		counter(writesDesc, p.counters.writes[state].Load(), state.String())
	}
}
