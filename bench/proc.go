package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is the CPU time of a process and its descendants.
type usage struct {
	tasks map[int]time.Duration // per thread, from /proc/PID/task/TID/schedstat: nanoseconds
	ticks time.Duration         // from /proc/PID/stat, user and system; counts in clockTick, ended threads included
}

const clockTick = 10 * time.Millisecond // USER_HZ is 100 on every Linux ABI Go runs on

// since returns the CPU time spent from before to u and which file it is from:
// schedstat for its nanoseconds, unless threads ended in between and took their
// count away, which the coarser stat still knows.
func (u usage) since(before usage) (spent, ticks time.Duration, source string) {
	for id, now := range u.tasks {
		spent += now - before.tasks[id]
	}
	ticks = u.ticks - before.ticks
	if ticks > spent+spent/20+4*clockTick {
		return ticks, ticks, "stat"
	}
	return spent, ticks, "schedstat"
}

// usageOf reads the CPU time of the process tree under pid.
func usageOf(pid int) (usage, error) {
	u := usage{tasks: map[int]time.Duration{}}
	for _, p := range tree(pid) {
		paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
		for _, path := range paths {
			tid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			data, err := os.ReadFile(path)
			if err != nil {
				continue // the thread has ended
			}
			ns, err := parseSchedstat(data)
			if err != nil {
				return u, fmt.Errorf("read CPU time of %d: %w", p, err)
			}
			u.tasks[tid] = ns
		}
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		_, ticks, err := parseStat(data)
		if err != nil {
			return u, fmt.Errorf("read CPU time of %d: %w", p, err)
		}
		u.ticks += ticks
	}
	if len(u.tasks) == 0 {
		return u, fmt.Errorf("read CPU time of %d: %w", pid, os.ErrProcessDone)
	}
	return u, nil
}

// parseSchedstat reads "run wait slices", the first in nanoseconds.
func parseSchedstat(data []byte) (time.Duration, error) {
	first, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte(" "))
	ns, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse schedstat: %w", err)
	}
	return time.Duration(ns), nil
}

// parseStat reads the parent and utime+stime of /proc/PID/stat (proc(5), fields
// 4, 14 and 15). The name in parentheses may hold spaces and parentheses.
func parseStat(data []byte) (parent int, ticks time.Duration, err error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, 0, fmt.Errorf("parse stat: no command in %q", data)
	}
	fields := strings.Fields(string(data[end+1:])) // from field 3 on
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("parse stat: %d fields", len(fields)+2)
	}
	parent, err = strconv.Atoi(fields[1])
	if err != nil {
		return 0, 0, fmt.Errorf("parse stat: %w", err)
	}
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("parse stat: %w", err)
		}
		ticks += time.Duration(n) * clockTick
	}
	return parent, ticks, nil
}

// tree returns pid and all its descendants: NSD answers from a child.
func tree(pid int) []int {
	children := map[int][]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range dirs {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if parent, _, err := parseStat(data); err == nil {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// resident returns the tree's memory in bytes: the sum of proportional set
// sizes, in which a page shared by parent and child counts once, and its peak:
// the largest VmHWM of one process, or the sum where that is more.
func resident(pid int) (now, peak int64) {
	for _, p := range tree(pid) {
		if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p)); err == nil {
			now += kilobytes(rollup, "Pss:")
		}
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p)); err == nil {
			peak = max(peak, kilobytes(status, "VmHWM:"))
		}
	}
	return now, max(now, peak)
}

// kilobytes finds "key  123 kB" in a /proc file and returns it in bytes.
func kilobytes(data []byte, key string) int64 {
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
