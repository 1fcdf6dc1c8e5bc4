package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// commands are what `authoritative ctl` can do beside the built-in ones.
func (s *server) commands() []control.Command {
	return []control.Command{
		{Name: "dump", Args: "[NAME]", Help: "write the records at and below a name, all of them where none is given, as a master file", Run: s.dumpCommand},
		{Name: "lookup", Args: "NAME [TYPE]", Help: "say what is in memory for a question, how the look-up ends and in which zone", Run: s.lookupCommand},
	}
}

func (s *server) dumpCommand(_ context.Context, call *control.Call) error {
	if len(call.Args) > 1 {
		return errors.New("dump takes one name at most")
	}
	under, err := parseZoneName(call.Args)
	if err != nil {
		return err
	}
	// Written first, sent afterwards: a slow client must not hold up the table's
	// memory.
	var b bytes.Buffer
	err = s.dump(under, func(format string, args ...any) { fmt.Fprintf(&b, format, args...) })
	if err != nil {
		return err
	}
	_, err = call.Write(b.Bytes())
	return err
}

// A lookup is what `ctl lookup` answers.
type lookup struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Outcome string   `json:"outcome"`
	Zone    string   `json:"zone,omitempty"`
	Answer  []string `json:"answer,omitempty"`
}

func (s *server) lookupCommand(_ context.Context, call *control.Call) error {
	if len(call.Args) == 0 || len(call.Args) > 2 {
		return errors.New("lookup takes a name and a type: lookup db.prd.example.com A")
	}
	typ := dns.TypeA
	if len(call.Args) == 2 {
		var ok bool
		if typ, ok = dns.StringToType[strings.ToUpper(call.Args[1])]; !ok {
			return fmt.Errorf("unknown type %q", call.Args[1])
		}
	}
	name, err := wire.ParseName(call.Args[0])
	if err != nil {
		return err
	}
	found, err := s.lookup(name, typ)
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
	return found, nil
}

// status is the section of /status that is the server's own.
func (s *server) status() any {
	type zoneStatus struct {
		Zone   string `json:"zone"`
		Source string `json:"source"`
		Serial uint32 `json:"serial"`
		Ready  bool   `json:"ready"`
	}
	var zones []zoneStatus
	for _, z := range s.table.Zones() {
		source := "file"
		if s.sink.serves(z.Apex) {
			source = "etcd"
		}
		zones = append(zones, zoneStatus{wire.NameString(z.Apex), source, z.SOASerial(), z.Ready()})
	}
	return struct {
		Zones []zoneStatus `json:"zones"`
		Table zone.Stats   `json:"table"`
	}{zones, s.table.Stats()}
}
