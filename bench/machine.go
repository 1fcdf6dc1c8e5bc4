package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what the figures were taken on.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Memory int64  `json:"memory"` // bytes
	System string `json:"system"`
	Go     string `json:"go"`
}

func thisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), System: "unknown"}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = field(data, "model name", ":")
	}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.Memory = kilobytes(data, "MemTotal:")
	}
	if data, err := os.ReadFile("/etc/os-release"); err == nil {
		m.System = strings.Trim(field(data, "PRETTY_NAME", "="), `"`)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		// Without what the builder of the kernel appended.
		m.Kernel, _, _ = strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
	}
	return m
}

// field is the first value of key in a "key: value" file.
func field(data []byte, key, separator string) string {
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, separator); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// machineTime is the first line of /proc/stat: all CPUs' time since boot, in
// clock ticks.
type machineTime struct{ total, idle, stolen float64 }

func machineTimeNow() machineTime {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}
	}
	return parseMachineTime(data)
}

// parseMachineTime reads "cpu user nice system idle iowait irq softirq steal
// guest guest_nice"; guest time is within user time.
func parseMachineTime(data []byte) machineTime {
	line, _, _ := strings.Cut(string(data), "\n")
	var t machineTime
	for i, text := range strings.Fields(line) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || i > 8 {
			continue
		}
		t.total += n
		switch i {
		case 4, 5:
			t.idle += n
		case 8:
			t.stolen = n
		}
	}
	return t
}

// since tells what disturbed a measurement in which server and generator used
// the CPU time ours: the shares of the machine's time that the hypervisor gave
// to others, and that other programs here used.
func (t machineTime) since(before machineTime, ours time.Duration) (stolen, others float64) {
	total := t.total - before.total
	if total <= 0 {
		return 0, 0
	}
	stolen = (t.stolen - before.stolen) / total
	busy := total - (t.idle - before.idle) - (t.stolen - before.stolen)
	return stolen, max(0, (busy-float64(ours/clockTick))/total)
}
