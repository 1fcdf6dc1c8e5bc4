package probe

import (
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/strata-dns/strata/authoritative/store"
)

// Targets are the addresses of records that ask for probing, and how. They
// implement store.Sink; nothing is kept of other records.
type Targets struct {
	log *slog.Logger

	mu      sync.Mutex
	records map[string]asking // by name, type and owner
	asked   map[Target]int    // by how many records
	synced  bool
	changed chan struct{}
}

// An asking is what one record asks for.
type asking struct {
	probe   string
	targets []Target
}

// NewTargets makes an empty set.
func NewTargets(log *slog.Logger) *Targets {
	return &Targets{log: log, records: map[string]asking{}, asked: map[Target]int{}, changed: make(chan struct{}, 1)}
}

// Replace implements store.Sink.
func (t *Targets) Replace(records iter.Seq2[store.Record, error], _ int64) error {
	all := map[string]asking{}
	for rec, err := range records {
		if err != nil {
			return err
		}
		if rec.Probe != "" {
			all[rec.String()] = t.read(&rec)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.asked
	t.records, t.asked = all, map[Target]int{}
	for _, a := range all {
		t.count(a, 1)
	}
	same := t.synced && len(before) == len(t.asked)
	for target := range t.asked {
		same = same && before[target] > 0
	}
	if t.synced = true; !same {
		t.tell()
	}
	return nil
}

// Apply implements store.Sink.
func (t *Targets) Apply(changes []store.Change, _ int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := false
	for i := range changes {
		rec := &changes[i].Record
		old, had := t.records[rec.String()]
		if !had && rec.Probe == "" {
			continue
		}
		now := asking{}
		if !changes[i].Deleted && rec.Probe != "" {
			now = t.read(rec)
		}
		if now.probe == old.probe && slices.Equal(now.targets, old.targets) {
			continue
		}
		changed = true
		t.count(old, -1)
		t.count(now, 1)
		if now.probe == "" {
			delete(t.records, rec.String())
		} else {
			t.records[rec.String()] = now
		}
	}
	if changed {
		t.tell()
	}
	return nil
}

// read finds out what a record asks for. What makes no sense is said, and not
// probed.
func (t *Targets) read(rec *store.Record) asking {
	a := asking{probe: rec.Probe}
	check, err := Parse(rec.Probe)
	if err == nil && rec.Type != typeA && rec.Type != typeAAAA {
		err = fmt.Errorf("%s records have no addresses to probe", store.TypeString(rec.Type))
	}
	if err != nil {
		t.log.Warn("record is not probed", "record", rec.String(), "error", err)
		return a
	}
	for _, data := range rec.Data {
		addr, ok := netip.AddrFromSlice(data)
		if !ok || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6() {
			t.log.Warn("address is not probed", "record", rec.String(), "address", addr)
			continue
		}
		a.targets = append(a.targets, Target{addr, check})
	}
	return a
}

// Types with addresses (RFC 1035 §3.4.1, RFC 3596 §2.1).
const (
	typeA    = 1
	typeAAAA = 28
)

func (t *Targets) count(a asking, n int) {
	for _, target := range a.targets {
		if t.asked[target] += n; t.asked[target] == 0 {
			delete(t.asked, target)
		}
	}
}

func (t *Targets) tell() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// all gives the checks of each address, and whether all records have been seen.
func (t *Targets) all() (checks map[netip.Addr][]Check, synced bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	checks = make(map[netip.Addr][]Check, len(t.asked))
	for target := range t.asked {
		checks[target.Address] = append(checks[target.Address], target.Check)
	}
	return checks, t.synced
}
