package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const answered = "lookup and reply in process"

// The sizes of the table lookup, by the names core/zone's benchmark gives them;
// the first is what the last is held against.
const (
	smallTable = "names=1000"
	largeTable = "names=2000000"
)

// lookup measures core/zone alone: its benchmark, pinned as a server would be,
// once a round.
func lookup(ctx context.Context, set Setting, command string) (*Run, error) {
	program := filepath.Join(set.Work, "zone.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./core/zone")
	build.Dir = set.Root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the benchmark: %w: %s", err, out)
	}
	args := []string{"-c", strconv.Itoa(set.ServerCPU), program, "-test.run=^$", "-test.bench=^BenchmarkAnswer$", "-test.benchmem", "-test.cpu=1"}
	run := &Run{Date: time.Now().UTC().Format(dateFormat), Machine: thisMachine(), Command: command,
		Commands: []string{"go test -c -o $WORK/zone.test ./core/zone", set.portable("taskset " + strings.Join(args, " "))},
		Settings: []string{
			fmt.Sprintf("Rounds: %d, pinned to CPU %d. Figures are medians.", set.Rounds, set.ServerCPU),
			"Questions for random names of the whole zone, parsed, looked up and answered in batches of 32; the time is per question.",
		}}
	for round := 1; round <= set.Rounds; round++ {
		cmd := exec.CommandContext(ctx, "taskset", args...)
		cmd.Dir = filepath.Join(set.Root, "core/zone")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("run the benchmark: %w: %s", err, out)
		}
		samples := parseBenchmark(string(out))
		if len(samples) == 0 {
			return nil, errors.New("parse the benchmark: no figures in " + strconv.Quote(string(out)))
		}
		for _, s := range samples {
			s.Load, s.Round = answered, round
			run.Samples = append(run.Samples, s)
			if round == 1 {
				run.Entries = append(run.Entries, Entry{Name: s.Contender, Ours: s.Contender == largeTable})
			}
		}
	}
	return run, nil
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark\w+/(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+\d+ B/op\s+(\d+) allocs/op`)

// parseBenchmark reads the lines of go test -bench -benchmem.
func parseBenchmark(text string) (samples []Sample) {
	for _, m := range benchmarkLine.FindAllStringSubmatch(text, -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		allocs, failed := strconv.ParseInt(m[3], 10, 64)
		if err == nil && failed == nil {
			samples = append(samples, Sample{Contender: m[1], PerAnswer: ns, Allocations: allocs})
		}
	}
	return samples
}
