package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// health leaves addresses that are down out of the answers. It knows in which
// RRsets each address stands that is probed, so that a change touches those alone;
// addresses of records without a probe are none of its business.
//
// What counts is what etcd has under health/, as long as somebody vouches for it:
// a prober that is registered, or was until expire ago. No clock but this process's
// own has a say.
type health struct {
	table  *zone.Table
	log    *slog.Logger
	expire time.Duration
	outs   atomic.Int64 // len(out)

	mu     sync.Mutex // taken within updates of the table, never around one
	parts  map[part]*probed
	at     map[netip.Addr]map[rrset]int // by how many parts
	pass   uint32
	known  map[netip.Addr]store.Health // as etcd has them
	out    map[netip.Addr]bool         // down, and vouched for
	there  map[string]int64            // probers
	seen   map[string]time.Time        // when a prober was last known to be there
	heard  bool
	edited int64 // goes up with known
}

// An rrset is a name in wire form and a type; a part is what one owner has of it.
type (
	rrset struct {
		name string
		typ  uint16
	}
	part struct {
		rrset
		source zone.Source
	}
)

// A probed is what is kept of a record with a probe.
type probed struct {
	probe string
	addrs []netip.Addr
	pass  uint32
}

// defaultExpire is how long what a prober found counts after the prober is gone.
const defaultExpire = 5 * time.Minute

func newHealth(table *zone.Table, log *slog.Logger) *health {
	h := &health{
		table: table, log: log, expire: defaultExpire, parts: map[part]*probed{}, at: map[netip.Addr]map[rrset]int{},
		known: map[netip.Addr]store.Health{}, out: map[netip.Addr]bool{}, seen: map[string]time.Time{},
	}
	table.LeaveOut(h.leftOut)
	return h
}

// leftOut tells the table what is not to be answered with. Most of the time nothing
// is down.
func (h *health) leftOut(name []byte, typ uint16, data []byte) bool {
	if h.outs.Load() == 0 {
		return false
	}
	addr, _ := netip.AddrFromSlice(data)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.out[addr] && h.at[addr][rrset{string(name), typ}] > 0
}

// begin and sweep enclose a full sync: what was not noted between them is gone.
func (h *health) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pass++
}

func (h *health) sweep(tx *zone.Tx) error {
	h.mu.Lock()
	var gone []rrset
	for p, probed := range h.parts {
		if probed.pass != h.pass {
			h.drop(p, probed)
			gone = append(gone, p.rrset)
		}
	}
	h.mu.Unlock()
	return rejoin(tx, gone)
}

// note takes a record that is about to be put, and reports whether it is probed
// otherwise than before: then its RRset is to be joined again.
func (h *health) note(rec *store.Record, source zone.Source) (changed bool) {
	if rec.Type != wire.TypeA && rec.Type != wire.TypeAAAA {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if rec.Probe == "" && len(h.parts) == 0 {
		return false
	}
	key := part{rrset{string(rec.Name), rec.Type}, source}
	old := h.parts[key]
	if rec.Probe == "" {
		if old != nil {
			h.drop(key, old)
		}
		return old != nil
	}
	now := &probed{probe: rec.Probe, pass: h.pass}
	for _, data := range rec.Data {
		if addr, ok := netip.AddrFromSlice(data); ok {
			now.addrs = append(now.addrs, addr)
		}
	}
	if old != nil {
		if slices.Equal(old.addrs, now.addrs) {
			old.probe, old.pass = now.probe, h.pass
			return false
		}
		h.drop(key, old)
	}
	h.parts[key] = now
	for _, addr := range now.addrs {
		if h.at[addr] == nil {
			h.at[addr] = map[rrset]int{}
		}
		h.at[addr][key.rrset]++
	}
	return true
}

// forget takes back what was noted of a record.
func (h *health) forget(name []byte, typ uint16, source zone.Source) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := part{rrset{string(name), typ}, source}
	if old := h.parts[key]; old != nil {
		h.drop(key, old)
	}
}

func (h *health) drop(key part, old *probed) {
	delete(h.parts, key)
	for _, addr := range old.addrs {
		if h.at[addr][key.rrset]--; h.at[addr][key.rrset] <= 0 {
			delete(h.at[addr], key.rrset)
		}
		if len(h.at[addr]) == 0 {
			delete(h.at, addr)
		}
	}
}

// probe is how a record is probed, for the snapshot.
func (h *health) probe(name []byte, typ uint16, source zone.Source) string {
	if typ != wire.TypeA && typ != wire.TypeAAAA {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.parts) == 0 {
		return ""
	}
	if p := h.parts[part{rrset{string(name), typ}, source}]; p != nil {
		return p.probe
	}
	return ""
}

// ReplaceHealth implements store.HealthSink.
func (h *health) ReplaceHealth(all []store.Health) {
	h.mu.Lock()
	clear(h.known)
	h.heard = true
	h.take(all)
	h.mu.Unlock()
	h.judge(time.Now())
}

// ApplyHealth implements store.HealthSink.
func (h *health) ApplyHealth(changed []store.Health) {
	now := time.Now()
	var sets []rrset
	h.mu.Lock()
	h.take(changed)
	for _, one := range changed {
		sets = h.decide(sets, one.Address, now)
	}
	h.mu.Unlock()
	h.rejoin(sets)
}

func (h *health) take(all []store.Health) {
	for _, now := range all {
		if now.State == store.Unknown {
			delete(h.known, now.Address)
		} else {
			h.known[now.Address] = now
		}
	}
	h.edited++
}

// decide finds out whether an address is left out, and adds the RRsets that this
// changes.
func (h *health) decide(sets []rrset, addr netip.Addr, now time.Time) []rrset {
	state := h.known[addr]
	out := state.State == store.Down && h.vouched(state.By, now)
	if out == h.out[addr] {
		return sets
	}
	if out {
		h.out[addr] = true
	} else {
		delete(h.out, addr)
	}
	h.outs.Store(int64(len(h.out)))
	for set := range h.at[addr] {
		sets = append(sets, set)
	}
	return sets
}

// rejoin has RRsets joined again, each once, in updates of a chunk each.
func (h *health) rejoin(sets []rrset) {
	if len(sets) > 1 { // many addresses of one RRset may have changed together
		slices.SortFunc(sets, func(a, b rrset) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.typ, b.typ)) })
		sets = slices.Compact(sets)
	}
	for part := range slices.Chunk(sets, chunk) {
		if err := h.table.Update(func(tx *zone.Tx) error { return rejoin(tx, part) }); err != nil {
			h.log.Error("addresses are not left out as they should be", "error", err)
		}
	}
}

// probers takes who is registered.
func (h *health) probers(there map[string]int64) {
	h.mu.Lock()
	h.there = there
	h.mu.Unlock()
	h.judge(time.Now())
}

// watchOver has what nobody vouches for any more expire. present tells whether etcd
// answers: while it doesn't, no prober is known to be there.
func (h *health) watchOver(now time.Time, present bool) {
	h.mu.Lock()
	if present {
		for name := range h.there {
			h.seen[name] = now
		}
	}
	h.mu.Unlock()
	h.judge(now)
}

// judge decides of all addresses.
func (h *health) judge(now time.Time) {
	var sets []rrset
	h.mu.Lock()
	vouching := map[string]bool{}
	for addr, state := range h.known {
		if state.State == store.Down {
			vouching[state.By] = true
			sets = h.decide(sets, addr, now)
		}
	}
	for addr := range h.out {
		sets = h.decide(sets, addr, now)
	}
	for name, seen := range h.seen { // names come from etcd: not all that ever were
		if _, ok := h.there[name]; !ok && !vouching[name] && now.Sub(seen) > 2*h.expire {
			delete(h.seen, name)
		}
	}
	h.mu.Unlock()
	h.rejoin(sets)
}

// vouched tells whether somebody stands for what a prober found. One that was never
// seen counts from the moment on that it was heard of.
func (h *health) vouched(by string, now time.Time) bool {
	if _, ok := h.seen[by]; !ok {
		h.seen[by] = now
	}
	return now.Sub(h.seen[by]) < h.expire
}

func rejoin(tx *zone.Tx, sets []rrset) error {
	for _, set := range sets {
		if _, err := tx.Rejoin([]byte(set.name), set.typ); err != nil {
			return fmt.Errorf("leave addresses out of %s: %w", wire.NameString([]byte(set.name)), err)
		}
	}
	return nil
}

// all gives what etcd has, by address, and what tells it from what was there before.
func (h *health) all() (all []store.Health, edited int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.known {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b store.Health) int { return a.Address.Compare(b.Address) })
	return all, h.edited
}
