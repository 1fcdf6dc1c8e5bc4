package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// keepers are etcd members, each in a process of its own.
var keepers = Contender{Name: "etcd", Ours: true, Program: "authoritative",
	Files: map[string]string{"etcd.yaml": "authoritative.yaml"},
	Args:  []string{"serve", "--config", "{{.Dir}}/authoritative.yaml"}}

// fed is a server of what a keeper has.
func fed(name string, part bool) Contender {
	return Contender{Name: name, Ours: true, Part: part, Program: "authoritative", Version: []string{"version"},
		Files: map[string]string{"authoritative-etcd.yaml": "authoritative.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/authoritative.yaml"}}
}

// fedRows are the contenders of the tables of etcd and of changes to records.
var fedRows = []Contender{fed("Strata", false)}

// A keeper is an etcd member with set.Large records in it, of the names of a zone of so
// many hosts. Its directory serves all tables of one call: filling it takes longest.
type keeper struct {
	*Server
	url     string
	port    int
	names   string // file of all names
	program string // that writes, see authoritative/store's BenchmarkVolume
	cpu     int    // that writers have; everyCPU: all
}

const fillPatience = 10 * time.Minute

// keep starts a keeper on all CPUs.
func (set Setting) keep(ctx context.Context) (*keeper, error) {
	path, err := keepers.find(set.Root)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(set.Work, "keeper")
	seat := Seat{Origin: "keeper.example", Zone: filepath.Join(dir, "zone"), Store: filepath.Join(dir, "etcd")}
	k := &keeper{names: filepath.Join(dir, "names"), program: filepath.Join(set.Work, "store.test"), cpu: everyCPU}
	if err := set.prepareKeeper(ctx, dir, seat.Zone, k); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err == nil {
		seat.Upstream, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	k.port = port
	k.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	seat.Etcd = k.url
	if k.Server, err = start(keepers, path, set.Work, everyCPU, seat); err != nil {
		return nil, err
	}
	_, err = k.readyFor(ctx, "keeper.example.", "10.0.0.1", readyPatience)
	if err == nil {
		err = k.fill(ctx, dir)
	}
	if err != nil {
		k.stop()
		return nil, err
	}
	return k, nil
}

// prepareKeeper makes what a keeper needs beside its process.
func (set Setting) prepareKeeper(ctx context.Context, dir, zone string, k *keeper) error {
	if err := set.buildStore(ctx, k.program); err != nil {
		return err
	}
	if _, err := os.Stat(zone); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("prepare an etcd member: %w", err)
	}
	return errors.Join(
		writeFile(zone, func(w *bufio.Writer) {
			fmt.Fprint(w, "$ORIGIN keeper.example.\n$TTL 30\n@ SOA ns hostmaster 1 7200 1800 86400 5\n@ NS ns\n@ A 10.0.0.1\nns A 10.0.0.1\n")
		}),
		writeFile(k.names, func(w *bufio.Writer) {
			for i := range set.Large {
				fmt.Fprintf(w, "%s.%s\n", hostName(i), origin)
			}
		}))
}

// buildStore builds the benchmarks of the package that speaks to etcd.
func (set Setting) buildStore(ctx context.Context, program string) error {
	if _, err := os.Stat(program); err == nil {
		return nil
	}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./authoritative/store")
	build.Dir = set.Root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmark: %w: %s", err, out)
	}
	return nil
}

// fill writes all records, unless a table before has.
func (k *keeper) fill(ctx context.Context, dir string) error {
	filled := filepath.Join(dir, "filled")
	if _, err := os.Stat(filled); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fillPatience)
	defer cancel()
	if _, err := k.write(ctx, k.names, "STRATA_BENCH_KEYS=120"); err != nil {
		return err
	}
	return os.WriteFile(filled, nil, 0o600)
}

// itself adds a row of what the keeper takes for a put and its watch's event, without us:
// where that is late, what is built on it is.
func (k *keeper) itself(ctx context.Context, t *table, load string, round int) error {
	sample, err := t.putAndWatch(ctx, &Server{Seat: Seat{Upstream: k.port}})
	if err == nil {
		t.add(sample, load, Contender{Name: etcdItself}, round)
	}
	return err
}

var volumeRate = regexp.MustCompile(`([\d.]+(?:e[+-]?\d+)?) records/s`)

// write puts records of the names in a file, and gives how many a second.
func (k *keeper) write(ctx context.Context, names string, env ...string) (perSecond float64, err error) {
	args := []string{k.program, "-test.run=^$", "-test.bench=^BenchmarkVolume$", "-test.benchtime=1x", "-test.timeout=20m"}
	if k.cpu != everyCPU {
		args = append([]string{"taskset", "-c", strconv.Itoa(k.cpu)}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), "STRATA_BENCH_ETCD="+k.url, "STRATA_BENCH_NAMES="+names), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("write records: %w: %s", err, out)
	}
	return parseVolume(string(out))
}

// parseVolume reads the benchmark's line.
func parseVolume(text string) (perSecond float64, err error) {
	m := volumeRate.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("read what was written: no rate in %q", text)
	}
	return strconv.ParseFloat(m[1], 64)
}
