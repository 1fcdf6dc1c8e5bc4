package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// wants says whether a record goes into memory: of names that are there, of those that
// always are, and while a zone is first filled of any, as long as there is room.
func (b *bounded) wants(tx *zone.Tx, rec *store.Record, f *feed) bool {
	if tx.Holds(rec.Name) {
		return true
	}
	if zone.Pinned(rec.Name, rec.Type) {
		if !zone.Pinned(rec.Name, wire.TypeA) { // the name alone would not do
			b.torn = append(b.torn, slices.Clone(rec.Name))
		}
		return true
	}
	if tx.BelowCut(rec.Name) {
		return true
	}
	if f.full || b.held >= b.most {
		return false
	}
	b.held++
	return true
}

// changed hears of a change that was applied, within the update that did it. before:
// whether the name had been in memory.
func (b *bounded) changed(tx *zone.Tx, c *store.Change, before bool) {
	b.mu.Lock()
	if a := b.names[string(c.Name)]; a != nil {
		a.changed = max(a.changed, c.Revision)
	}
	b.mu.Unlock()
	if before && !tx.Holds(c.Name) && !zone.Pinned(c.Name, c.Type) {
		b.held--
	}
}

// whole reads the names that changes bring into memory for good, and that are not there
// yet: they come with all that they have.
func (b *bounded) whole(changes []store.Change) (names [][]byte, reaches []store.Reach, err error) {
	for i := range changes {
		c := &changes[i]
		if c.Deleted || !zone.Pinned(c.Name, c.Type) || zone.Pinned(c.Name, wire.TypeA) || slices.ContainsFunc(names, func(n []byte) bool { return string(n) == string(c.Name) }) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), readBudget)
		reach, err := b.s.client.Reach(ctx, c.Name, c.Name, true)
		cancel()
		if err != nil {
			return nil, nil, fmt.Errorf("read what is at %s: %w", wire.NameString(c.Name), err)
		}
		names, reaches = append(names, slices.Clone(c.Name)), append(reaches, reach)
	}
	return names, reaches, nil
}

// mend brings the rest of names of which a full sync has passed some records by, before one
// came that keeps the name in memory. A snapshot has them whole.
func (b *bounded) mend(pass zone.Pass) error {
	torn := b.torn
	b.torn = nil
	if b.s.watcher == nil {
		return nil
	}
	for _, name := range torn {
		ctx, cancel := context.WithTimeout(context.Background(), readBudget)
		reach, err := b.s.client.Reach(ctx, name, name, true)
		cancel()
		if err != nil {
			return fmt.Errorf("read what is at %s: %w", wire.NameString(name), err)
		}
		err = b.s.table.Update(func(tx *zone.Tx) error {
			tx.Mark(pass)
			return b.s.sink.bring(tx, name, reach.Records)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bringWhole puts what whole has read.
func (b *bounded) bringWhole(tx *zone.Tx, names [][]byte, reaches []store.Reach) error {
	for i, name := range names {
		if tx.Holds(name) || len(reaches[i].Records) == 0 {
			continue
		}
		if err := b.s.sink.bring(tx, name, reaches[i].Records); err != nil {
			return err
		}
		b.s.watcher.CompareNow() // for glue, which is below it
	}
	return nil
}

// bring puts all records of a name at once. What does not fit is reported and left out.
func (s *sink) bring(tx *zone.Tx, name []byte, records []store.Record) error {
	var all []zone.Record
	z := tx.ZoneOf(name)
	if z == nil || s.feed(z.Apex) == nil {
		return nil
	}
	for i := range records {
		rec := &records[i]
		src, err := s.owners.number(rec.Owner)
		if err == nil {
			err = unfit(z.Apex, rec.Name, rec.Type)
		}
		one := zone.Record{Name: rec.Name, Type: rec.Type, TTL: rec.TTL, Source: src, Data: rec.Data}
		if err == nil {
			err = one.Check()
		}
		if err != nil {
			s.refused.Add(1)
			s.log.Warn("record left out", "record", rec.String(), "error", err)
			continue
		}
		s.health.note(rec, src)
		all = append(all, one)
	}
	return tx.Bring(name, all)
}
