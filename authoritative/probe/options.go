package probe

import (
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

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

// spareFiles are what a process needs beside its checks: etcd, logs, the pages.
const spareFiles = 128

// Sockets gives how many checks there may be at once: as many as are wished for, or
// as this process may have files.
func Sockets(wish int, log *slog.Logger) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= uint64(wish)+spareFiles {
		return wish
	}
	most := max(8, int(limit.Cur)-spareFiles)
	log.Warn("fewer checks at once than probe.sockets: the process may not have more files (RLIMIT_NOFILE)", "wish", wish, "checks", most)
	return most
}
