package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// The loads of the table etcd-load.
const (
	loadedFromEtcd     = "all RRsets from etcd"
	loadedFromSnapshot = "all RRsets from the snapshot, etcd away"
)

// etcdLoad measures how long a server takes to hold, and answer from, all that etcd has,
// and again from its snapshot.
func etcdLoad(ctx context.Context, set Setting, command string) (*Run, error) {
	k, err := set.keep(ctx)
	if err != nil {
		return nil, err
	}
	defer k.stop()
	if err := pin(k.pid(), set.LoadCPU); err != nil {
		return nil, err
	}
	nobody, err := freePort()
	if err != nil {
		return nil, err
	}
	t, err := newTable(ctx, set, fedRows, command)
	if err != nil {
		return nil, err
	}
	t.run.Settings = []string{
		fmt.Sprintf("Rounds: %d; in each the server is started afresh on CPU %d, with one worker. Figures are medians.", set.Rounds, set.ServerCPU),
		fmt.Sprintf("etcd, a member in a process of its own on CPU %d that syncs to disk, has %d RRsets of one A record each.", set.LoadCPU, set.Large),
		"Load time is from the start of the process to the right answer for the last name written: a zone is answered from when all of it is there.",
		"Memory is the server's alone, once it stands still (1 % over 5 s, 60 s at most): its first snapshot is written meanwhile. Then it is stopped, and started again with its snapshot and an etcd that nobody is.",
	}
	away := fmt.Sprintf("--etcd.endpoints=http://127.0.0.1:%d", nobody)
	err = t.rounds(ctx, Seat{Origin: origin, Etcd: k.url}, func(ctx context.Context, round int, c Contender, s *Server, began time.Time) error {
		if err := t.sized(ctx, s, began, loadedFromEtcd, c, round); err != nil {
			return err
		}
		if err := s.quit(); err != nil {
			return err
		}
		began = time.Now()
		next, err := s.again(func(*exec.Cmd) {}, away)
		if err != nil {
			return err
		}
		defer next.stop()
		return t.sized(ctx, next, began, loadedFromSnapshot, c, round)
	})
	return t.run, err
}

// sized measures how long a start takes, and what is held then.
func (t *table) sized(ctx context.Context, s *Server, began time.Time, load string, c Contender, round int) error {
	answered, err := s.ready(ctx, t.set.Large-1, fillPatience)
	if err != nil {
		return err
	}
	sample := Sample{LoadTime: answered.Sub(began)}
	if sample.Resident, sample.Peak, err = settled(ctx, s.pid()); err != nil {
		return err
	}
	t.add(sample, load, c, round)
	return nil
}
