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

// drive runs what the options say, and prints its reports.
func drive(ctx context.Context, o options, print printer) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	raw, err := dpdk.OpenRaw(dpdk.RawOptions{EAL: o.eal, Lcore: o.lcore, Queues: o.queues, Log: log})
	if err != nil {
		return err
	}
	if o.echo {
		report, err := echo(ctx, raw)
		return errors.Join(err, raw.Close(), print(report))
	}
	err = ask(ctx, raw, o, print)
	if err == nil && o.stay {
		<-ctx.Done()
	}
	return errors.Join(err, raw.Close())
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
	gaps := raw.Gaps()
	report.Gaps = gaps[:]
	return report, nil
}

// ask draws the sequence and asks it, once for each rate.
func ask(ctx context.Context, raw *dpdk.Raw, o options, print printer) error {
	o.way.FromMAC = raw.MAC()
	sequence, err := packets.NewSequence(o.way, o.mix)
	if err != nil {
		return err
	}
	if err := raw.Bind(); err != nil {
		return err
	}
	a := &asker{raw: raw, sequence: sequence, hz: raw.Hz(), warm: o.warm, span: o.span}
	a.patience = a.cycles(o.patience)
	a.flights = packets.NewFlights(sequence, a.patience)
	if err := a.meet(ctx); err != nil {
		return err
	}
	for _, rate := range o.rates {
		a.window = o.window
		report, err := a.report(ctx, rate)
		if err != nil {
			return err
		}
		report.Rate = rate
		if err := print(report); err != nil {
			return err
		}
	}
	return nil
}
