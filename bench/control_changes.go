package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const whileChanging = "steady queries, while records change"

const (
	changingRow = "Strata, 50,000 changes a second"
	steadyRow   = "Strata, none"
)

// changeRows are the contenders of the table changes.
var changeRows = []Contender{fed(changingRow, false), fed(steadyRow, true)}

const (
	changesASecond = 50_000
	changedNames   = 50_000
	changeKeys     = 25     // of one transaction: etcd sends 1,000 revisions at a time, ten times a second at most
	changeQuarter  = 4      // the client shares its CPU with what changes come through
	changeMost     = 20_000 // queries a second, for the same reason
	changeSpare    = 1.05
)

// answersWhileChanging measures answers while changes arrive, and while none do.
func answersWhileChanging(ctx context.Context, set Setting, command string) (*Run, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("needs root: the client runs before all others on its CPU")
	}
	k, err := set.keep(ctx)
	if err != nil {
		return nil, err
	}
	defer k.stop()
	k.cpu = set.LoadCPU
	if err := pin(k.pid(), set.LoadCPU); err != nil {
		return nil, err
	}
	m := &changing{set: set, k: k, seconds: 2 * set.Seconds}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	defer m.relay.close()
	if m.t, err = newTable(ctx, set, changeRows, command); err != nil {
		return nil, err
	}
	m.t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("The server has %d RRsets from an etcd in a process of its own on CPU %d. Asked for are %d random names, by an open-loop client, at a quarter of the queries/s that dnsperf got answered from the first server started, but no more than %d, the same for all; the client goes before all else on its CPU, and sleeps between packets.", set.Large, set.LoadCPU, changedNames, changeMost),
		fmt.Sprintf("etcd, which takes about as many changes a second with a whole CPU, has no such CPU while the client asks. So %d s of changes, %d in a transaction, are written to %d names before, while a relay holds back what the server's watch says of them; then the relay hands that on, message by message and unchanged, at %d changes a second and a little more, while the server is asked for %d s.",
			m.seconds+1, changeKeys, changedNames, changesASecond, m.seconds),
		"The server reads, decodes and applies changes on the one CPU that it answers on: where it has more, what answers has a CPU of its own. Changes a second are those that were answered from, by the serial of the zone, which is etcd's revision, before and after; at the end the last change of the last name must be answered.")
	err = m.t.rounds(ctx, Seat{Origin: origin, Etcd: m.relay.url()}, m.round)
	m.t.run.Settings = append(m.t.run.Settings, fmt.Sprintf("Asked: %d queries/s. %s", m.rate, m.pace()))
	return m.t.run, err
}

// A changing is the table changes under way.
type changing struct {
	set     Setting
	k       *keeper
	t       *table
	relay   *relay
	seconds int // of one measurement
	names   string
	asked   string
	list    []Question
	rate    int // queries a second
	written int // changes so far

	reached []float64 // changes a second
	taken   []float64 // by etcd alone
}

// prepare writes the names that change, and the relay before etcd.
func (m *changing) prepare() error {
	n := min(changedNames, m.set.Large)
	var names, lines []string
	for i := range n {
		name := hostName(i) + "." + origin
		names, lines = append(names, name), append(lines, name+". A")
		q, err := newQuestion(name, [4]byte{}) // whichever address it has by now
		if err != nil {
			return err
		}
		q.address = [4]byte{0, 1, 0, 1} // type and class of the answer
		m.list = append(m.list, q)
	}
	for i := range m.list {
		j := int(scramble(uint64(i)) % uint64(n))
		m.list[i], m.list[j] = m.list[j], m.list[i]
	}
	m.names, m.asked = filepath.Join(m.set.Work, "changed"), filepath.Join(m.set.Work, "asked")
	relay, err := newRelay(strings.TrimPrefix(m.k.url, "http://"))
	m.relay = relay
	return errors.Join(err, os.WriteFile(m.names, []byte(strings.Join(names, "\n")+"\n"), 0o600), os.WriteFile(m.asked, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func (m *changing) round(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
	m.relay.release(0)
	if _, err := s.ready(ctx, m.set.Large-1, fillPatience); err != nil {
		return err
	}
	if m.rate == 0 {
		full, err := m.set.measure(ctx, s, Load{File: m.asked, Clients: m.set.Clients, Outstanding: m.set.InFlight, Seconds: m.set.Seconds})
		if err != nil {
			return err
		}
		m.rate = min(changeMost, int(full.QPS/changeQuarter))
	}
	asking := Asking{Questions: m.list, Count: m.rate * m.seconds, Rate: m.rate, Sockets: 4, Patience: time.Second, Doze: true}
	if err := m.set.check(ctx, s, m.asked, int64(len(m.list)), 0); err != nil {
		return err
	}
	var sample Sample
	var err error
	if c.Name == changingRow {
		sample, err = m.storm(ctx, s, asking)
	} else {
		sample, err = m.set.ask(s, asking)
	}
	if err != nil {
		return err
	}
	m.t.add(sample, whileChanging, c, round)
	return nil
}

// storm asks while changes come that etcd has had its work with.
func (m *changing) storm(ctx context.Context, s *Server, asking Asking) (sample Sample, err error) {
	m.relay.hold()
	count := int(changesASecond*changeSpare*float64(m.seconds+1)) / changeKeys * changeKeys
	m.written += len(m.list) // every name another address than before, in each round
	first := m.written
	taken, err := m.k.write(ctx, m.names, fmt.Sprintf("STRATA_BENCH_KEYS=%d", changeKeys), fmt.Sprintf("STRATA_BENCH_RECORDS=%d", count), fmt.Sprintf("STRATA_BENCH_FIRST=%d", first))
	if err != nil {
		return sample, err
	}
	m.written += count
	if err := until(ctx, "all changes", func() bool { return m.relay.holds() >= count }); err != nil {
		return sample, err
	}
	m.relay.release(changesASecond * changeSpare)
	if err := until(ctx, "changes", func() bool { return m.relay.holds() < count-changesASecond/10 }); err != nil {
		return sample, err
	}
	before, began := m.revision(ctx, s), time.Now()
	sample, err = m.set.ask(s, asking)
	if err != nil {
		return sample, err
	}
	after, took := m.revision(ctx, s), time.Since(began)
	left := m.relay.holds()
	m.relay.release(0)
	began = time.Now()
	n := first + count - 1
	last := hostName((count-1)%len(m.list)) + "." + origin + "."
	if _, err := s.readyFor(ctx, last, net.IPv4(10+byte(n>>24), byte(n>>16), byte(n>>8), byte(n)).String(), time.Minute); err != nil {
		return sample, fmt.Errorf("the last change: %w", err)
	}
	if before == 0 || after == 0 || left == 0 {
		return sample, fmt.Errorf("count the changes: from serial %d to %d, %d left", before, after, left)
	}
	sample.Changes = float64(after-before) * changeKeys / took.Seconds()
	m.reached, m.taken = append(m.reached, sample.Changes), append(m.taken, taken)
	slog.Info("changes", "per_second", int(sample.Changes), "left", left, "etcd_took_per_second", int(taken), "last_answered_after", time.Since(began).Round(time.Millisecond))
	return sample, nil
}

// revision is the etcd revision that a server answers from, 0 where it does not say: the
// serial of its zone.
func (m *changing) revision(ctx context.Context, s *Server) uint32 {
	reply, err := s.exchange(ctx, new(dns.Msg).SetQuestion(origin+".", dns.TypeSOA))
	if err != nil || len(reply.Answer) == 0 {
		return 0
	}
	soa, _ := reply.Answer[0].(*dns.SOA)
	if soa == nil {
		return 0
	}
	return soa.Serial
}

// until waits, for a minute at most.
func until(ctx context.Context, what string, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// pace says what changes were reached.
func (m *changing) pace() string {
	if len(m.reached) == 0 {
		return "No changes were measured."
	}
	return fmt.Sprintf("Changes that reached the answers: %.0f a second in the median, at least %.0f. etcd, with nothing else on its CPU but who wrote, took %.0f a second.",
		median(m.reached), slices.Min(m.reached), median(m.taken))
}
