package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// onPorts is authoritative on DPDK's ports.
var onPorts = Contender{Name: "Strata", Ours: true, Program: "authoritative", Version: []string{"version"},
	Files: map[string]string{"authoritative-dpdk.yaml": "authoritative.yaml"},
	Args:  []string{"serve", "--config", "{{.Dir}}/authoritative.yaml"}}

// framed tells what is missing here for the tables on DPDK's ports.
func framed(ctx context.Context, set Setting) error {
	if os.Getuid() != 0 {
		return errors.New("needs root: DPDK's ports and network namespaces are made by nobody else")
	}
	path, err := onPorts.find(set.Root)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return fmt.Errorf("ask authoritative for its version: %w", err)
	}
	if !strings.Contains(string(out), "dpdk") {
		return errors.New("bin/authoritative has no plane dpdk: install libdpdk-dev, then make build")
	}
	return nil
}

// pages is how many huge pages (2 MiB) the tables on ports want: buffers of two
// processes.
const pages = 512

const hugePagesFile = "/proc/sys/vm/nr_hugepages"

// reserve has the machine keep huge pages, and returns what undoes that, and what there
// are.
func reserve() (restore func(), what string) {
	before, err := os.ReadFile(hugePagesFile)
	had, bad := strconv.Atoi(strings.TrimSpace(string(before)))
	if err != nil || bad != nil {
		return func() {}, "no huge pages here"
	}
	if had < pages {
		_ = os.WriteFile(hugePagesFile, []byte(strconv.Itoa(pages)), 0o644)
		restore = func() { _ = os.WriteFile(hugePagesFile, before, 0o644) }
	} else {
		restore = func() {}
	}
	now, _ := os.ReadFile(hugePagesFile)
	return restore, strings.TrimSpace(string(now)) + " huge pages of 2 MiB reserved for the run"
}

// openPorts starts authoritative on the device. Its lcores are pinned by itself, and all its
// other threads kept off them.
func (set Setting) openPorts(ctx context.Context, c Contender, path string, seat Seat) (*Server, error) {
	dir, err := os.MkdirTemp(set.Work, "ports-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	seat.Dir = dir
	if seat.Port, err = freePort(); err == nil {
		seat.Admin, err = freePort()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	if seat.Socket == "" {
		seat.Socket = filepath.Join(dir, "memif")
	}
	if seat.Device == "" {
		seat.Device = "net_memif0,role=server,socket-abstract=no,mac=" + serviceMAC + ",socket=" + seat.Socket
	}
	args, err := c.settle(seat)
	if err != nil {
		return nil, err
	}
	args = append([]string{path}, args...)
	if seat.Namespace != "" {
		args = append([]string{"ip", "netns", "exec", seat.Namespace}, args...)
	}
	// This program is pinned itself: both CPUs are given back to the server.
	args = append([]string{"-c", fmt.Sprintf("%d,%d", set.LoadCPU, set.ServerCPU)}, args...)
	s := &Server{Seat: seat, args: args, cmd: exec.Command("taskset", args...), cpu: set.ServerCPU, log: filepath.Join(dir, "output"), ended: make(chan struct{})}
	s.Command = strings.Join(append([]string{"taskset"}, args...), " ")
	if err := s.begin(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	if err := s.loaded(ctx, 5*time.Minute); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// page reads a page of the server's admin listener.
func (s *Server) page(ctx context.Context, path string) (text string, status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.Seat.Admin, path), nil)
	if err != nil {
		return "", 0, err
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dialerIn(s.Seat.Namespace), DisableKeepAlives: true}}
	reply, err := client.Do(request)
	if err != nil {
		return "", 0, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	return string(body), reply.StatusCode, err
}

// loaded waits until the server says that it is ready.
func (s *Server) loaded(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if _, status, err := s.page(ctx, "/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("wait until ready: the process ended: " + s.tail())
		case <-ctx.Done():
			return fmt.Errorf("wait until ready: %w: %s", ctx.Err(), s.tail())
		case <-again.C:
		}
	}
}

// gapLengths are those that servers and the echo loop count.
var gapLengths = [...]string{"500µs", "1ms", "2ms", "5ms", "10ms"}

// An lcoreCount is what /metrics says of one lcore.
type lcoreCount struct {
	queries float64
	gaps    [len(gapLengths)]float64 // between two polls, above each length
	longest time.Duration            // between two polls in the last minute
}

// lcores reads what the server's lcores have done.
func (s *Server) lcores(ctx context.Context) (map[string]lcoreCount, error) {
	text, _, err := s.page(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return parseLcores(text), nil
}

// parseLcores reads the lines of /metrics that lcores have.
func parseLcores(text string) map[string]lcoreCount {
	all := map[string]lcoreCount{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		_, labels, labelled := strings.Cut(name, `lcore="`)
		v, err := strconv.ParseFloat(value, 64)
		if !ok || !labelled || err != nil || !strings.HasPrefix(name, "strata_dpdk_") {
			continue
		}
		lcore, _, _ := strings.Cut(labels, `"`)
		c := all[lcore]
		switch {
		case strings.HasPrefix(name, "strata_dpdk_frames_total") && strings.Contains(labels, `verdict="query"`):
			c.queries = v
		case strings.HasPrefix(name, "strata_dpdk_total") && strings.Contains(labels, `what="gaps"`):
			c.gaps[0] = v
		case strings.HasPrefix(name, "strata_dpdk_total") && strings.Contains(labels, `what="gaps_over_`):
			_, length, _ := strings.Cut(labels, `what="gaps_over_`)
			length, _, _ = strings.Cut(length, `"`)
			if i := slices.Index(gapLengths[:], length); i >= 0 {
				c.gaps[i] = v
			}
		case strings.HasPrefix(name, "strata_dpdk_recent_longest_gap_seconds"):
			c.longest = seconds(v)
		}
		all[lcore] = c
	}
	return all
}

// tellEnd ends the server before flood gives its side up.
func (s *Server) tellEnd() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
	}
}
