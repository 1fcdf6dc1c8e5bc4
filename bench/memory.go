package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

const loaded = "loaded"

// holders are those the memory table measures unless peers are named.
var holders = []string{"Knot", "NSD"}

// large measures a zone of set.Large names: how long until its last name is
// answered, how much memory it then takes.
func large(ctx context.Context, set Setting, command string) (*Run, error) {
	if len(set.Peers) == 0 {
		set.Peers = holders
	}
	t, err := newTable(ctx, set, authoritatives, command)
	if err != nil {
		return nil, err
	}
	seat := Seat{Origin: origin, Zone: filepath.Join(set.Work, "large")}
	random := filepath.Join(set.Work, "large-queries")
	if err := writeZone(seat.Zone, set.Large); err != nil {
		return nil, err
	}
	if err := writeQueries(random, set.Large, queries, false); err != nil {
		return nil, err
	}
	t.run.Settings = []string{
		fmt.Sprintf("Rounds: %d; in each, every contender is started afresh on CPU %d, in an order shuffled anew. Figures are medians.", set.Rounds, set.ServerCPU),
		fmt.Sprintf("A zone of %d hosts with one A record each, read from one master file that is in the page cache.", set.Large),
		"Load time is from the start of the process to the right answer for the file's last name.",
		fmt.Sprintf("Then %d random names are asked for, all of which must be answered, and once the size stands still (1 %% over 5 s, 60 s at most) it is read: proportional set size, summed over a server's processes. Peak is VmHWM of its largest process, or that sum where it is more.", queries),
	}
	t.run.Commands = set.commands(Load{File: random, Clients: 1, Outstanding: 20})

	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, began time.Time) error {
		answered, err := s.ready(ctx, set.Large-1, 5*time.Minute)
		if err != nil {
			return err
		}
		if err := set.check(ctx, s, random, queries, 0); err != nil {
			return err
		}
		sample := Sample{LoadTime: answered.Sub(began)}
		if sample.Resident, sample.Peak, err = settled(ctx, s.pid()); err != nil {
			return err
		}
		t.add(sample, loaded, c, round)
		return nil
	})
	return t.run, err
}

// settled reads the memory each second until it has stayed within 1 % for five.
func settled(ctx context.Context, pid int) (now, peak int64, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var reference int64
	still := 0
	for range 60 {
		now, peak = resident(pid)
		if d := now - reference; d > reference/100 || -d > reference/100 {
			reference, still = now, 0
		} else if still++; still == 5 {
			break
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-tick.C:
		}
	}
	if now == 0 {
		return 0, 0, fmt.Errorf("read memory of %d: the process is gone", pid)
	}
	return now, peak, nil
}
