package probe

import (
	"log/slog"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// Options say how a Prober works. All but Reference must be set.
type Options struct {
	Client    *store.Client
	Name      string        // among the probers
	Lease     time.Duration // whole seconds: how long after its end a prober keeps its share
	Interval  time.Duration // between two probes of an address
	Timeout   time.Duration // of one try
	Tries     int           // that fail in a row before an address is down
	Sockets   int           // checks under way, at most
	Brake     float64       // the share of the addresses that may go down at once
	Reference []Target      // that answer unless the prober is cut off
	Log       *slog.Logger
}
