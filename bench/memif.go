package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strata-dns/strata/bench/packets"
)

// The loads of the tables over memif.
const (
	fullSpeed = "as many as get answered, over memif"
	atRates   = "throughput against offered load, over memif"
	bySize    = "cost by number of names, over memif"
	byQueues  = "by receive queues, over memif"
)

// The rows of the table dpdk-memif.
const (
	memifHits  = "Strata"
	memifLarge = "Strata, large zone"
	memifHalf  = "Strata, half NXDOMAIN"
	memifEcho  = "bare echo loop"
	memifKnot  = "Knot on kernel sockets"
)

// A memif is what tables over memif have in common: the generator on the load's CPU,
// whoever answers on the server's, and shared memory between.
type memif struct {
	*table
	flood  string          // the generator
	echoed *packets.Echoed // what the last echo loop said
}

// newMemif makes the table with those rows. undo gives back what the machine lent.
func newMemif(ctx context.Context, set Setting, command string, rows ...Contender) (m *memif, undo func(), err error) {
	if err := framed(ctx, set); err != nil {
		return nil, nil, err
	}
	set.Peers = nil
	t, err := newTable(ctx, set, rows, command)
	if err != nil {
		return nil, nil, err
	}
	m = &memif{table: t}
	if m.flood, err = buildFlood(ctx, set); err != nil {
		return nil, nil, err
	}
	undo, huge := reserve()
	t.run.Settings = []string{
		fmt.Sprintf("Rounds: %d, in an order shuffled anew. Figures are medians over the rounds.", set.Rounds),
		fmt.Sprintf("One thread polls and answers on CPU %d; the generator (bench/packets/flood) polls on CPU %d, where the server's other threads are, too. Two processes, net_memif, IPv4, UDP with checksums, no EDNS, 64 source ports; %s.", set.ServerCPU, set.LoadCPU, huge),
		"The generator is an open loop over frames made before the run; without a rate it makes as many as the port takes, with 64,512 in flight at most. A query without a reply within 250 ms is lost.",
		"port full: share of the generator's polls at which the port did not take all it had, so that the server is the limit. ns/query: of the polling thread's time, all of it.",
		"Latencies begin when a query is due, not when there was room to send it. Each answer's ID, port and RCODE are checked, the share of NXDOMAIN, and that NOERROR has an answer.",
	}
	return m, undo, nil
}

// A memifRun is one start of a server with its generator.
type memifRun struct {
	zone    string   // "": the echo loop
	names   string   // files of names, those that there are and not
	absent  string   //
	share   float64  // of absent names
	rates   []string // "0": as many as can be
	seconds int
	lcores  []int
	idle    string
	etcd    string // endpoint with the zone of changes; "": none

	opened func(*Server) error // before anything is asked; may be nil
}

// generator is what the generator is told.
func (r memifRun) generator(socket string) []string {
	args := []string{"--eal", "--no-pci --vdev=net_memif0,role=client,socket-abstract=no,mac=02:00:00:00:00:09,socket=" + socket,
		"--mac", serviceMAC, "--names", r.names, "--rate", strings.Join(r.rates, ","), "--for", strconv.Itoa(r.seconds) + "s",
		"--queues", strconv.Itoa(max(1, len(r.lcores)))}
	if r.share > 0 {
		args = append(args, "--absent", r.absent, "--nx", fmt.Sprint(r.share))
	}
	return args
}

// play starts who answers, has the generator ask, and hands the reports to visit as they
// come.
func (m *memif) play(ctx context.Context, c Contender, r memifRun, visit func(*packets.Report, *Server) error) error {
	socket := filepath.Join(m.set.Work, fmt.Sprintf("memif-%d", time.Now().UnixNano()))
	var server *Server
	var echo *Flood
	var err error
	if r.zone == "" {
		echo, err = startFlood(m.flood, m.set.ServerCPU, "--echo", "--eal", "--no-pci --vdev=net_memif0,role=server,socket-abstract=no,mac="+serviceMAC+",socket="+socket)
		if err != nil {
			return err
		}
		defer echo.stop()
		m.entry(c.Name).Command = withoutSocket(m.set.portable(echo.Command))
	} else {
		lcores := make([]string, len(r.lcores))
		for i, l := range r.lcores {
			lcores[i] = strconv.Itoa(l)
		}
		server, err = m.set.openPorts(ctx, onPorts, m.paths[c.Name], Seat{Origin: origin, Zone: r.zone, Socket: socket,
			Lcores: strings.Join(lcores, ", "), Idle: r.idle, Etcd: r.etcd, Changes: changeZone})
		if err != nil {
			return err
		}
		defer server.stop()
		m.entry(c.Name).Command = m.set.portable(server.Command)
		if r.opened != nil {
			if err := r.opened(server); err != nil {
				return err
			}
		}
	}
	flood, err := m.ask(ctx, r.generator(socket))
	if err != nil {
		return err
	}
	defer flood.stop()
	m.run.Commands = appendNew(m.run.Commands, withoutSocket(m.set.portable(flood.Command)))
	for range r.rates {
		var report packets.Report
		if err := flood.report(ctx, &report); err != nil {
			return err
		}
		if server != nil {
			if err := right(&report, r.share); err != nil {
				return err
			}
		}
		if err := visit(&report, server); err != nil {
			return err
		}
	}
	// Who polls ends first.
	if server != nil {
		server.tellEnd()
		return nil
	}
	echo.tell()
	m.echoed = new(packets.Echoed)
	return echo.report(ctx, m.echoed)
}

// ask starts the generator; an echo loop may not be there yet.
func (m *memif) ask(ctx context.Context, args []string) (*Flood, error) {
	select {
	case <-time.After(time.Second): // a memif client tries only now and then
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return startFlood(m.flood, m.set.LoadCPU, args...)
}

// withoutSocket replaces the socket's name, which differs each time.
func withoutSocket(command string) string {
	return memifSocket.ReplaceAllString(command, "socket=$$WORK/memif")
}

func appendNew(all []string, text string) []string {
	if slices.Contains(all, text) {
		return all
	}
	return append(all, text)
}

var memifSocket = regexp.MustCompile(`socket=[^," ]*/memif-\d+`)

// each visits the rows once a round, in a new order each time; one that fails is left
// out from then on.
func (m *memif) each(ctx context.Context, visit func(round int, c Contender) error) error {
	for round := 1; round <= m.set.Rounds; round++ {
		for _, c := range shuffled(m.all) {
			if m.paths[c.Name] == "" {
				continue
			}
			err := visit(round, c)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				slog.Warn("failed", "row", c.Name, "round", round, "reason", err)
				m.entry(c.Name).Missing = m.set.portable(fmt.Sprintf("round %d: %v", round, err))
				delete(m.paths, c.Name)
			}
		}
	}
	return nil
}

// row is authoritative under another name.
func row(name string, ours bool) Contender {
	c := named(onPorts, name)
	c.Ours = true // found in bin/
	c.Part = !ours
	return c
}

// memifRows are those of the table dpdk-memif.
var memifRows = []Contender{row(memifHits, true), row(memifLarge, false), row(memifHalf, false), row(memifEcho, false), named(authoritatives[1], memifKnot)}

// dpdkMemif measures how many queries one polling core answers.
func dpdkMemif(ctx context.Context, set Setting, command string) (*Run, error) {
	m, undo, err := newMemif(ctx, set, command, memifRows...)
	if err != nil {
		return nil, err
	}
	defer undo()
	small, large := filepath.Join(set.Work, "zone"), filepath.Join(set.Work, "large")
	names, many, absent, present := filepath.Join(set.Work, "names"), filepath.Join(set.Work, "many"), filepath.Join(set.Work, "absent"), filepath.Join(set.Work, "existing")
	for _, err := range []error{
		writeZone(small, set.Hosts), writeZone(large, set.Large), writeEach(names, set.Hosts), writeEach(many, set.Large),
		writeAbsent(absent, set.Hosts), writeQueries(present, set.Hosts, queries, false),
	} {
		if err != nil {
			return nil, err
		}
	}
	m.run.Settings = append(m.run.Settings, fmt.Sprintf("%d hosts with one A record each, all asked alike; large zone: %d. Knot is asked by dnsperf over loopback, %d in flight, with one UDP worker: its CPU per query is in the same column.", set.Hosts, set.Large, set.InFlight))
	rates := []string{"0"}
	runs := map[string]memifRun{
		memifHits:  {zone: small, names: names, rates: rates},
		memifLarge: {zone: large, names: many, rates: rates},
		memifHalf:  {zone: small, names: names, absent: absent, share: 0.5, rates: rates},
		memifEcho:  {names: names, rates: rates},
	}
	load := Load{File: present, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	m.run.Commands = set.commands(load)
	return m.run, m.each(ctx, func(round int, c Contender) error {
		if r, ok := runs[c.Name]; ok {
			r.seconds, r.lcores = set.Seconds, []int{set.ServerCPU}
			return m.play(ctx, c, r, func(report *packets.Report, _ *Server) error {
				m.add(sampleOf(report), fullSpeed, c, round)
				return nil
			})
		}
		return m.once(ctx, Seat{Origin: origin, Zone: small}, round, c, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
			if _, err := s.ready(ctx, set.Hosts-1, time.Minute); err != nil {
				return err
			}
			if err := set.check(ctx, s, present, queries, 0); err != nil {
				return err
			}
			sample, err := set.measure(ctx, s, load)
			sample.Flood = true
			m.add(sample, fullSpeed, c, round)
			return err
		})
	})
}

// offered are the loads of the table dpdk-load, queries a second; 0: as many as can be.
var offered = []string{"250000", "500000", "1000000", "1500000", "2000000", "2500000", "3000000", "3500000", "4000000", "4500000", "5000000", "6000000", "0"}

// dpdkLoad measures what comes back of how much is asked.
func dpdkLoad(ctx context.Context, set Setting, command string) (*Run, error) {
	var rows []Contender
	for i, rate := range offered {
		rows = append(rows, row(rateName(rate), i == 0))
	}
	m, undo, err := newMemif(ctx, set, command, rows...)
	if err != nil {
		return nil, err
	}
	defer undo()
	zone, names := filepath.Join(set.Work, "zone"), filepath.Join(set.Work, "names")
	if err := errors.Join(writeZone(zone, set.Hosts), writeEach(names, set.Hosts)); err != nil {
		return nil, err
	}
	m.run.Settings = append(m.run.Settings, fmt.Sprintf("%d hosts with one A record each, all asked alike. One server and one generator a round, the loads in rising order, %d s each after one that does not count.", set.Hosts, max(1, set.Seconds*3/5)))
	for round := 1; round <= set.Rounds; round++ {
		nth := 0
		r := memifRun{zone: zone, names: names, rates: offered, seconds: max(1, set.Seconds*3/5), lcores: []int{set.ServerCPU}}
		err := m.play(ctx, m.all[0], r, func(report *packets.Report, _ *Server) error {
			m.add(sampleOf(report), atRates, m.all[nth], round)
			nth++
			return nil
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			slog.Warn("failed", "round", round, "reason", err)
			m.run.Settings = append(m.run.Settings, fmt.Sprintf("**Round %d ended before %s: %v.**", round, m.all[min(nth, len(m.all)-1)].Name, err))
		}
	}
	return m.run, nil
}

// rateName is the row of an offered load.
func rateName(rate string) string {
	if rate == "0" {
		return "as many as can be"
	}
	v, _ := strconv.ParseFloat(rate, 64) // of the list above
	return fmt.Sprintf("%.2f million/s", v/1e6)
}

// sizes of zones of the table dpdk-names.
var zoneSizes = []int{1_000, 10_000, 50_000, 200_000, 1_000_000, 2_000_000, 5_000_000}

// dpdkNames measures the cost of a query by the number of names.
func dpdkNames(ctx context.Context, set Setting, command string) (*Run, error) {
	var rows []Contender
	sizes := map[string]int{}
	for _, n := range zoneSizes {
		if n > max(set.Large*5/2, 50_000) { // a short run has small zones
			break
		}
		name := fmt.Sprintf("%d names", n)
		sizes[name] = n
		rows = append(rows, row(name, len(rows) == 0))
	}
	m, undo, err := newMemif(ctx, set, command, rows...)
	if err != nil {
		return nil, err
	}
	defer undo()
	file := func(kind string, n int) string { return filepath.Join(set.Work, fmt.Sprintf("%s-%d", kind, n)) }
	for _, n := range sizes {
		if err := errors.Join(writeZone(file("zone", n), n), writeEach(file("names", n), n)); err != nil {
			return nil, err
		}
	}
	m.run.Settings = append(m.run.Settings, "Hosts with one A record each, all asked alike.")
	return m.run, m.each(ctx, func(round int, c Contender) error {
		n := sizes[c.Name]
		r := memifRun{zone: file("zone", n), names: file("names", n), rates: []string{"0"}, seconds: max(1, set.Seconds*2/5), lcores: []int{set.ServerCPU}}
		return m.play(ctx, c, r, func(report *packets.Report, _ *Server) error {
			sample := sampleOf(report)
			sample.Names = n
			m.add(sample, bySize, c, round)
			return nil
		})
	})
}

// dpdkQueues measures one and two receive queues, each with an lcore of its own. With two
// CPUs the generator shares one of them with the second lcore.
func dpdkQueues(ctx context.Context, set Setting, command string) (*Run, error) {
	const one, two = "1 queue", "2 queues, one beside the generator"
	m, undo, err := newMemif(ctx, set, command, row(one, true), row(two, false))
	if err != nil {
		return nil, err
	}
	defer undo()
	zone, names := filepath.Join(set.Work, "zone"), filepath.Join(set.Work, "names")
	if err := errors.Join(writeZone(zone, set.Hosts), writeEach(names, set.Hosts)); err != nil {
		return nil, err
	}
	m.run.Settings = append(m.run.Settings,
		fmt.Sprintf("%d hosts. The generator sends bursts to the queues in turn. The second lcore has CPU %d together with the generator, and naps when it has nothing to do, as the first does then: this machine has no third CPU, so the figure is a floor.", set.Hosts, set.LoadCPU))
	lcores := map[string][]int{one: {set.ServerCPU}, two: {set.LoadCPU, set.ServerCPU}}
	return m.run, m.each(ctx, func(round int, c Contender) error {
		r := memifRun{zone: zone, names: names, rates: []string{"500000", "0"}, seconds: set.Seconds, lcores: lcores[c.Name], idle: "backoff"}
		return m.play(ctx, c, r, func(report *packets.Report, s *Server) error {
			sample := sampleOf(report)
			all, err := s.lcores(ctx)
			if err != nil {
				return err
			}
			for _, lcore := range r.lcores {
				sample.Lcores = append(sample.Lcores, all[strconv.Itoa(lcore)].queries)
			}
			load := byQueues
			if report.Rate > 0 {
				load += ", " + rateName("500000")
			}
			m.add(sample, load, c, round)
			return nil
		})
	})
}
