package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/failover"
)

// commands are what `recursor ctl` can do with failover.
func (x *external) commands() []control.Command {
	return []control.Command{
		{Name: "failover status", Help: "show which site serves, and each resolver's state", Run: func(_ context.Context, call *control.Call) error {
			return call.Value(x.fleet.Status(), nil)
		}},
		{Name: "failover history", Help: "list the transitions, oldest first", Run: func(_ context.Context, call *control.Call) error {
			events := x.fleet.History()
			return call.Value(events, func(w io.Writer) {
				for _, e := range events {
					fmt.Fprintf(w, "%s %s: %s -> %s (%s)\n", e.At.UTC().Format("2006-01-02T15:04:05.000Z"), who(e), e.From, e.To, e.Why)
				}
			})
		}},
		{Name: "failover pin", Args: "SITE", Help: "use one site's resolvers, whatever their checks say, until released", Run: func(_ context.Context, call *control.Call) error {
			if len(call.Args) != 1 {
				return errors.New("pin which site? failover pin SITE")
			}
			if err := x.fleet.Pin(call.Args[0], time.Now()); err != nil {
				return err
			}
			return call.Value(x.fleet.Status(), func(w io.Writer) { fmt.Fprintf(w, "pinned to %s\n", call.Args[0]) })
		}},
		{Name: "failover release", Help: "let the checks decide again", Run: func(_ context.Context, call *control.Call) error {
			x.fleet.Release(time.Now())
			return call.Value(x.fleet.Status(), func(w io.Writer) { fmt.Fprintln(w, "released") })
		}},
	}
}

// who says what changed: a server and its site, a site, or the fleet.
func who(e failover.Event) string {
	switch {
	case e.Server != "":
		return e.Site + "/" + e.Server
	case e.Site != "":
		return e.Site
	}
	return "fleet"
}

// event tells the log and the metrics about a transition. Status shows the latest.
func (x *external) event(e failover.Event) {
	level := slog.LevelInfo
	switch e.To {
	case failover.Down.String(), failover.Swung.String(), failover.AllDown.String():
		level = slog.LevelWarn
	}
	what := "fleet"
	switch {
	case e.Server != "":
		what = "server"
	case e.Site != "":
		what = "site"
	}
	x.moves.WithLabelValues(what, e.From, e.To).Inc()
	x.now() // questions in the air are not to wait for the next one
	if what == "fleet" && e.To != failover.AllDown.String() {
		x.retry() // who answers now may know what those before did not
	}
	x.log.Log(context.Background(), level, "failover", "subject", e.Subject(), "site", e.Site, "from", e.From, "to", e.To, "why", e.Why)
}

// status is the section of /status.
func (x *external) status() any {
	events := x.fleet.History()
	return struct {
		failover.Status
		CheckZone string           `json:"check_zone,omitempty"` // what is wrong with it
		Events    []failover.Event `json:"events"`               // oldest first
	}{x.fleet.Status(), x.checks.zoneFault(), events[max(0, len(events)-20):]}
}

// newMoves counts transitions; those that alerts are made of are there from the
// start, as a rate needs a value before.
func newMoves() *prometheus.CounterVec {
	moves := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "strata_failover_transitions_total", Help: "Transitions of external resolvers, sites, and the fleet of both.",
	}, []string{"of", "from", "to"})
	for _, way := range [][2]failover.Mode{{failover.Home, failover.Swung}, {failover.Swung, failover.Home}, {failover.Home, failover.AllDown}, {failover.Swung, failover.AllDown}} {
		moves.WithLabelValues("fleet", way[0].String(), way[1].String())
	}
	for _, way := range [][2]failover.State{{failover.Up, failover.Suspect}, {failover.Suspect, failover.Down}, {failover.Down, failover.Probation}, {failover.Probation, failover.Up}} {
		moves.WithLabelValues("server", way[0].String(), way[1].String())
	}
	return moves
}

func newAgain() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "strata_failover_asked_again_total", Help: "Questions in the air asked anew of others, as those who had them were found not to answer.",
	})
}

var (
	servingDesc = prometheus.NewDesc("strata_failover_serving", "1 for each site whose external resolvers are in use.", []string{"site", "home"}, nil)
	serverDesc  = prometheus.NewDesc("strata_failover_server_state", "1 for the state that an external resolver is in.", []string{"site", "server", "state"}, nil)
	checksDesc  = prometheus.NewDesc("strata_failover_checks_total", "Checks of an external resolver, and exchanges with it, by how they ended.", []string{"server", "how", "ok"}, nil)
)

// Describe implements prometheus.Collector.
func (x *external) Describe(ch chan<- *prometheus.Desc) {
	x.moves.Describe(ch)
	x.again.Describe(ch)
	ch <- servingDesc
	ch <- serverDesc
	ch <- checksDesc
}

// Collect implements prometheus.Collector.
func (x *external) Collect(ch chan<- prometheus.Metric) {
	x.moves.Collect(ch)
	x.again.Collect(ch)
	set := x.fleet.Current()
	for _, site := range x.fleet.Status().Sites {
		serving := 0.0
		if set.Serving(site.Name) {
			serving = 1
		}
		ch <- prometheus.MustNewConstMetric(servingDesc, prometheus.GaugeValue, serving, site.Name, fmt.Sprint(site.Home))
		for _, s := range site.Servers {
			ch <- prometheus.MustNewConstMetric(serverDesc, prometheus.GaugeValue, 1, site.Name, s.Address, s.State.String())
			for _, c := range []struct {
				how, ok string
				n       uint64
			}{{"check", "true", s.ChecksOK}, {"check", "false", s.ChecksFailed}, {"exchange", "true", s.PassiveOK}, {"exchange", "false", s.PassiveFailed}} {
				ch <- prometheus.MustNewConstMetric(checksDesc, prometheus.CounterValue, float64(c.n), s.Address, c.how, c.ok)
			}
		}
	}
}
