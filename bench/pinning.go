package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
)

// everyCPU is the CPU of a server that is not pinned.
const everyCPU = -1

// A cell is one way of the Dyn study's to run a name server.
type cell struct {
	wire    bool // in a namespace of its own, behind a veth
	workers int
}

var cells = []cell{{false, 1}, {false, 2}, {true, 1}, {true, 2}}

// load names the cell's load in the report.
func (c cell) load(pinned bool) string {
	place, where := "bare", "unpinned"
	if c.wire {
		place = "namespace with veth"
	}
	if pinned {
		where = "pinned"
	}
	return fmt.Sprintf("%s, %d worker(s), %s", place, c.workers, where)
}

// pinning measures name servers on kernel sockets: bare or in a namespace, with one
// worker or two (SO_REUSEPORT), pinned or not.
func pinning(ctx context.Context, set Setting, command string) (*Run, error) {
	all := slices.DeleteFunc(slices.Clone(authoritatives), func(c Contender) bool {
		return !slices.Contains([]string{"Strata", "Knot", "NSD", "BIND"}, c.Name)
	})
	t, err := newTable(ctx, set, all, command)
	if err != nil {
		return nil, err
	}
	zone, present := filepath.Join(set.Work, "zone"), filepath.Join(set.Work, "existing")
	if err := errors.Join(writeZone(zone, set.Hosts), writeQueries(present, set.Hosts, queries, false)); err != nil {
		return nil, err
	}
	load := Load{File: present, Clients: max(set.Clients, 20), Outstanding: set.InFlight, Seconds: max(1, set.Seconds/4)}
	t.run.Settings = []string{
		fmt.Sprintf("Rounds: %d, in an order shuffled anew; figures are medians. %d hosts, random questions, %d client sockets, %d in flight, %d s each; dnsperf always on CPU %d.", set.Rounds, set.Hosts, load.Clients, load.Outstanding, load.Seconds, set.LoadCPU),
		fmt.Sprintf("Pinned: all threads of the server on CPU %d, also two workers. Unpinned: wherever the kernel puts them, beside dnsperf too. Workers share the port by SO_REUSEPORT or as each server does.", set.ServerCPU),
		"Bare: loopback. Namespace with veth: server and dnsperf in a network namespace each, as containers without NAT.",
	}
	t.run.Commands = set.commands(load)
	for round := 1; round <= set.Rounds; round++ {
		for _, way := range cells {
			for _, c := range shuffled(t.all) {
				if t.paths[c.Name] == "" {
					continue
				}
				err := set.pinCell(ctx, t, round, c, way, zone, load)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err != nil {
					slog.Warn("failed", "contender", c.Name, "round", round, "reason", err)
					t.entry(c.Name).Missing = set.portable(fmt.Sprintf("round %d, %s: %v", round, way.load(false), err))
					delete(t.paths, c.Name)
				}
			}
		}
	}
	return t.run, nil
}

// pinCell measures one contender in one cell, unpinned and then pinned.
func (set Setting) pinCell(ctx context.Context, t *table, round int, c Contender, way cell, zone string, load Load) error {
	seat := Seat{Origin: origin, Zone: zone, Workers: way.workers}
	if way.wire {
		w, err := newWire()
		if err != nil {
			return err
		}
		defer w.close()
		seat.Namespace, seat.Address = w.server, wireServer
		load.Namespace, load.Server = w.client, wireServer
	}
	s, err := start(c, t.paths[c.Name], set.Work, everyCPU, seat)
	if err != nil {
		return err
	}
	defer s.stop()
	t.entry(c.Name).Command = set.portable(s.Command)
	if _, err := s.readyFor(ctx, hostName(set.Hosts-1)+"."+origin+".", address(set.Hosts-1), readyPatience); err != nil {
		return err
	}
	for _, pinned := range []bool{false, true} {
		if pinned {
			if s.cpu = set.ServerCPU; pin(s.pid(), s.cpu) != nil {
				return errors.New("pin: the process is gone")
			}
		}
		sample, err := set.measure(ctx, s, load)
		if err != nil {
			return err
		}
		if sample.RCodes["NOERROR"] != sample.Completed {
			return fmt.Errorf("check answers: want NOERROR alone, have %v", sample.RCodes)
		}
		t.add(sample, way.load(pinned), c, round)
	}
	return nil
}
