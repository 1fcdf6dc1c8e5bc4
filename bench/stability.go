package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/strata-dns/strata/bench/packets"
)

const steadily = "a minute with changes going on, over memif"

// changeZone is where records change; changesAtOnce of them each changePeriod.
const (
	changeZone    = "changes.example"
	changesAtOnce = 600
	changePeriod  = 200 * time.Millisecond
)

// stores is the etcd member beside.
var stores = Contender{Name: "store", Ours: true, Program: "authoritative",
	Files: map[string]string{"authoritative-store.yaml": "authoritative.yaml"},
	Args:  []string{"serve", "--config", "{{.Dir}}/authoritative.yaml"}}

// A change is what changes records: authoritative records import, over etcd, again and
// again, with other addresses each time.
type change struct {
	store *Server
	files [2]string
	path  string
	cpu   int
	done  atomic.Int64 // records changed
}

// newChange starts the etcd member, on one CPU, and writes the files.
func newChange(ctx context.Context, set Setting, path string) (*change, error) {
	seat := Seat{Changes: changeZone}
	port, err := freePort()
	if err == nil {
		seat.Upstream, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	seat.Etcd = fmt.Sprintf("http://127.0.0.1:%d", port)
	c := &change{path: path, cpu: set.LoadCPU}
	for i := range c.files {
		c.files[i] = filepath.Join(set.Work, "changes-"+strconv.Itoa(i))
		if err := writeChanges(c.files[i], i); err != nil {
			return nil, err
		}
	}
	if c.store, err = start(stores, path, set.Work, set.LoadCPU, seat); err != nil {
		return nil, err
	}
	if err := errors.Join(c.store.loaded(ctx, readyPatience), c.once(ctx, 0)); err != nil {
		c.store.stop()
		return nil, err
	}
	return c, nil
}

// writeChanges writes a master file in which every address differs from that of the other
// variants.
func writeChanges(path string, variant int) error {
	return writeFile(path, func(w *bufio.Writer) {
		fmt.Fprintf(w, "$ORIGIN %s.\n$TTL 30\n", changeZone)
		for i := range changesAtOnce {
			fmt.Fprintf(w, "%s A 10.%d.%d.%d\n", hostName(i), 100+variant, i>>8, i&255)
		}
	})
}

// once imports a variant.
func (c *change) once(ctx context.Context, variant int) error {
	cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(c.cpu), c.path, "records", "import", c.files[variant],
		"--config", filepath.Join(c.store.Seat.Dir, "authoritative.yaml"), "--zone", changeZone, "--replace", "--force")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import changes: %w: %s", err, out)
	}
	return nil
}

// begin has records change until the returned function is called, which says how many
// did, a second. An import that fails is a gap in the changes, and made up for by none.
func (c *change) begin(ctx context.Context) (end func() (perSecond float64, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	before, began := c.done.Load(), time.Now()
	go func() {
		var last error
		tick := time.NewTicker(changePeriod)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-ctx.Done():
				ended <- last
				return
			case <-tick.C:
			}
			if err := c.once(ctx, n%len(c.files)); err == nil {
				c.done.Add(changesAtOnce)
			} else if ctx.Err() == nil {
				slog.Warn("no change", "reason", err)
				last = err
			}
		}
	}()
	return func() (float64, error) {
		span := time.Since(began).Seconds()
		cancel()
		last := <-ended
		if n := c.done.Load() - before; n > 0 {
			return float64(n) / span, nil
		}
		return 0, errors.Join(errors.New("change records: none was"), last)
	}
}

// dpdkStability measures for a minute at the large zone, while records change, and
// the bare echo loop beside the same changes, once a round.
func dpdkStability(ctx context.Context, set Setting, command string) (*Run, error) {
	m, undo, err := newMemif(ctx, set, command, row(memifHits, true), row(memifEcho, false))
	if err != nil {
		return nil, err
	}
	defer undo()
	zone, names := filepath.Join(set.Work, "large"), filepath.Join(set.Work, "many")
	if err := errors.Join(writeZone(zone, set.Large), writeEach(names, set.Large)); err != nil {
		return nil, err
	}
	restore, what := setAside(set.LoadCPU)
	defer restore()
	span := 12 * set.Seconds
	m.run.Settings = append(m.run.Settings,
		fmt.Sprintf("%d s each. A zone of %d hosts from a file, all asked alike, and in the same table %s from etcd: `authoritative records import` writes its %d records anew, each with another address, every %v. etcd is a member embedded in a second authoritative. All that has CPU %d, with the generator.",
			span, set.Large, changeZone, changesAtOnce, changePeriod, set.LoadCPU),
		fmt.Sprintf("The echo loop (C, swaps addresses and ports, sets QR) polls alone in its process; beside it an authoritative with the same zones on sockets takes the same changes on CPU %d, so that the generator is disturbed alike.", set.LoadCPU),
		"For both alike: "+what+".",
		"deviation: standard deviation of the replies of each second over their mean. Longest between polls: as each loop counts itself, of the last minute. Polls 500 µs late, and later: all since the loop began, in which nobody asks for some seconds. What is over the echo loop's is taken round by round.")
	changes, err := newChange(ctx, set, m.paths[memifHits])
	if err != nil {
		return nil, err
	}
	defer changes.store.stop()
	samples := map[string]Sample{} // of the round
	return m.run, m.each(ctx, func(round int, c Contender) error {
		sample, err := m.steady(ctx, c, zone, names, span, changes)
		if err != nil {
			return err
		}
		if samples[c.Name] = sample; len(samples) == len(m.all) {
			m.pair(samples, round)
			clear(samples)
		}
		return nil
	})
}

// pair adds a round's samples, the server's with what the echo loop had.
func (m *memif) pair(samples map[string]Sample, round int) {
	echo, ours := samples[memifEcho], samples[memifHits]
	ours.EchoDeviation, ours.EchoGap = echo.Deviation, echo.PollGap
	m.add(ours, steadily, m.all[0], round)
	m.add(echo, steadily, m.all[1], round)
}

// steady measures one of the two for the span.
func (m *memif) steady(ctx context.Context, c Contender, zone, names string, span int, changes *change) (sample Sample, err error) {
	r := memifRun{names: names, rates: []string{strconv.Itoa(m.set.SteadyRate)}, seconds: span, lcores: []int{m.set.ServerCPU}, etcd: changes.store.Seat.Etcd}
	if c.Name == memifEcho {
		beside, err := m.set.openPorts(ctx, onPorts, m.paths[c.Name], Seat{Origin: origin, Zone: zone, Plane: "socket", Lcores: "0", Etcd: r.etcd, Changes: changeZone})
		if err != nil {
			return sample, err
		}
		defer beside.stop()
		if err := pin(beside.pid(), m.set.LoadCPU); err != nil {
			return sample, err
		}
	} else {
		r.zone = zone
	}
	lcore := func(s *Server) (lcoreCount, error) {
		all, err := s.lcores(ctx)
		return all[strconv.Itoa(m.set.ServerCPU)], err
	}
	var before lcoreCount
	r.opened = func(s *Server) (err error) {
		before, err = lcore(s)
		return err
	}
	machine := machineTimeNow()
	end := changes.begin(ctx)
	err = m.play(ctx, c, r, func(report *packets.Report, s *Server) error {
		sample = sampleOf(report)
		sample.Stolen, _ = machineTimeNow().since(machine, 0)
		if s == nil {
			return nil
		}
		after, err := lcore(s)
		sample.PollGap = after.longest
		for i, n := range after.gaps {
			sample.LongGaps = append(sample.LongGaps, n-before.gaps[i])
		}
		return err
	})
	rate, failed := end()
	sample.Changes = rate
	if m.echoed != nil {
		last := m.echoed.Longest[max(0, len(m.echoed.Longest)-span):]
		for _, gap := range last {
			sample.PollGap = max(sample.PollGap, gap)
		}
		for _, n := range m.echoed.Gaps {
			sample.LongGaps = append(sample.LongGaps, float64(n))
		}
		m.echoed = nil
	}
	return sample, errors.Join(err, failed)
}
