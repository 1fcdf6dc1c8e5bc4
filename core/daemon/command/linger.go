package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/strata-dns/strata/core/daemon/control"
)

// lingerLook is how often a process that lingers looks for its successor.
const lingerLook = time.Second

// linger waits, with nothing left to do, until the process is told to end: where
// another one has taken over, a supervisor would start again one that ended. The
// error is that nobody answers on the control socket any more: to be started again
// is then what is wanted.
func linger(ctx context.Context, socket string, log *slog.Logger) error {
	if ctx.Err() == nil {
		log.Info("lingering until told to end")
	}
	looks := time.NewTicker(lingerLook)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-looks.C:
		}
		err := control.Do(ctx, socket, control.Request{Args: []string{"help"}}, io.Discard)
		if errors.Is(err, control.ErrNobody) && ctx.Err() == nil {
			return fmt.Errorf("linger: who took over is gone: %w", err)
		}
	}
}
