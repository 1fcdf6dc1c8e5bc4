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
	d.letGo()
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
	case <-d.succeeded:
	case <-ctx.Done():
	case err = <-work.failed:
	case err = <-around.failed:
	}
	stuck := d.drain(work)
	d.bequeathed()
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
		if err := d.openPage(ctx); err != nil {
			return nil, err
		}
		house = append(house, d.behind(d.page, d.page.Close))
	}
	if d.socketPath != "" {
		socket, err := d.openControl(ctx)
		if err != nil {
			d.page.Close()
			return nil, err
		}
		d.socket.Store(socket)
		house = append(house, d.behind(socket, socket.Leave))
	}
	if d.old != nil {
		house = append(house, &successor{daemon: d})
	}
	return house, nil
}

// openPage opens the address of the pages, or goes on with the old process's.
func (d *Daemon) openPage(ctx context.Context) error {
	if d.old != nil && d.old.admin != nil {
		defer d.old.admin.Close()
		if d.page.Inherit(d.old.admin, d.adminAddr) {
			return nil
		}
	}
	return d.page.Listen(ctx, d.adminAddr)
}

// openControl opens the control socket, or goes on with the old process's.
func (d *Daemon) openControl(ctx context.Context) (*control.Server, error) {
	if d.old != nil {
		defer d.old.control.Close()
		return control.Inherit(d.old.control, d.socketPath, &d.commands)
	}
	return control.Listen(ctx, d.socketPath, &d.commands)
}

// drain takes the daemon out of service and ends its tasks. The error names
// tasks that would not end.
func (d *Daemon) drain(work *group) error {
	d.phase.Store(draining)
	notify(stopping)
	if d.taking() { // the old process goes on
		d.keep()
	}
	d.bequeath()
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
