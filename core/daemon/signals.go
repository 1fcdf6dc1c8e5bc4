package daemon

import (
	"context"
	"os"
	"syscall"
)

// signals is the task that does what the process is signalled to.
type signals struct {
	daemon *Daemon
	told   chan struct{} // closed at the first SIGTERM or SIGINT
	ending bool
}

func (s *signals) Ready() bool    { return true }
func (s *signals) String() string { return "signals" }

func (s *signals) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case sig := <-s.daemon.signals:
			s.act(ctx, sig)
		}
	}
}

func (s *signals) act(ctx context.Context, sig os.Signal) {
	switch {
	case sig == syscall.SIGHUP:
		// Apart from this loop: a reload that hangs must not keep SIGTERM out.
		go func() { _ = s.daemon.Reload(ctx) }() // which has said and kept its error
	case !s.ending:
		s.ending = true
		s.daemon.log.Info("signal", "name", sig.String())
		close(s.told)
	default:
		s.daemon.log.Warn("second signal: ending at once", "name", sig.String())
		if socket := s.daemon.socket.Load(); socket != nil {
			socket.Close()
		}
		s.daemon.exit(128 + int(sig.(syscall.Signal)))
	}
}
