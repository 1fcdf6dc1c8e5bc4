package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// What dnsperf is run with, for every contender. Tried with --tune on an idle
// machine of two cores: 100 in flight over one socket brings the fastest servers
// to 92 % of the most that any setting did (500 over 10 sockets), dnsperf's CPU is
// then full, and nobody loses a query. With 200 and more in flight Knot does:
// it keeps the system's default receive buffer. The run with 50 sockets shows
// what depends on their number.
const (
	defaultClients  = 1
	defaultInFlight = 100
)

// tune tries dnsperf's settings against the authoritatives that are installed
// and prints the medians: a habit for whoever changes the defaults above.
func tune(ctx context.Context, set Setting) error {
	t, err := newTable(ctx, set, authoritatives, "")
	if err != nil {
		return err
	}
	seat := Seat{Origin: origin, Zone: filepath.Join(set.Work, "zone")}
	present := filepath.Join(set.Work, "existing")
	if err := writeZone(seat.Zone, set.Hosts); err != nil {
		return err
	}
	if err := writeQueries(present, set.Hosts, queries, false); err != nil {
		return err
	}
	var loads []Load
	for _, clients := range []int{1, 4, 10, 50} {
		for _, outstanding := range []int{20, 50, 100, 200, 500, 1000} {
			if outstanding >= clients {
				loads = append(loads, Load{File: present, Clients: clients, Outstanding: outstanding, Seconds: set.Seconds})
			}
		}
	}
	name := func(l Load) string { return fmt.Sprintf("-c %d -q %d", l.Clients, l.Outstanding) }
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, set.Hosts-1, time.Minute); err != nil {
			return err
		}
		if err := set.check(ctx, s, present, queries, 0); err != nil {
			return err
		}
		for _, load := range loads {
			sample, err := set.measure(ctx, s, load)
			if err != nil {
				return err
			}
			t.add(sample, name(load), c, round)
		}
		return nil
	})
	for _, load := range loads {
		for _, e := range t.run.Entries {
			slog.Info("tuned", "dnsperf", name(load), "contender", e.Name, "queries/s", t.run.cell(name(load), e.Name, queryRate),
				"us/query", t.run.cell(name(load), e.Name, cpuPerQuery), "lost", t.run.cell(name(load), e.Name, lost))
		}
	}
	return err
}
