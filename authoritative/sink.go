package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// Sources in the table: the server's own records (SOA and NS of etcd zones),
// those of master files, and from ownersFrom on one number for each owner in etcd.
const (
	ownRecords zone.Source = iota
	fileRecords
	ownersFrom
)

// chunk is how many records go into the table in one update: a few
// milliseconds, so that nothing else waits long for its turn.
const chunk = 4096

// A sink puts what etcd (or a snapshot) holds into the table. It implements
// store.Sink; its calls come from one goroutine at a time.
type sink struct {
	table *zone.Table
	log   *slog.Logger

	mu     sync.Mutex
	zones  map[string]Zone // those with source etcd, by apex in wire form
	ids    map[string]zone.Source
	owners []string // by Source - ownersFrom

	outside  atomic.Uint64 // records of zones that are not served here from etcd
	refused  atomic.Uint64 // records the table would not take
	revision atomic.Int64
	filled   atomic.Bool
	changed  atomic.Int64 // when something was last taken, Unix nanoseconds
}

func newSink(table *zone.Table, log *slog.Logger) *sink {
	return &sink{table: table, log: log, zones: map[string]Zone{}, ids: map[string]zone.Source{}}
}

var errOwners = errors.New("more than 65,000 owners")

// source gives an owner's number.
func (s *sink) source(owner string) (zone.Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.ids[owner]
	if !ok {
		if len(s.owners) >= 65_000 {
			return 0, errOwners
		}
		id = ownersFrom + zone.Source(len(s.owners))
		s.ids[owner] = id
		s.owners = append(s.owners, owner)
	}
	return id, nil
}

// owner is source the other way round.
func (s *sink) owner(id zone.Source) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owners[id-ownersFrom]
}

// Replace implements store.Sink. Nothing is deleted before all records were seen.
func (s *sink) Replace(records iter.Seq2[store.Record, error], revision int64) error {
	next, stop := iter.Pull2(records)
	defer stop()
	pass := s.table.NewPass()
	for done := false; !done; {
		err := s.table.Update(func(tx *zone.Tx) error {
			tx.Mark(pass)
			for range chunk {
				rec, err, ok := next()
				if !ok {
					done = true
					return nil
				}
				if err != nil {
					return err
				}
				s.put(tx, &rec)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("fill zones from etcd: %w", err)
		}
	}
	return s.table.Update(func(tx *zone.Tx) error {
		_, err := tx.Sweep(pass, func(z *zone.Zone, src zone.Source) bool { return src >= ownersFrom })
		if err != nil {
			return err
		}
		return s.stamp(tx, revision)
	})
}

// Apply implements store.Sink.
func (s *sink) Apply(changes []store.Change, revision int64) error {
	return s.table.Update(func(tx *zone.Tx) error {
		for i := range changes {
			if c := &changes[i]; !c.Deleted {
				s.put(tx, &c.Record)
			} else if src, err := s.source(c.Owner); err == nil {
				if _, err := tx.Delete(c.Name, c.Type, src); err != nil {
					return err
				}
			}
		}
		return s.stamp(tx, revision)
	})
}

// put hands one record to the table. One that does not fit is reported and left
// out; the rest goes on.
func (s *sink) put(tx *zone.Tx, rec *store.Record) {
	z := tx.ZoneOf(rec.Name)
	if z == nil || !s.serves(z.Apex) {
		s.outside.Add(1)
		return
	}
	src, err := s.source(rec.Owner)
	if err == nil {
		_, err = tx.Put(&zone.Record{Name: rec.Name, Type: rec.Type, TTL: rec.TTL, Source: src, Data: rec.Data})
	}
	if err != nil {
		s.refused.Add(1)
		s.log.Warn("record left out", "record", rec.String(), "err", err)
	}
}

func (s *sink) serves(apex []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.zones[string(apex)]
	return ok
}

// stamp makes etcd's revision the serial of all zones fed from it.
func (s *sink) stamp(tx *zone.Tx, revision int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for apex, z := range s.zones {
		if err := putAuthority(tx, []byte(apex), z, uint32(revision)); err != nil {
			return err
		}
	}
	s.revision.Store(revision)
	s.changed.Store(time.Now().UnixNano())
	s.filled.Store(true)
	return nil
}

// putAuthority gives an etcd zone its SOA, and its NS where no owner has put any.
// The serial is etcd's revision, cut to 32 bits (RFC 1982 arithmetic wraps).
func putAuthority(tx *zone.Tx, apex []byte, z Zone, serial uint32) error {
	servers, err := nameServers(apex, z)
	if err != nil {
		return err
	}
	ttl := uint32(z.MinTTL / time.Second)
	if ttl == 0 {
		ttl = defaultNegativeTTL
	}
	if len(z.NS) == 0 && tx.HeldByOthers(apex, wire.TypeNS, ownRecords) {
		_, err = tx.Delete(apex, wire.TypeNS, ownRecords)
	} else {
		_, err = tx.Put(&zone.Record{Name: apex, Type: wire.TypeNS, TTL: 3600, Source: ownRecords, Data: servers})
	}
	if err != nil {
		return err
	}
	soa := append([]byte(nil), servers[0]...)
	soa = append(append(soa, "\x0ahostmaster"...), apex...)
	for _, v := range []uint32{serial, 7200, 1800, 86400, ttl} { // refresh, retry, expire, minimum in seconds
		soa = binary.BigEndian.AppendUint32(soa, v)
	}
	_, err = tx.Put(&zone.Record{Name: apex, Type: wire.TypeSOA, TTL: ttl, Source: ownRecords, Data: [][]byte{soa}})
	return err
}

// defaultNegativeTTL is how long, in seconds, resolvers may keep that a name of
// an etcd zone does not exist: short, since services come at any moment.
const defaultNegativeTTL = 5

// nameServers are those of the config, or ns.dns.ZONE, as Kubernetes' zones have.
func nameServers(apex []byte, z Zone) ([][]byte, error) {
	var servers [][]byte
	for _, ns := range z.NS {
		name, err := wire.ParseName(ns)
		if err != nil {
			return nil, fmt.Errorf("zone %s: ns: %w", z.Name, err)
		}
		servers = append(servers, name)
	}
	if len(servers) == 0 {
		servers = append(servers, append([]byte("\x02ns\x03dns"), apex...))
	}
	return servers, nil
}

// records are what etcd's owners hold, as a snapshot wants them.
func (s *sink) records(yield func(store.Record, error) bool) {
	s.table.Each(func(rec *zone.Record) bool {
		if rec.Source < ownersFrom {
			return true
		}
		return yield(store.Record{Name: rec.Name, Type: rec.Type, Owner: s.owner(rec.Source), TTL: rec.TTL, Data: rec.Data}, nil)
	})
}
