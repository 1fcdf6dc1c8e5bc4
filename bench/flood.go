package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/strata-dns/strata/bench/packets"
)

// Both ends of the frames that flood sends.
const (
	serviceMAC     = "02:00:00:00:00:53"
	serviceAddress = "10.0.0.53"
)

// buildFlood builds the generator of frames.
func buildFlood(ctx context.Context, set Setting) (path string, err error) {
	path = filepath.Join(set.Work, "flood")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "dpdk", "-o", path, "./bench/packets/flood")
	build.Dir = set.Root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build flood: %w: %s", err, out)
	}
	return path, nil
}

// A Flood is flood as it runs, pinned with all its threads to one CPU.
type Flood struct {
	Command string
	cmd     *exec.Cmd
	out     *bufio.Scanner
	errors  bytes.Buffer
	once    sync.Once
}

// startFlood starts the program, which keeps its port until it is stopped: for a peer
// that is not ours, and polls on, it must not vanish.
func startFlood(path string, cpu int, args ...string) (*Flood, error) {
	args = append([]string{"-c", strconv.Itoa(cpu), path, "--lcore", strconv.Itoa(cpu), "--stay"}, args...)
	f := &Flood{cmd: exec.Command("taskset", args...), Command: "taskset " + quoted(args)}
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	f.cmd.Stderr = &f.errors
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start flood: %w", err)
	}
	f.out = bufio.NewScanner(out)
	f.out.Buffer(nil, 1<<20)
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start flood: %w", err)
	}
	return f, nil
}

// quoted writes arguments as one would type them.
func quoted(args []string) string {
	text := make([]string, len(args))
	for i, a := range args {
		if text[i] = a; strings.ContainsAny(a, " %") {
			text[i] = strconv.Quote(a)
		}
	}
	return strings.Join(text, " ")
}

// report reads the next one; the end of ctx ends the program.
func (f *Flood) report(ctx context.Context, into any) error {
	defer context.AfterFunc(ctx, func() { _ = f.cmd.Process.Kill() })()
	if !f.out.Scan() {
		f.stop()
		return errors.Join(ctx.Err(), fmt.Errorf("read flood's report: none: %s", strings.TrimSpace(f.errors.String())))
	}
	if err := json.Unmarshal(f.out.Bytes(), into); err != nil {
		return fmt.Errorf("read flood's report: %w", err)
	}
	return nil
}

// tell asks the program to end.
func (f *Flood) tell() { _ = f.cmd.Process.Signal(syscall.SIGTERM) }

// stop ends the program. It is safe to call twice.
func (f *Flood) stop() {
	f.once.Do(func() {
		f.tell()
		end := time.AfterFunc(10*time.Second, func() { _ = f.cmd.Process.Kill() })
		defer end.Stop()
		for f.out.Scan() {
		}
		_ = f.cmd.Wait() // how it ended is told by its output
	})
}

// sampleOf makes a report a sample. The polling core is busy all the time, whether it
// answers or not: its time is the run's.
func sampleOf(r *packets.Report) Sample {
	span := time.Duration(r.Seconds * float64(time.Second))
	s := Sample{
		Flood: true, QPS: r.QPS, Completed: int64(r.Received), Lost: int64(r.Lost), Seconds: r.Seconds, CPU: span, CPUFrom: "polling",
		LoadCPU: span, Mean: r.Latency.Mean, P50: r.Latency.P50, P99: r.Latency.P99, P999: r.Latency.P999, Longest: r.Latency.Max,
		Late: r.Behind, Offered: r.Rate, PerSecond: r.PerSecond, Deviation: r.Deviation, Full: r.Full, RCodes: map[string]int64{},
	}
	for code, n := range r.RCodes {
		s.RCodes[code] = int64(n)
	}
	return s
}

// right says whether the answers are those that were asked for: NXDOMAIN for the
// share of absent names, else addresses.
func right(r *packets.Report, share float64) error {
	missing := float64(r.RCodes["NXDOMAIN"]) / float64(max(r.Received, 1))
	switch {
	case r.Received == 0:
		return errors.New("check answers: none")
	case r.RCodes["NXDOMAIN"]+r.RCodes["NOERROR"] != r.Received || r.Empty > 0 || missing < share-0.01 || missing > share+0.01:
		return fmt.Errorf("check answers: want %.0f %% NXDOMAIN and else addresses, have %v, %d of them empty", share*100, r.RCodes, r.Empty)
	}
	return nil
}
