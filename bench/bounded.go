package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const anyName = "any of the names"

const (
	boundedQueries  = 20_000 // few, as an answer that etcd must be asked for takes long
	boundedRate     = 1000   // queries a second, for latencies: etcd can do as many
	boundedPatience = 5      // seconds: a server waits 1.8 s for etcd, whose process may not get its CPU for a while
)

// holding is a server that holds so many names in memory, 0: all of them.
func holding(name string, names int, part bool) Contender {
	c := fed(name, part)
	c.Args = append(c.Args, "--memory.max_names", strconv.Itoa(names))
	return c
}

// The contenders of the table bounded. A server cannot hold nothing: it holds one name.
const (
	holdsAll  = "Strata, 100 % of the names in memory"
	holdsSome = "Strata, 40 %"
	holdsNone = "Strata, 0 %"
)

func boundedRows(hosts int) []Contender {
	return []Contender{holding(holdsAll, 0, false), holding(holdsSome, hosts*2/5, true), holding(holdsNone, 1, true)}
}

// bounded measures answers of servers that read from etcd what they have no room for.
func bounded(ctx context.Context, set Setting, command string) (*Run, error) {
	small := set
	small.Large, small.Work = set.Hosts, filepath.Join(set.Work, "bounded") // an etcd of its own, with few records
	if err := os.MkdirAll(small.Work, 0o700); err != nil {
		return nil, fmt.Errorf("prepare an etcd member: %w", err)
	}
	k, err := small.keep(ctx)
	if err != nil {
		return nil, err
	}
	defer k.stop()
	if err := pin(k.pid(), set.LoadCPU); err != nil {
		return nil, err
	}
	asked := filepath.Join(small.Work, "asked")
	if err := writeQueries(asked, set.Hosts, boundedQueries, false); err != nil {
		return nil, err
	}
	t, err := newTable(ctx, small, boundedRows(set.Hosts), command)
	if err != nil {
		return nil, err
	}
	load := Load{File: asked, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds, Patience: boundedPatience}
	t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("The servers have the %d names of a zone from an etcd in a process of its own on CPU %d, which it shares with dnsperf; %d questions for random ones. What a server does not hold it reads from etcd when it is asked, and puts in the place of a name chosen by chance.", set.Hosts, set.LoadCPU, boundedQueries),
		fmt.Sprintf("Before a contender is measured every question is asked once, and must be answered. The CPU time is the server's; etcd's comes on top of it. Lost is what got no answer within %d s, and what a server could not answer as etcd did not (SERVFAIL). Latencies are those at %d queries/s.", boundedPatience, boundedRate))
	slow := set
	slow.LatencyRate = boundedRate
	t.run.Commands = set.commands(load, slow.latencyLoad(load))
	err = t.rounds(ctx, Seat{Origin: origin, Etcd: k.url}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, set.Hosts-1, time.Minute); err != nil {
			return err
		}
		if err := set.check(ctx, s, asked, boundedQueries, 0); err != nil {
			return err
		}
		sample, err := set.measure(ctx, s, load)
		if err != nil {
			return err
		}
		if err := helpless(&sample); err != nil {
			return fmt.Errorf("measure %s: %w", c.Name, err)
		}
		if err := slow.latencies(ctx, s, load, &sample); err != nil {
			return err
		}
		t.add(sample, anyName, c, round)
		return nil
	})
	return t.run, err
}

// helpless counts SERVFAIL as lost. Other answers than the name's own are wrong.
func helpless(sample *Sample) error {
	for code, n := range sample.RCodes {
		switch {
		case code == "NOERROR" || n == 0:
		case code == "SERVFAIL":
			sample.QPS *= 1 - float64(n)/float64(max(sample.Completed, 1))
			sample.Completed -= n
			sample.Lost += n
		default:
			return fmt.Errorf("%d answers were %s", n, code)
		}
	}
	return nil
}
