//go:build dpdk

package dpdk

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// calm has the collector run by a memory limit alone: collections beside a polling
// thread cost it milliseconds each. GOMEMLIMIT is kept; without it the limit is a
// quarter of the memory there is for this process. At the limit the collector runs as
// often as it must, with half of the CPUs at most, and answers go on. What starting has
// left behind is collected now, before anybody polls.
func calm() {
	debug.SetGCPercent(-1)
	debug.FreeOSMemory()
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(int64(memory("/sys/fs/cgroup", "/proc/self/cgroup") / 4))
	}
}

// memory is what this process may use, octets: the machine's, or less where a control
// group of its own or above it says so.
func memory(groups, own string) uint64 {
	limit := uint64(math.MaxInt64)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		limit = info.Totalram * uint64(info.Unit)
	}
	text, err := os.ReadFile(own)
	if err != nil {
		return limit
	}
	for _, line := range strings.Split(string(text), "\n") {
		path, ok := strings.CutPrefix(line, "0::/") // version 2
		if !ok {
			continue
		}
		for at := filepath.Join("/", path); ; at = filepath.Dir(at) {
			if n, err := groupLimit(filepath.Join(groups, at, "memory.max")); err == nil {
				limit = min(limit, n)
			}
			if at == "/" {
				break
			}
		}
	}
	return limit
}

// groupLimit reads a control group's limit; "max", for none, is an error.
func groupLimit(file string) (uint64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}
