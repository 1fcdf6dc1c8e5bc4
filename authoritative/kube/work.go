package kube

import (
	"bytes"
	"hash/maphash"
	"slices"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/zone"
)

// takeDirty takes at most n RRsets that are to be written, all of a name's
// together, as edits of owner, and how far the knowledge goes that they come from.
func (s *State) takeDirty(n int, owner string) (edits []store.Edit, position int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.dirty) == 0 && s.rest != nil {
		s.rest.note()
	}
	for key := range s.dirty {
		if len(edits) >= n {
			s.knock()
			break
		}
		name, _ := splitKey(key)
		for _, typ := range types { // an alias goes in the transaction in which what replaces it comes
			key := rrsetKey(name, typ)
			if _, ok := s.dirty[key]; ok {
				delete(s.dirty, key)
				edits = append(edits, s.edit(key, owner))
			}
		}
	}
	if len(s.dirty) == 0 {
		s.dirty = map[string]struct{}{} // one that was large stays so
	}
	return edits, slices.Max(s.positions[:])
}

// types are those of the RRsets there are.
var types = [...]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypePTR, dns.TypeSRV, dns.TypeTXT, zone.TypeOrder}

// edit makes the RRset in etcd what it should be now.
func (s *State) edit(key, owner string) store.Edit {
	rec, there := s.desired.record(key)
	e := store.Edit{Op: store.Set, Record: rec}
	if !there {
		e.Op = store.Remove
		e.Name, e.Type = splitKey(key)
	}
	e.Owner = owner
	return e
}

// again notes what is still to be written.
func (s *State) again(edits []store.Edit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range edits {
		s.dirty[rrsetKey(edits[i].Name, edits[i].Type)] = struct{}{}
	}
}

// takeRecheck tells whether something is gone that no event named.
func (s *State) takeRecheck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	recheck := s.recheck
	s.recheck = false
	return recheck
}

// A comparison holds the RRsets of an owner in etcd against those there should be.
type comparison struct {
	s        *State
	seed     maphash.Seed
	found    []uint64 // hashes of the keys that should be there and are
	total    int      // RRsets in etcd
	leftOver []string // keys of those that should not be there
	replaced []string // keys of those that stand where others should: no name goes with them
	wrong    []string
	braked   bool

	bite        int    // about how many missing RRsets are noted at once
	parts, part uint64 // of the names: how many, and which one's missing RRsets are noted next
	left        int    // RRsets missing from the parts to come
}

// bite is a comparison's. A cluster's first sync misses all RRsets, and notes of a million
// are a tenth of what is kept.
const bite = 1 << 16

// compare begins a comparison. There is one at a time.
func (s *State) compare() *comparison {
	return &comparison{s: s, seed: maphash.MakeSeed(), bite: bite}
}

// met takes an RRset as etcd has it; it is lent.
func (c *comparison) met(rec *store.Record) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.total++
	key := rrsetKey(rec.Name, rec.Type)
	want, ok := c.s.desired.record(key)
	switch {
	case ok:
		c.found = append(c.found, maphash.String(c.seed, key))
		if rec.TTL != want.TTL || rec.Probe != want.Probe || !sameData(rec.Data, want.Data) {
			c.wrong = append(c.wrong, key)
		}
	case c.s.desired.hasName(rec.Name):
		c.replaced = append(c.replaced, key)
	default:
		c.leftOver = append(c.leftOver, key)
	}
}

// end has written what is not as it should be. More left over than the share that
// may be deleted stays, all of it; an event that names it still takes it away.
func (c *comparison) end(maxDelete float64) (leftOver, missing, wrong int) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	slices.Sort(c.found)
	c.parts = 1 + uint64(max(0, len(c.s.desired.sets)-len(c.found))/c.bite)
	c.s.rest = c
	missing = c.note()
	c.braked = float64(len(c.leftOver)) > maxDelete*float64(c.total)
	keys := slices.Concat(c.wrong, c.replaced)
	if !c.braked {
		keys = append(keys, c.leftOver...)
	}
	for _, key := range c.replaced { // with what comes in their place, of whichever part
		name, _ := splitKey(key)
		keys = append(keys, c.s.desired.at(name)...)
	}
	for _, key := range keys {
		c.s.dirty[key] = struct{}{}
	}
	return len(c.leftOver), missing, len(c.wrong) + len(c.replaced)
}

// note notes the next part's missing RRsets as to be written, and counts those of this
// part and all that follow. A name is in one part with all its types.
func (c *comparison) note() (missing int) {
	noted := 0
	for key := range c.s.desired.sets {
		if _, ok := slices.BinarySearch(c.found, maphash.String(c.seed, key)); ok {
			continue
		}
		switch part := maphash.String(c.seed, key[:len(key)-2]) % c.parts; {
		case part == c.part:
			c.s.dirty[key] = struct{}{}
			noted++
			missing++
		case part > c.part:
			missing++
		}
	}
	c.left = missing - noted
	if c.part++; c.part == c.parts {
		c.s.rest = nil
	}
	return missing
}

// hasName tells whether there is any RRset at a name.
func (d *desired) hasName(name []byte) bool { return len(d.at(name)) > 0 }

// at gives the keys of the RRsets at a name.
func (d *desired) at(name []byte) (keys []string) {
	for _, typ := range types {
		if key := rrsetKey(name, typ); d.sets[key] != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// sameData compares sets without doubles, the second one sorted.
func sameData(have, want [][]byte) bool {
	if len(have) != len(want) {
		return false
	}
	sorted := slices.SortedFunc(slices.Values(have), bytes.Compare)
	return slices.EqualFunc(sorted, want, bytes.Equal)
}
