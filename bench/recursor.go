package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// The loads of the tables recursor-hits and recursor-misses.
const (
	recursorAllHits   = "recursor, all hits"
	recursorAllMisses = "a million names, forwarded"
)

const forwarded = 1_000_000 // names of the table recursor-misses

// recursors are the contenders of the table recursor-hits.
var recursors = []Contender{
	{Name: "Strata", Ours: true, Program: "recursor", Version: []string{"version"},
		Files: map[string]string{"recursor.yaml": "recursor.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/recursor.yaml"}},
	caches[1], caches[4], caches[5],
}

// forwarders are the contenders of the table recursor-misses: nothing is kept.
var forwarders = []Contender{
	{Name: "Strata", Ours: true, Program: "recursor", Version: []string{"version"},
		Files: map[string]string{"recursor-forward.yaml": "recursor.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/recursor.yaml"}},
	{Name: "Strata with the smallest cache", Ours: true, Part: true, Program: "recursor", Version: []string{"version"},
		Files: map[string]string{"recursor-smallest.yaml": "recursor.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/recursor.yaml"}},
	{Name: "dnsdist without cache", Package: "dnsdist", Program: "dnsdist", Version: []string{"--version"},
		Files: map[string]string{"dnsdist-forward.conf": "dnsdist.conf"},
		Args:  []string{"--supervised", "--disable-syslog", "-C", "{{.Dir}}/dnsdist.conf"}},
	{Name: "CoreDNS forward", Package: coredns, Program: "coredns", Version: []string{"-version"},
		Files: map[string]string{"Corefile.forward": "Corefile"},
		Args:  []string{"-quiet", "-conf", "{{.Dir}}/Corefile"}},
}

// recursorHits measures the recursor answering from memory.
func recursorHits(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, recursors, command)
	if err != nil {
		return nil, err
	}
	w, err := newWarmth(set)
	if err != nil {
		return nil, err
	}
	defer w.close()
	load := w.load()
	t.run.Settings = append(set.sentences(), w.sentences()...)
	t.run.Commands = set.commands(load, set.latencyLoad(load))
	return t.run, t.hits(ctx, w, Seat{Origin: origin, Upstream: w.upstream.Port}, recursorAllHits)
}

// recursorMisses measures questions that are all asked on, one authoritative
// behind each contender.
func recursorMisses(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, forwarders, command)
	if err != nil {
		return nil, err
	}
	set.Hosts = forwarded
	zone, file := filepath.Join(set.Work, "million"), filepath.Join(set.Work, "once")
	if err := writeZone(zone, forwarded); err != nil {
		return nil, err
	}
	if err := writeOnce(file, forwarded); err != nil {
		return nil, err
	}
	behind, name, err := set.upstream(ctx, zone)
	if err != nil {
		return nil, err
	}
	defer behind.stop()
	load := Load{File: file, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	t.run.Settings = append(set.sentences(),
		fmt.Sprintf("%d names in random order, none asked for twice while it is measured, all forwarded to the same %s on CPU %d, beside dnsperf: `%s`.", forwarded, name, set.LoadCPU, set.portable(behind.Command)),
		"Nobody keeps an answer (ours: `cache: {size: 0}`) but where the row says so: with 64 KiB, the least there can be. Ours has one worker; dnsdist has one thread for queries and one for the replies of its one server.")
	t.run.Commands = set.commands(load, set.latencyLoad(load))
	err = t.rounds(ctx, Seat{Origin: origin, Upstream: behind.Seat.Port}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, forwarded-1, time.Minute); err != nil {
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
		t.add(sample, recursorAllMisses, c, round)
		switch {
		case sample.RCodes["NOERROR"] != sample.Completed:
			return fmt.Errorf("check answers: %v", sample.RCodes)
		case sample.Completed+sample.Lost > forwarded:
			return fmt.Errorf("check names: %d questions for %d names: some were asked for twice; fewer --seconds", sample.Completed, forwarded)
		}
		return nil
	})
	return t.run, err
}

// writeOnce asks for every one of the first n hosts once, in random order.
func writeOnce(path string, n int) error {
	order := rand.New(rand.NewPCG(1034, 8490)).Perm(n)
	return writeFile(path, func(w *bufio.Writer) {
		for _, i := range order {
			fmt.Fprintf(w, "%s.%s A\n", hostName(i), origin)
		}
	})
}
