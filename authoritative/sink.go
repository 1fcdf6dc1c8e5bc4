package main

import (
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// chunk is how many records go into the table in one update: a few
// milliseconds, so that nothing else waits long for its turn.
const chunk = 4096

// A sink puts what etcd (or a snapshot) holds into the table. It implements
// store.Sink; its calls come from one goroutine at a time.
type sink struct {
	table  *zone.Table
	log    *slog.Logger
	owners owners
	health *health

	mu    sync.Mutex       // taken within updates of the table, never around one
	feeds map[string]*feed // by apex in wire form

	outside  atomic.Uint64 // records of zones that are not served here from etcd
	refused  atomic.Uint64 // records the table would not take
	clashes  atomic.Uint64 // records beside another owner's CNAME, or the other way round
	aliases  bool          // a CNAME was seen; its calls' goroutine only
	revision atomic.Int64  // etcd's, of what the table holds
	joined   atomic.Int64  // how often a zone has become whole
	filled   atomic.Bool   // there is something to answer from
	bounded  *bounded      // nil: all is held in memory
	news     chan struct{} // something was taken since it was last looked at
}

func newSink(table *zone.Table, log *slog.Logger) *sink {
	return &sink{table: table, log: log, health: newHealth(table, log), feeds: map[string]*feed{}, news: make(chan struct{}, 1)}
}

// Replace implements store.Sink. Nothing is deleted before all records were seen.
func (s *sink) Replace(records iter.Seq2[store.Record, error], revision int64) error {
	return s.fill(records, revision, func(*feed) bool { return true })
}

// fill makes the table hold exactly these records of etcd's owners. The zones that
// were there when it began, and are covered by the records, are whole from then on.
func (s *sink) fill(records iter.Seq2[store.Record, error], revision int64, covered func(*feed) bool) error {
	began := s.all()
	pass := s.table.NewPass()
	s.health.begin()
	if s.bounded != nil {
		s.bounded.pass.Store(uint32(pass))
		defer s.bounded.pass.Store(0)
	}
	if err := s.pour(records, pass); err != nil {
		return fmt.Errorf("fill zones from etcd: %w", err)
	}
	if s.bounded != nil {
		if err := s.bounded.mend(pass); err != nil {
			return err
		}
	}
	return s.table.Update(func(tx *zone.Tx) error {
		if _, err := tx.Sweep(pass, stale(began)); err != nil {
			return err
		}
		if err := s.health.sweep(tx); err != nil {
			return err
		}
		if s.bounded != nil {
			s.bounded.held = tx.Evictable()
			s.bounded.shown.Store(int64(s.bounded.held))
		}
		s.complete(began, covered)
		return s.stamp(tx, revision)
	})
}

// pour puts all records, in updates of a chunk each, marked as part of the pass.
func (s *sink) pour(records iter.Seq2[store.Record, error], pass zone.Pass) error {
	next, stop := iter.Pull2(records)
	defer stop()
	for {
		more := true
		err := s.table.Update(func(tx *zone.Tx) error {
			tx.Mark(pass)
			for range chunk {
				rec, err, ok := next()
				if more = ok; !ok || err != nil {
					return err
				}
				s.put(tx, &rec)
			}
			return nil
		})
		if err != nil || !more {
			return err
		}
	}
}

// stale tells what a full sync deletes unless it has seen it: all that is etcd's,
// and in the zones it filled what is left of a master file they once came from.
func stale(feeds []*feed) func(*zone.Zone, zone.Source) bool {
	filled := make(map[string]bool, len(feeds))
	for _, f := range feeds {
		filled[string(f.apex)] = true
	}
	return func(z *zone.Zone, src zone.Source) bool {
		return src >= ownersFrom || src == fileRecords && z != nil && filled[string(z.Apex)]
	}
}

// complete notes which zones are whole.
func (s *sink) complete(began []*feed, covered func(*feed) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range began {
		if !covered(f) {
			s.log.Warn("zone is not in the snapshot; not answered from before etcd is there", "zone", wire.NameString(f.apex))
			continue
		}
		if !f.full {
			f.full = true
			s.joined.Add(1)
		}
	}
}

// A state is what tells two contents of the table apart.
type state struct{ revision, joined int64 }

func (s *sink) state() state { return state{s.revision.Load(), s.joined.Load()} }

// Apply implements store.Sink.
func (s *sink) Apply(changes []store.Change, revision int64) error {
	var pinned [][]byte
	var reaches []store.Reach
	if s.bounded != nil {
		var err error
		if pinned, reaches, err = s.bounded.whole(changes); err != nil {
			return err
		}
	}
	return s.table.Update(func(tx *zone.Tx) error {
		if s.bounded != nil {
			if err := s.bounded.bringWhole(tx, pinned, reaches); err != nil {
				return err
			}
		}
		for i := range changes {
			c := &changes[i]
			before := s.bounded != nil && tx.Holds(c.Name)
			if err := s.apply(tx, c); err != nil {
				return err
			}
			if s.bounded != nil {
				s.bounded.changed(tx, c, before)
			}
		}
		return s.stamp(tx, revision)
	})
}

func (s *sink) apply(tx *zone.Tx, c *store.Change) error {
	if !c.Deleted {
		s.put(tx, &c.Record)
		return nil
	}
	if src, ok := s.owners.known(c.Owner); ok {
		s.health.forget(c.Name, c.Type, src)
		if _, err := tx.Delete(c.Name, c.Type, src); err != nil {
			return fmt.Errorf("delete %s: %w", &c.Record, err)
		}
	}
	return nil
}

// put hands one record to the table. One that does not fit is reported and left
// out; the rest goes on.
func (s *sink) put(tx *zone.Tx, rec *store.Record) {
	var f *feed
	if z := tx.ZoneOf(rec.Name); z != nil {
		f = s.feed(z.Apex)
	}
	if f == nil {
		s.outside.Add(1)
		return
	}
	f.met = true
	if s.bounded != nil && !s.bounded.wants(tx, rec, f) {
		return
	}
	src, err := s.owners.number(rec.Owner)
	if err == nil {
		err = unfit(f.apex, rec.Name, rec.Type)
	}
	changed := false
	if err == nil {
		probed := s.health.note(rec, src)
		changed, err = tx.Put(&zone.Record{Name: rec.Name, Type: rec.Type, TTL: rec.TTL, Source: src, Data: rec.Data})
		if probed && !changed && err == nil {
			_, err = tx.Rejoin(rec.Name, rec.Type)
		}
	}
	if changed {
		s.report(tx, rec, src)
	}
	if err == nil {
		return
	}
	s.refused.Add(1)
	s.health.forget(rec.Name, rec.Type, src)
	s.log.Warn("record left out", "record", rec.String(), "error", err)
	if src != 0 { // what it was before is no longer in etcd
		_, _ = tx.Delete(rec.Name, rec.Type, src)
	}
}

// feed gives the zone with this apex, nil where it is not fed from etcd.
func (s *sink) feed(apex []byte) *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feeds[string(apex)]
}

func (s *sink) all() []*feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	feeds := make([]*feed, 0, len(s.feeds))
	for _, f := range s.feeds {
		feeds = append(feeds, f)
	}
	return feeds
}

// stamp makes etcd's revision the serial of all zones that are whole. It is cut to
// 32 bits, whose order goes round (RFC 1982); within one history of etcd it never
// goes back.
func (s *sink) stamp(tx *zone.Tx, revision int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if !f.full {
			continue
		}
		if err := f.stamp(tx, uint32(revision)); err != nil {
			return err
		}
		s.filled.Store(true)
	}
	s.revision.Store(revision)
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

// setFeeds makes the zones of the config with source etcd those that are filled.
// Zones that stay keep what they have; their SOA and NS may change.
func (s *sink) setFeeds(zones []Zone) error {
	feeds := map[string]*feed{}
	for _, z := range zones {
		if z.Source != fromEtcd {
			continue
		}
		apex, err := wire.ParseName(z.Name)
		if err != nil {
			return err
		}
		f := &feed{apex: apex}
		if err := f.configure(z); err != nil {
			return err
		}
		feeds[string(apex)] = f
	}
	return s.table.Update(func(tx *zone.Tx) error {
		s.mu.Lock()
		for apex, f := range feeds {
			if old := s.feeds[apex]; old != nil { // a sync may be filling it right now
				f.met, f.full = old.met, old.full
				*old = *f
				feeds[apex] = old
			}
		}
		s.feeds = feeds
		s.mu.Unlock()
		return s.stamp(tx, s.revision.Load())
	})
}

// records are what etcd's owners hold, as a snapshot wants them.
func (s *sink) records(yield func(store.Record, error) bool) {
	s.table.Each(func(rec *zone.Record) bool {
		if rec.Source < ownersFrom {
			return true
		}
		return yield(store.Record{Name: rec.Name, Type: rec.Type, Owner: s.owners.name(rec.Source), TTL: rec.TTL, Data: rec.Data,
			Probe: s.health.probe(rec.Name, rec.Type, rec.Source)}, nil)
	})
}
