package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

const hits = "all hits"

const cached = 20_000 // names asked of the caches

// nodecache measures the caches answering from memory. One authoritative stands
// behind all of them, on the generator's CPU, where it must stay idle: its CPU
// time during the measurement is kept in the sample and bounded.
func nodecache(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, caches, command)
	if err != nil {
		return nil, err
	}
	zone := filepath.Join(set.Work, "zone")
	each, random := filepath.Join(set.Work, "each"), filepath.Join(set.Work, "hits")
	for _, err := range []error{
		writeZone(zone, set.Hosts), writeEach(each, cached), writeQueries(random, cached, queries, false),
	} {
		if err != nil {
			return nil, err
		}
	}
	behind, name, err := set.upstream(ctx, zone)
	if err != nil {
		return nil, err
	}
	defer behind.stop()

	load := Load{File: random, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	t.run.Settings = append(set.sentences(),
		fmt.Sprintf("Behind every cache stands the same %s on CPU %d, idle while it is measured: `%s`.", name, set.LoadCPU, set.portable(behind.Command)),
		fmt.Sprintf("Each of %d names (TTL one day) is asked for until a pass over all is answered without the upstream: only then all are hits. Then %d questions for random ones, asked over and over.", cached, queries))
	t.run.Commands = set.commands(load, set.latencyLoad(load))

	err = t.rounds(ctx, Seat{Origin: origin, Upstream: behind.Seat.Port}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, cached-1, time.Minute); err != nil {
			return err
		}
		if err := set.warm(ctx, s, behind, each); err != nil {
			return err
		}
		before, err := usageOf(behind.pid())
		if err != nil {
			return err
		}
		sample, err := set.measure(ctx, s, load)
		if err != nil {
			return err
		}
		after, err := usageOf(behind.pid())
		if err != nil {
			return err
		}
		sample.Upstream, _, _ = after.since(before)
		if err := set.latencies(ctx, s, load, &sample); err != nil {
			return err
		}
		t.add(sample, hits, c, round)
		if sample.RCodes["NOERROR"] != sample.Completed {
			return fmt.Errorf("check answers: %v", sample.RCodes)
		}
		if sample.Upstream > seconds(sample.Seconds/100) {
			return fmt.Errorf("not all were hits: the upstream worked for %v", sample.Upstream)
		}
		return nil
	})
	return t.run, err
}

// warm asks every name, and again until a whole pass leaves the upstream idle.
func (set Setting) warm(ctx context.Context, s, behind *Server, each string) error {
	var state string
	for range 10 {
		before, err := usageOf(behind.pid())
		if err != nil {
			return err
		}
		o, err := Load{File: each, Clients: 1, Outstanding: 20}.run(ctx, s.Seat.Port, set.LoadCPU)
		if err != nil {
			return err
		}
		after, err := usageOf(behind.pid())
		if err != nil {
			return err
		}
		// A miss costs the upstream 5 µs and more: 2 ms are less than 400
		// of the names, its own housekeeping included.
		worked, _, _ := after.since(before)
		if o.RCodes["NOERROR"] == cached && worked < 2*time.Millisecond {
			return nil
		}
		state = fmt.Sprintf("answers %v, %d lost, the upstream worked for %v", o.RCodes, o.Lost, worked)
	}
	return errors.New("warm up: after ten passes names are still missing from the cache: " + state)
}

// upstream starts the first of Knot and NSD that is installed.
func (set Setting) upstream(ctx context.Context, zone string) (*Server, string, error) {
	for _, name := range []string{"Knot", "NSD"} {
		for _, c := range authoritatives {
			if c.Name != name {
				continue
			}
			path, err := c.find(set.Root)
			if err != nil {
				continue
			}
			s, err := start(c, path, set.Work, set.LoadCPU, Seat{Origin: origin, Zone: zone})
			if err != nil {
				return nil, "", err
			}
			if _, err := s.ready(ctx, set.Hosts-1, time.Minute); err != nil {
				s.stop()
				return nil, "", fmt.Errorf("start upstream %s: %w", name, err)
			}
			return s, name + " " + c.version(ctx, path), nil
		}
	}
	return nil, "", errors.New("start upstream: neither Knot nor NSD is installed: bench/deps")
}
