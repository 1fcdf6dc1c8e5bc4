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

// boundedQueries are few, as an answer that etcd must be asked for takes long.
const boundedQueries = 20_000

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
	load := Load{File: asked, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("The servers have the %d names of a zone from an etcd in a process of its own on CPU %d, which it shares with dnsperf; %d questions for random ones. What a server does not hold it reads from etcd when it is asked, and puts in the place of a name chosen by chance.", set.Hosts, set.LoadCPU, boundedQueries),
		"Before a contender is measured every question is asked once, and must be answered. The CPU time is the server's; etcd's comes on top of it.")
	t.run.Commands = set.commands(load)
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
		for code, n := range sample.RCodes {
			if code != "NOERROR" && n > 0 {
				return fmt.Errorf("measure %s: %d answers were %s", c.Name, n, code)
			}
		}
		t.add(sample, anyName, c, round)
		return nil
	})
	return t.run, err
}
