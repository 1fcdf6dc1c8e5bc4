package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// tryZone reads a zone's file into a table of its own, for `check`.
func tryZone(z Zone) error {
	table, err := zone.New()
	if err != nil {
		return err
	}
	defer table.Close()
	return loadZone(table, z, slog.New(slog.DiscardHandler))
}

// loadZone adds a zone with its file's records to a table, or reads the file of
// one that is there again.
func loadZone(table *zone.Table, z Zone, log *slog.Logger) error {
	apex, err := wire.ParseName(z.Name)
	if err != nil {
		return err
	}
	if err := addZone(table, apex); err != nil {
		return err
	}
	start := time.Now()
	loaded, err := table.LoadFile(apex, z.File, fileRecords)
	if err != nil {
		return err
	}
	for _, w := range loaded.Warnings {
		log.Warn("master file", "zone", z.Name, "warning", w)
	}
	log.Info("zone loaded", "zone", z.Name, "file", z.File, "records", loaded.Records, "serial", loaded.Serial, "took", time.Since(start).Round(time.Millisecond))
	return nil
}

func addZone(table *zone.Table, apex []byte) error {
	if table.Zone(apex) != nil {
		return nil
	}
	return table.Update(func(tx *zone.Tx) error { return tx.AddZone(apex) })
}

// setZones makes the table hold the zones of the config, those of files read
// anew. All zones are added before any is filled, so that each record finds the
// zone it belongs to. A file with an error leaves its zone as it was, and the
// others are read all the same.
func (s *server) setZones(zones []Zone) error {
	wanted := map[string]Zone{}
	for _, z := range zones {
		apex, err := wire.ParseName(z.Name)
		if err != nil {
			return err
		}
		wanted[string(apex)] = z
		if err := addZone(s.table, apex); err != nil {
			return err
		}
	}
	s.dropZones(wanted)
	s.sink.setZones(wanted)
	var errs []error
	for _, z := range zones {
		if z.Source == "file" {
			errs = append(errs, loadZone(s.table, z, s.log))
		}
	}
	return errors.Join(errs...)
}

func (s *server) dropZones(wanted map[string]Zone) {
	for _, z := range s.table.Zones() {
		if _, ok := wanted[string(z.Apex)]; !ok {
			// Taking out only frees: there is nothing it could fail at.
			_ = s.table.Update(func(tx *zone.Tx) error { tx.RemoveZone(z.Apex); return nil })
			s.log.Info("zone removed", "zone", wire.NameString(z.Apex))
		}
	}
}

// setZones tells the sink which zones it fills.
func (s *sink) setZones(wanted map[string]Zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones = map[string]Zone{}
	for apex, z := range wanted {
		if z.Source == "etcd" {
			s.zones[apex] = z
		}
	}
}

// dump writes the records at and below a name, all owners', as a master file.
func (s *server) dump(under []byte, write func(format string, args ...any)) error {
	var fail error
	s.table.Each(func(rec *zone.Record) bool {
		if !wire.IsSubdomain(rec.Name, under) {
			return true
		}
		for _, data := range rec.Data {
			text, err := presentation(rec.Name, rec.Type, rec.TTL, data)
			if err != nil {
				fail = fmt.Errorf("dump %s: %w", wire.NameString(rec.Name), err)
				return false
			}
			write("%s ; %s\n", text, s.sourceName(rec.Source))
		}
		return true
	})
	return fail
}

func (s *server) sourceName(id zone.Source) string {
	switch id {
	case ownRecords:
		return "this server's own"
	case fileRecords:
		return "file"
	}
	return s.sink.owner(id)
}

// parseZoneName reads a zone name given on a command line, "" being the root.
func parseZoneName(args []string) ([]byte, error) {
	return wire.ParseName(strings.Join(args, " "))
}

var errRestart = errors.New("zones with source etcd were added to a config without: restart to take that up")
