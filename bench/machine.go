package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

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
		m.Kernel = unix.ByteSliceToString(name.Release[:])
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

// machineTime is the first line of /proc/stat: all CPUs' time since boot.
type machineTime struct{ total, stolen float64 }

func machineTimeNow() machineTime {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var t machineTime
	for i, text := range strings.Fields(line) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || i > 8 { // guest time is within user time
			continue
		}
		t.total += n
		if i == 8 {
			t.stolen = n
		}
	}
	return t
}

// stolenSince is the share of the machine's time the hypervisor gave to others.
func (t machineTime) stolenSince(before machineTime) float64 {
	if t.total <= before.total {
		return 0
	}
	return (t.stolen - before.stolen) / (t.total - before.total)
}
