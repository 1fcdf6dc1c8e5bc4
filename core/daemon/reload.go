package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// What keeps a daemon from reloading, apart from the config.
var (
	errNoReload = errors.New("this daemon has nothing to reload")
	errDraining = errors.New("reload: the daemon is draining")
)

// reloader does one reload at a time and remembers how the last went.
type reloader struct {
	do func(ctx context.Context) error

	turn sync.Mutex // held over a reload
	mu   sync.Mutex // guards last, which is read meanwhile
	last Reload
}

// Reload is how the last reload went.
type Reload struct {
	Attempt time.Time `json:"attempt,omitzero"` // when it was last tried
	Success time.Time `json:"success,omitzero"` // when the running config was last taken up
	Failed  bool      `json:"failed"`
	Error   string    `json:"error,omitempty"`
}

// Reload takes the config up again, as SIGHUP does. A failure leaves the old
// config running; it is logged, shown in /status and counted as
// strata_config_reload_failed until a reload succeeds.
func (d *Daemon) Reload(ctx context.Context) error {
	d.reload.turn.Lock()
	defer d.reload.turn.Unlock()
	if d.phase.Load() == draining { // a listener that was closed must not be opened again
		return errDraining
	}
	notify(reloading())
	defer d.notifyReady()
	err := errNoReload
	if d.reload.do != nil {
		err = d.reload.do(ctx)
	}
	d.reload.note(err, time.Now())
	if err != nil {
		d.log.Error("reload failed, the old config stays", "error", err)
		return fmt.Errorf("reload: the old config stays: %w", err)
	}
	d.log.Info("reloaded", "config", d.configFile)
	return nil
}

func (r *reloader) note(err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.Attempt, r.last.Failed, r.last.Error = now, err != nil, ""
	if err != nil {
		r.last.Error = err.Error()
		return
	}
	r.last.Success = now
}

// LastReload tells how the last reload went; at first, that the config the
// daemon started with was good.
func (d *Daemon) LastReload() Reload {
	d.reload.mu.Lock()
	defer d.reload.mu.Unlock()
	last := d.reload.last
	if last.Success.IsZero() {
		last.Success = d.started
	}
	return last
}
