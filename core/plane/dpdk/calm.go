//go:build dpdk

package dpdk

import (
	"math"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// calm has the collector run by a memory limit alone: collections beside a polling
// thread cost it milliseconds each. GOMEMLIMIT is kept; without it the limit is a
// quarter of the machine's memory.
func calm() {
	debug.SetGCPercent(-1)
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		debug.SetMemoryLimit(int64(info.Totalram * uint64(info.Unit) / 4))
	}
}
