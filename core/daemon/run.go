package daemon

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/strata-dns/strata/core/daemon/control"
)

// Run opens the admin page and the control socket, runs all tasks, and returns
// after a signal (SIGTERM, SIGINT) or the end of ctx has drained them: nil. A
// task that fails ends the others; its error is returned, with its name.
func (d *Daemon) Run(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	told := make(chan struct{})
	house, err := d.open(ctx, told)
	if err != nil {
		return err
	}
	signal.Notify(d.signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(d.signals)

	d.phase.Store(running)
	work, around := start(d.tasks), start(house)
	select {
	case <-told:
	case <-ctx.Done():
	case err = <-work.failed:
	case err = <-around.failed:
	}
	stuck := d.drain(work)
	if err == nil {
		err = stuck
	} else if stuck != nil {
		d.log.Error("draining", "error", stuck)
	}

	// The pages and the socket answer until here, so that draining can be seen.
	ending, cancel := context.WithTimeout(context.Background(), d.drainLimit)
	defer cancel()
	if stuck := around.stop(ending); stuck != nil {
		d.log.Error("ending", "error", stuck)
	}
	return err
}

// open opens what the daemon shows itself through, and returns the tasks that
// outlive all others. Nothing stays open when it fails.
func (d *Daemon) open(ctx context.Context, told chan struct{}) ([]Task, error) {
	house := []Task{&signals{daemon: d, told: told}, &notifier{daemon: d}}
	if d.adminAddr != "" {
		if err := d.page.Listen(ctx, d.adminAddr); err != nil {
			return nil, err
		}
		house = append(house, d.page)
	}
	if d.socketPath != "" {
		socket, err := control.Listen(ctx, d.socketPath, &d.commands)
		if err != nil {
			d.page.Close()
			return nil, err
		}
		d.socket.Store(socket)
		house = append(house, socket)
	}
	return house, nil
}

// drain takes the daemon out of service and ends its tasks. The error names
// tasks that would not end.
func (d *Daemon) drain(work *group) error {
	d.phase.Store(draining)
	notify(stopping)
	d.log.Info("draining", "limit", d.drainLimit)
	limit, cancel := context.WithTimeout(context.Background(), d.drainLimit)
	defer cancel()
	for i := len(d.tasks) - 1; i >= 0; i-- {
		drainer, ok := d.tasks[i].(Drainer)
		if !ok {
			continue
		}
		if err := drainer.Drain(limit); err != nil {
			d.log.Warn("draining", "task", d.tasks[i].String(), "error", err)
		}
	}
	ending, cancel := context.WithTimeout(context.Background(), d.drainLimit)
	defer cancel()
	if err := work.stop(ending); err != nil {
		return fmt.Errorf("drain: after %s %w", d.drainLimit, err)
	}
	return nil
}
