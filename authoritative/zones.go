package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// tryZone reads a zone's file into a table of its own: whether that goes well is
// known only afterwards.
func tryZone(z Zone) error {
	table, err := zone.New()
	if err != nil {
		return err
	}
	defer table.Close()
	apex, err := wire.ParseName(z.Name)
	if err != nil {
		return err
	}
	if err := addZone(table, apex); err != nil {
		return err
	}
	_, err = table.LoadFile(apex, z.File, fileRecords)
	return err
}

// addZone makes room for a zone, where there is none yet.
func addZone(table *zone.Table, apex []byte) error {
	if table.Zone(apex) != nil {
		return nil
	}
	return table.Update(func(tx *zone.Tx) error { return tx.AddZone(apex) })
}

// loadZone makes a zone's records those of its file. On an error it keeps those
// it has.
func (s *server) loadZone(z Zone) error {
	apex, err := wire.ParseName(z.Name)
	if err != nil {
		return err
	}
	start := time.Now()
	loaded, err := s.table.LoadFile(apex, z.File, fileRecords)
	if err != nil {
		return err
	}
	for _, w := range loaded.Warnings {
		s.log.Warn("master file", "zone", z.Name, "warning", w)
	}
	s.log.Info("zone loaded", "zone", z.Name, "file", z.File, "records", loaded.Records, "serial", loaded.Serial, "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// setZones makes the table hold the zones of the config, those of files read
// anew. All zones are added before any is filled, so that each record finds the
// zone it belongs to. All files are read, whichever has an error.
func (s *server) setZones(zones []Zone) error {
	wanted := map[string]bool{}
	for _, z := range zones {
		apex, err := wire.ParseName(z.Name)
		if err != nil {
			return err
		}
		wanted[string(apex)] = true
		if err := addZone(s.table, apex); err != nil {
			return err
		}
		if err := z.putInOrder(s.table, apex); err != nil {
			return err
		}
		partial := s.sink.bounded != nil && z.Source == fromEtcd
		if err := s.table.Update(func(tx *zone.Tx) error { return tx.SetPartial(apex, partial) }); err != nil {
			return err
		}
	}
	s.dropZones(wanted)
	if err := s.sink.setFeeds(zones); err != nil {
		return err
	}
	return s.eachFile(zones, s.loadZone)
}

// eachFile has f read the file of each zone that has one. An error does not keep
// the others from being read: each gets its line.
func (s *server) eachFile(zones []Zone, f func(Zone) error) error {
	var errs []error
	for _, z := range zones {
		if z.Source != fromFile {
			continue
		}
		if err := f(z); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	for _, err := range errs {
		s.log.Error("zone not loaded", "error", err)
	}
	return fmt.Errorf("%w (and %d more of %d zones: see the log)", errs[0], len(errs)-1, len(zones))
}

func (s *server) dropZones(wanted map[string]bool) {
	for _, z := range s.table.Zones() {
		if wanted[string(z.Apex)] {
			continue
		}
		// Taking out only frees: there is nothing it could fail at.
		_ = s.table.Update(func(tx *zone.Tx) error { tx.RemoveZone(z.Apex); return nil })
		s.log.Info("zone removed", "zone", wire.NameString(z.Apex))
	}
}

// tidy deletes what zones from files have of etcd: they came from there before, or
// were part of a zone that does. Zones that come from etcd now keep their file's
// records until the next full sync, so that they are answered from all the while.
func (s *server) tidy() error {
	return s.table.Update(func(tx *zone.Tx) error {
		_, err := tx.Sweep(s.table.NewPass(), func(z *zone.Zone, src zone.Source) bool {
			return src != fileRecords && z != nil && s.sink.feed(z.Apex) == nil
		})
		if err != nil {
			return fmt.Errorf("tidy zones: %w", err)
		}
		return nil
	})
}

// reload takes up what can change while running: the zones. All files are tried
// first: one with an error leaves everything as it was.
func (s *server) reload(c *Config) error {
	if err := s.prepareZones(c); err != nil {
		return err
	}
	takeAPI, err := s.api.prepare(c)
	if err != nil {
		return err
	}
	takeViews, err := s.prepareViews(c)
	if err != nil {
		return err
	}
	if err := s.takeZones(c); err != nil {
		return err
	}
	takeAPI()
	if err := takeViews(); err != nil {
		return err
	}
	s.log.Info("zones taken up", "zones", len(c.Zones))
	return nil
}

// prepareZones tries what takeZones then does.
func (s *server) prepareZones(c *Config) error {
	if c.usesEtcd() && s.watcher == nil {
		return errRestart
	}
	return s.eachFile(c.Zones, tryZone)
}

func (s *server) takeZones(c *Config) error {
	if err := s.setZones(c.Zones); err != nil {
		return err
	}
	if err := s.tidy(); err != nil {
		return err
	}
	if s.watcher != nil {
		s.watcher.CompareNow() // for zones that are new, or around one that is gone
	}
	return nil
}

var errRestart = errors.New("zones with source etcd are new to a server that runs without: restart it")
