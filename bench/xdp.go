package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const onVeth = "XDP on a veth, kxdpgun"

const xdpKnot = "Knot in XDP mode"

// xdpRows are authoritative and Knot with its XDP listener, in the server's namespace.
var xdpRows = []Contender{onPorts, {Name: xdpKnot, Package: "knot", Program: "knotd", Version: []string{"--version"},
	Files: map[string]string{"knot-xdp.conf": "knot.conf"},
	Args:  []string{"-c", "{{.Dir}}/knot.conf"}}}

// xdpRates are what kxdpgun is told to send, queries a second: the best answer of them
// counts, because on shared CPUs more load may bring fewer answers.
var xdpRates = []int{200_000, 300_000, 450_000, 600_000, 800_000, 1_000_000}

// dpdkXDP measures net_af_xdp and Knot's XDP mode on the same kind of veth, by kxdpgun.
func dpdkXDP(ctx context.Context, set Setting, command string) (*Run, error) {
	if err := framed(ctx, set); err != nil {
		return nil, err
	}
	gun, err := exec.LookPath("kxdpgun")
	if err != nil {
		return nil, fmt.Errorf("find kxdpgun: knot-dnsutils has it: %w", err)
	}
	undo, huge := reserve()
	defer undo()
	set.Peers = nil
	t, err := newTable(ctx, set, xdpRows, command)
	if err != nil {
		return nil, err
	}
	zone, present := filepath.Join(set.Work, "zone"), filepath.Join(set.Work, "existing")
	if err := errors.Join(writeZone(zone, set.Hosts), writeQueries(present, set.Hosts, 50_000, false)); err != nil {
		return nil, err
	}
	span := max(2, set.Seconds*2/5)
	t.run.Settings = []string{
		fmt.Sprintf("Rounds: %d, in an order shuffled anew; figures are medians over the rounds of the best rate in each.", set.Rounds),
		fmt.Sprintf("Server and client in namespaces of their own, made anew for each start, a veth pair with one queue between. One serving thread on CPU %d, kxdpgun on CPU %d; %s. The kernel works for both on either CPU.", set.ServerCPU, set.LoadCPU, huge),
		fmt.Sprintf("%d hosts with one A record each; kxdpgun sends %d random questions at %v queries/s for %d s each, whatever comes back.", set.Hosts, 50_000, xdpRates, span),
	}
	t.run.Commands = []string{fmt.Sprintf("ip netns exec CLIENT taskset -c %d kxdpgun -t %d -Q RATE -b 32 -F %d -p 53 -i $WORK/existing %s", set.LoadCPU, span, set.LoadCPU, wireServer)}
	m := &memif{table: t}
	return t.run, m.each(ctx, func(round int, c Contender) error {
		w, err := newWire()
		if err != nil {
			return err
		}
		defer w.close()
		if err := w.know(); err != nil {
			return err
		}
		s, err := set.onWire(ctx, t, c, w, zone)
		if err != nil {
			return err
		}
		defer s.stop()
		t.entry(c.Name).Command = set.portable(s.Command)
		var best Sample
		for _, rate := range xdpRates {
			sample, err := account(s, func() (Sample, error) { return fire(ctx, gun, w, set.LoadCPU, rate, span, present) })
			if err != nil {
				return err
			}
			slog.Info("fired", "at", c.Name, "rate", rate, "asked", sample.Completed+sample.Lost, "answered", sample.Completed)
			if sample.QPS > best.QPS {
				best = sample
			}
		}
		t.add(best, onVeth, c, round)
		return nil
	})
}

// onWire starts a contender on its end of the wire. Ours pins itself.
func (set Setting) onWire(ctx context.Context, t *table, c Contender, w *Wire, zone string) (*Server, error) {
	seat := Seat{Origin: origin, Zone: zone, Namespace: w.server, Address: wireServer}
	if c.Ours {
		seat.Device, seat.Lcores = "net_af_xdp0,iface="+wireEnd, strconv.Itoa(set.ServerCPU)
		s, err := set.openPorts(ctx, c, t.paths[c.Name], seat)
		if err == nil {
			s.cpu = everyCPU
		}
		return s, err
	}
	s, err := start(c, t.paths[c.Name], set.Work, set.ServerCPU, seat)
	if err != nil {
		return nil, err
	}
	if _, err = s.ready(ctx, set.Hosts-1, time.Minute); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

var gunTotals = regexp.MustCompile(`(?m)^total (queries|replies):\s+(\d+) \((\d+) pps\)`)

// fire runs kxdpgun once.
func fire(ctx context.Context, gun string, w *Wire, cpu, rate, span int, file string) (Sample, error) {
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", w.client, "taskset", "-c", strconv.Itoa(cpu), gun, "-t", strconv.Itoa(span),
		"-Q", strconv.Itoa(rate), "-b", "32", "-F", strconv.Itoa(cpu), "-p", "53", "-i", file, wireServer)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Sample{}, fmt.Errorf("run kxdpgun: %w: %s", err, strings.TrimSpace(string(out)))
	}
	s, err := parseGun(string(out))
	s.LoadCPU, s.Offered = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), float64(rate)
	return s, err
}

// parseGun reads what kxdpgun prints at its end.
func parseGun(text string) (Sample, error) {
	s := Sample{Flood: true, RCodes: map[string]int64{}}
	var sent int64
	for _, found := range gunTotals.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(found[2], 10, 64)
		rate, bad := strconv.ParseFloat(found[3], 64)
		switch {
		case err != nil || bad != nil:
		case found[1] == "queries":
			sent = n
		default:
			s.Completed, s.QPS = n, rate
		}
	}
	if s.QPS == 0 || sent == 0 {
		return s, fmt.Errorf("parse kxdpgun: no replies in %q", text)
	}
	s.Lost, s.Seconds = max(0, sent-s.Completed), float64(s.Completed)/s.QPS
	return s, nil
}
