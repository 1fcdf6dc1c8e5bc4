//go:build dpdk

package dpdk

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// arguments adds to the given ones what is left open: DPDK's own thread stays off the
// lcores, nothing is left behind in files, and without huge pages ordinary ones do.
func arguments(o *Options, home int, huge uint64) []string {
	args := slices.Clone(o.EAL)
	add := func(all []string, unless ...string) {
		for _, a := range o.EAL {
			for _, u := range unless {
				if a == u || strings.HasPrefix(a, u+"=") || len(u) == 2 && strings.HasPrefix(a, u) {
					return
				}
			}
		}
		args = append(args, all...)
	}
	add([]string{fmt.Sprintf("--lcores=0@%d", home)}, "--lcores", "-l", "-c", "--main-lcore")
	add([]string{"--no-telemetry"}, "--telemetry", "--no-telemetry")
	// One leaves no files behind with huge pages, the other is for ordinary ones.
	if huge > 0 && !slices.Contains(o.EAL, "--no-huge") {
		add([]string{"--in-memory"}, "--in-memory", "--file-prefix", "--huge-dir", "--no-shconf")
		return args
	}
	add([]string{"--no-shconf"}, "--no-shconf", "--file-prefix")
	add([]string{"--no-huge"}, "--no-huge")
	add([]string{"-m", strconv.Itoa(megabytes(o))}, "-m", "--socket-mem")
	return args
}

// megabytes of ordinary memory for buffers: about 25 for each queue, and DPDK's own.
func megabytes(o *Options) int {
	ports := 0
	for _, a := range o.EAL {
		if strings.HasPrefix(a, "--vdev") || strings.HasPrefix(a, "-a") || strings.HasPrefix(a, "--allow") {
			ports++
		}
	}
	return 64 + 32*max(1, ports)*len(o.Lcores)
}

// hugePages is how many are free on this machine.
func hugePages() (free uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if n, ok := strings.CutPrefix(s.Text(), "HugePages_Free:"); ok {
			free, _ = strconv.ParseUint(strings.TrimSpace(n), 10, 64)
		}
	}
	return free
}
