package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon/control"
	question "github.com/strata-dns/strata/core/daemon/lookup"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// commands are what `authoritative ctl` can do beside the built-in ones.
func (s *server) commands() []control.Command {
	return []control.Command{
		{Name: "dump", Args: "[NAME]", Help: "write the records at and below a name, all of them where none is given, as a master file", Run: s.dumpCommand},
		{Name: "lookup", Args: "NAME [TYPE]", Help: "say what is in memory for a question, how the look-up ends and in which zone", Run: s.lookupCommand},
		{Name: "health", Args: "[ADDRESS]", Help: "say which addresses are down, since when, by whom, and what comes of it in answers; or what is known of one address", Run: s.healthCommand},
	}
}

func (s *server) dumpCommand(_ context.Context, call *control.Call) error {
	if len(call.Args) > 1 {
		return errors.New("dump takes one name at most")
	}
	under, err := nameArg(call.Args)
	if err != nil {
		return err
	}
	// Written first, sent afterwards: a slow client must not hold up the table's
	// memory.
	var b bytes.Buffer
	if err := s.dump(&b, under, call.JSON); err != nil {
		return err
	}
	_, err = call.Write(b.Bytes())
	return err
}

// dump writes the records at and below a name, all owners', as lines of a master
// file, or as one of JSON each, in no order.
func (s *server) dump(w io.Writer, under []byte, asJSON bool) (err error) {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	s.table.Each(func(rec *zone.Record) bool {
		if !wire.IsSubdomain(rec.Name, under) {
			return true
		}
		if asJSON {
			var j recordJSON
			if j, err = jsonOf(store.Record{Name: rec.Name, Type: rec.Type, Owner: s.sourceName(rec.Source), TTL: rec.TTL, Data: rec.Data}, 0); err == nil {
				err = out.Encode(j)
			}
			return err == nil
		}
		for _, data := range rec.Data {
			var text string
			if text, err = presentation(rec.Name, rec.Type, rec.TTL, data); err != nil {
				err = fmt.Errorf("dump %s: %w", wire.NameString(rec.Name), err)
				return false
			}
			fmt.Fprintf(w, "%s ; %s\n", text, s.sourceName(rec.Source))
		}
		return true
	})
	return err
}

func (s *server) sourceName(id zone.Source) string {
	switch id {
	case ownRecords:
		return "this server's own"
	case fileRecords:
		return "file"
	}
	return s.sink.owners.name(id)
}

// A lookup is what `ctl lookup` answers.
type lookup struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Outcome string   `json:"outcome"`
	Zone    string   `json:"zone,omitempty"`
	Answer  []string `json:"answer,omitempty"`
	LeftOut []string `json:"left_out,omitempty"` // addresses that are down
}

func (s *server) lookupCommand(_ context.Context, call *control.Call) error {
	if len(call.Args) == 0 || len(call.Args) > 2 {
		return errors.New("lookup takes a name and a type: lookup db.prd.example.com A")
	}
	var asked question.Query
	if err := asked.Parse(call.Args, false); err != nil {
		return err
	}
	name, err := wire.ParseName(asked.Name)
	if err != nil {
		return err
	}
	found, err := s.lookup(name, asked.Type)
	if err != nil {
		return err
	}
	return call.Value(found, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s: %s", found.Name, found.Type, found.Outcome)
		if found.Zone != "" {
			fmt.Fprintf(w, " in zone %s", found.Zone)
		}
		fmt.Fprintln(w)
		for _, rr := range found.Answer {
			fmt.Fprintln(w, rr)
		}
		for _, line := range found.LeftOut {
			fmt.Fprintln(w, "left out:", line)
		}
	})
}

// lookup answers a question as a client over TCP would have it answered.
func (s *server) lookup(name []byte, typ uint16) (lookup, error) {
	r := s.table.NewReader()
	defer r.Close()
	r.Enter()
	defer r.Leave()
	data := wire.AppendQuery(make([]byte, 0, wire.MaxMessage), 0, 0, name, typ, wire.ClassIN, nil)
	var q wire.Query
	q.Parse(data)
	res := r.Lookup(&q, typ, -1)
	found := lookup{Name: wire.NameString(name), Type: dns.Type(typ).String(), Outcome: res.Outcome.String()}
	if res.Zone != nil {
		found.Zone = wire.NameString(res.Zone.Apex)
	}
	reply, _ := r.Answer(&q, data, wire.MaxMessage, -1)
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		return found, fmt.Errorf("read our own answer: %w", err)
	}
	for _, set := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range set {
			found.Answer = append(found.Answer, rr.String())
		}
	}
	found.LeftOut = s.leftOut(r, name, typ, m.Answer)
	return found, nil
}

// zoneStatus is the section of /status about zones.
func (s *server) zoneStatus() any {
	type zoneStatus struct {
		Zone   string `json:"zone"`
		Source string `json:"source"`
		Serial uint32 `json:"serial"`
		Ready  bool   `json:"ready"`
	}
	var zones []zoneStatus
	for _, z := range s.table.Zones() {
		source := fromFile
		if s.sink.feed(z.Apex) != nil {
			source = fromEtcd
		}
		zones = append(zones, zoneStatus{wire.NameString(z.Apex), source, z.SOASerial(), z.Ready()})
	}
	slices.SortFunc(zones, func(a, b zoneStatus) int { return strings.Compare(a.Zone, b.Zone) })
	return struct {
		List  []zoneStatus `json:"list"`
		Table zone.Stats   `json:"table"`
	}{zones, s.table.Stats()}
}

// etcdStatus is the section of /status about etcd and the snapshot.
func (s *server) etcdStatus() any {
	status := struct {
		Records   string    `json:"records"`
		Connected bool      `json:"connected"`
		Synced    bool      `json:"synced"`
		Revision  int64     `json:"revision"`
		Contact   time.Time `json:"last_contact,omitzero"`
		Skipped   uint64    `json:"values_skipped"`
		Outside   uint64    `json:"records_outside"`
		Refused   uint64    `json:"records_refused"`
		Clashes   uint64    `json:"records_clashing"`
		Age       float64   `json:"records_age_seconds"` // negative: there are none
		Snapshot  string    `json:"snapshot,omitempty"`
		Saved     time.Time `json:"snapshot_saved,omitzero"`
	}{
		Records: s.freshness(), Connected: s.watcher.Connected(), Synced: s.watcher.Synced(),
		Revision: s.sink.revision.Load(), Contact: s.watcher.LastContact(),
		Skipped: s.client.Skipped(), Outside: s.sink.outside.Load(), Refused: s.sink.refused.Load(),
		Clashes: s.sink.clashes.Load(), Age: s.age().Seconds(),
	}
	if s.saver != nil {
		status.Snapshot, status.Saved = s.saver.path, s.saver.savedAt()
	}
	return status
}
