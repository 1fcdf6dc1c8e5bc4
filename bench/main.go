package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/strata-dns/strata/e2e/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	Setting
	tables   []string
	out      string
	named    bool // the tables were asked for by name
	tune     bool
	packages bool
}

func parseOptions(args []string) (options, error) {
	var o options
	var only, peers string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&only, "only", "", "tables to measure, comma-separated: "+strings.Join(allTables, ", ")+" (default all)")
	flags.StringVar(&peers, "peers", "", "contenders beside Strata, comma-separated, by the names of the tables (default all)")
	flags.StringVar(&o.out, "out", "", "directory for RESULTS.md and results.json (default bench/)")
	flags.IntVar(&o.Rounds, "rounds", 3, "rounds; fewer than three prove only that it runs")
	flags.IntVar(&o.Seconds, "seconds", 5, "length of one measurement")
	flags.IntVar(&o.Clients, "clients", defaultClients, "dnsperf -c: client sockets")
	flags.IntVar(&o.InFlight, "in-flight", defaultInFlight, "dnsperf -q: queries outstanding")
	flags.IntVar(&o.LatencyRate, "rate", 10_000, "queries a second of the latency run")
	flags.IntVar(&o.Latent, "latency-seconds", 2, "length of the latency run")
	flags.IntVar(&o.ServerCPU, "server-cpu", 1, "the CPU servers run on")
	flags.IntVar(&o.LoadCPU, "load-cpu", 0, "the CPU dnsperf runs on")
	flags.IntVar(&o.Hosts, "hosts", 50_000, "names in the zone of authoritative and nodecache")
	flags.IntVar(&o.Large, "large", 2_000_000, "names in the zone of memory")
	flags.IntVar(&o.SteadyRate, "steady-rate", 0, "queries a second of dpdk-stability; 0: as many as get answered")
	flags.BoolVar(&o.tune, "tune", false, "only try dnsperf settings against the authoritatives")
	flags.BoolVar(&o.packages, "packages", false, "only print what the peers are installed from")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.tables = list(only)
	if o.named = len(o.tables) > 0; !o.named {
		o.tables = allTables
	}
	for _, name := range o.tables {
		if tables[name] == nil {
			return o, fmt.Errorf("parse options: no table is called %q", name)
		}
	}
	o.Peers = list(peers)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("parse options: what is %q?", flags.Arg(0))
	case o.Rounds < 1 || o.Seconds < 1 || o.Latent < 1 || o.Clients < 1 || o.InFlight < 1 || o.LatencyRate < 1:
		return o, errors.New("parse options: rounds, lengths, rates and counts begin at 1")
	case o.Hosts < cached || o.Hosts > firstMissing || o.Large < 1 || o.Large > firstMissing:
		return o, fmt.Errorf("parse options: hosts must be %d to %d, large 1 to %[2]d", cached, firstMissing)
	}
	return o, nil
}

func list(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
}

// tables are the measurements, by the names --only takes.
var tables = map[string]func(context.Context, Setting, string) (*Run, error){
	tableAuthoritative:  authoritative,
	tableNodecache:      nodecache,
	tableLookup:         lookup,
	tableMemory:         large,
	tableRules:          nodecacheRules,
	tableJunk:           nodecacheJunk,
	tableCold:           nodecacheCold,
	tableAway:           nodecacheAway,
	tableRestart:        nodecacheRestart,
	tableRecursorHits:   recursorHits,
	tableRecursorMisses: recursorMisses,
	tableRecursorDead:   recursorDead,
	tableMemif:          dpdkMemif,
	tableOffered:        dpdkLoad,
	tableNames:          dpdkNames,
	tableQueues:         dpdkQueues,
	tableXDP:            dpdkXDP,
	tableStability:      dpdkStability,
	tablePinning:        pinning,
	tableKubernetes:     kubernetesCluster,
	tableCrowd:          kubernetesMemory,
	tablePropagation:    propagationLarge,
	tableRecords:        recordsAdded,
	tableEtcdLoad:       etcdLoad,
	tableChanges:        answersWhileChanging,
	tableBounded:        bounded,
}

// allTables are measured in this order.
var allTables = []string{tableAuthoritative, tableNodecache, tableRules, tableJunk, tableCold, tableAway, tableRestart,
	tableRecursorHits, tableRecursorMisses, tableRecursorDead, tableLookup, tableMemory,
	tableMemif, tableOffered, tableNames, tableQueues, tableXDP, tableStability, tablePinning, tableKubernetes, tableCrowd,
	tableEtcdLoad, tableRecords, tablePropagation, tableChanges, tableBounded}

// missing says what a table needs that is not there: then it is left out, unless somebody
// asks for it by name.
func missing(ctx context.Context, set Setting, name string) error {
	switch {
	case strings.HasPrefix(name, "dpdk-"):
		return framed(ctx, set)
	case name == tablePinning && os.Getuid() != 0:
		return errors.New("needs root: network namespaces are made by nobody else")
	case name == tableChanges && os.Getuid() != 0:
		return errors.New("needs root: its client runs before all else on its CPU")
	case name == tablePropagation || name == tableKubernetes:
		_, err := controlplane.Program(set.Root)
		return err
	}
	return nil
}

func bench(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.packages {
		fmt.Println(strings.Join(packages(), "\n"))
		return nil
	}
	if err := fit(o.Setting); err != nil {
		return err
	}
	if o.Root, err = root(); err != nil {
		return err
	}
	// This program too stays off the servers' CPU.
	if err := pin(os.Getpid(), o.LoadCPU); err != nil {
		return err
	}
	if o.out == "" {
		o.out = filepath.Join(o.Root, "bench")
	}
	if o.Work, err = os.MkdirTemp("", "bench-"); err != nil {
		return fmt.Errorf("make a work directory: %w", err)
	}
	defer os.RemoveAll(o.Work)
	if o.tune {
		return tune(ctx, o.Setting)
	}
	command := strings.TrimSpace("go run ./bench " + strings.Join(args, " "))
	for _, name := range o.tables {
		if err := missing(ctx, o.Setting, name); err != nil && !o.named {
			slog.Warn("left out", "table", name, "reason", err)
			continue
		}
		slog.Info("table", "name", name)
		run, err := tables[name](ctx, o.Setting, command)
		if err != nil {
			return fmt.Errorf("measure %s: %w", name, err)
		}
		// After each table: a later failure costs only what is not yet measured.
		if err := save(o.out, name, run); err != nil {
			return err
		}
	}
	return nil
}

// save puts the run in results.json and writes RESULTS.md anew.
func save(dir, name string, run *Run) error {
	path := filepath.Join(dir, "results.json")
	results, err := readResults(path)
	if err != nil {
		return err
	}
	results[name] = run
	if err := draw(dir, name, run); err != nil {
		return err
	}
	if err := results.write(path); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := report(f, results); err != nil {
		f.Close()
		return fmt.Errorf("write report: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// fit says what this machine lacks for a measurement.
func fit(set Setting) error {
	for _, program := range []string{"taskset", "dnsperf"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("find %s: bench/deps installs it: %w", program, err)
		}
	}
	if n := runtime.NumCPU(); set.ServerCPU >= n || set.LoadCPU >= n || set.ServerCPU == set.LoadCPU {
		return fmt.Errorf("pin to CPUs %d and %d: two different ones of this machine's %d are needed", set.ServerCPU, set.LoadCPU, n)
	}
	return nil
}

// root is the directory above this one that holds go.mod.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the checkout: no go.mod above the working directory")
		}
	}
}

// packages lists what must be installed, the generator first.
func packages() []string {
	names := []string{"dnsperf", "util-linux", "iproute2", "knot-dnsutils", "libdpdk-dev", "pkg-config", "gcc"} // knot-dnsutils: kxdpgun
	for _, c := range contenders() {
		for _, name := range strings.Fields(c.Package) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
