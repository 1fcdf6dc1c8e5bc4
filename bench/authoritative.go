package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// The loads of the table authoritative, by the names the report gives them.
const (
	existing    = "existing names"
	halfMissing = "half of the names missing"
	manySockets = "existing names, 50 client sockets"
)

const queries = 200_000 // lines in a query file; dnsperf starts over at its end

// authoritative measures the zone of set.Hosts names under three loads.
func authoritative(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, authoritatives, command)
	if err != nil {
		return nil, err
	}
	seat := Seat{Origin: origin, Zone: filepath.Join(set.Work, "zone")}
	present, half := filepath.Join(set.Work, "existing"), filepath.Join(set.Work, "half")
	for _, err := range []error{
		writeZone(seat.Zone, set.Hosts),
		writeQueries(present, set.Hosts, queries, false),
		writeQueries(half, set.Hosts, queries, true),
	} {
		if err != nil {
			return nil, err
		}
	}
	load := Load{File: present, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	many, mixed := load, load
	many.Clients, mixed.File = 50, half
	t.run.Settings = append(set.sentences(),
		fmt.Sprintf("The zone holds %d hosts with one A record each; %d questions for random hosts, the same for all, asked over and over.", set.Hosts, queries),
		"Before a contender is measured, every question of both files is asked once: each must be answered, NOERROR for the hosts and NXDOMAIN for exactly those that are missing.")
	t.run.Commands = set.commands(load, mixed, many, set.latencyLoad(load))

	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, set.Hosts-1, time.Minute); err != nil {
			return err
		}
		// Both passes warm the server up too.
		if err := set.check(ctx, s, present, queries, 0); err != nil {
			return err
		}
		if err := set.check(ctx, s, half, queries/2, queries/2); err != nil {
			return err
		}
		for _, l := range []struct {
			name string
			load Load
			slow bool // measure latencies too
		}{{existing, load, true}, {halfMissing, mixed, true}, {manySockets, many, false}} {
			sample, err := set.measure(ctx, s, l.load)
			if err == nil && l.slow {
				err = set.latencies(ctx, s, l.load, &sample)
			}
			if err != nil {
				return err
			}
			t.add(sample, l.name, c, round)
		}
		return nil
	})
	return t.run, err
}

// check asks the file and wants exactly these many of each answer. UDP may lose
// a packet, so a pass with losses is repeated, twice at most.
func (set Setting) check(ctx context.Context, s *Server, file string, exist, missing int64) error {
	var err error
	for range 3 {
		o, failed := Load{File: file, Clients: 1, Outstanding: 20}.run(ctx, s.Seat.Port, set.LoadCPU)
		if failed != nil {
			return failed
		}
		if o.RCodes["NOERROR"] == exist && o.RCodes["NXDOMAIN"] == missing {
			return nil
		}
		err = fmt.Errorf("check answers: want %d NOERROR and %d NXDOMAIN, have %v and %d lost", exist, missing, o.RCodes, o.Lost)
		if o.Lost == 0 {
			break
		}
		slog.Warn("asking again", "server", s.Command, "reason", err)
	}
	return err
}

// sentences say what all tables have in common.
func (set Setting) sentences() []string {
	return []string{
		fmt.Sprintf("Rounds: %d; in each, every contender is started afresh, in an order shuffled anew. Figures are medians over the rounds.", set.Rounds),
		fmt.Sprintf("Server and all its threads on CPU %d with one worker (taskset at the start; every thread pinned again once it answers, because Knot's workers leave; checked after each sample), whoever asks on CPU %d. All on loopback, IPv4, UDP, no EDNS.", set.ServerCPU, set.LoadCPU),
		"CPU per query is the server's CPU time, all threads and children, over the queries answered, from /proc/PID/task/*/schedstat (nanoseconds); where threads ended meanwhile, from /proc/PID/stat.",
		fmt.Sprintf("p50 and p99 are latencies in a run of its own at %d queries/s for %d s: under full load latency only restates how many queries are in flight.", set.LatencyRate, set.Latent),
		fmt.Sprintf("dnsperf keeps %d queries in flight over %d client socket(s), for every server: found with `--tune`, see tune.go.", set.InFlight, set.Clients),
		"dnsperf busy is dnsperf's own CPU time over the run; " + generatorVersion() + ".",
		"Resident memory is the proportional set size, summed over a server's processes.",
	}
}
