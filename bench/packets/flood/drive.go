//go:build dpdk

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/strata-dns/strata/bench/packets"
	"github.com/strata-dns/strata/core/plane/dpdk"
)

// drive runs what the options say, and returns its report.
func drive(ctx context.Context, o options) (any, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	raw, err := dpdk.OpenRaw(dpdk.RawOptions{EAL: o.eal, Lcore: o.lcore, Queues: o.queues, Log: log})
	if err != nil {
		return nil, err
	}
	if o.echo {
		report, err := echo(ctx, raw)
		return report, errors.Join(err, raw.Close())
	}
	report, err := ask(ctx, raw, o)
	return report, errors.Join(err, raw.Close())
}

// echo turns round what comes, until ctx ends.
func echo(ctx context.Context, raw *dpdk.Raw) (report packets.Echoed, err error) {
	if err := raw.Bind(); err != nil {
		return report, err
	}
	for ctx.Err() == nil {
		report.Echoed, report.Unsent = raw.Echo(time.Second)
		report.Longest = append(report.Longest, raw.Longest())
	}
	return report, nil
}

// ask draws the sequence and asks it.
func ask(ctx context.Context, raw *dpdk.Raw, o options) (*packets.Report, error) {
	o.way.FromMAC = raw.MAC()
	sequence, err := packets.NewSequence(o.way, o.mix)
	if err != nil {
		return nil, err
	}
	if err := raw.Bind(); err != nil {
		return nil, err
	}
	a := &asker{raw: raw, sequence: sequence, hz: raw.Hz(), window: o.window}
	a.patience = a.cycles(o.patience)
	return a.report(ctx, o)
}
