package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// skySets makes RRsets of keys that each hold a part of one. It remembers all keys,
// since an RRset is only known from all of its parts, and which name each is about,
// since a key that is deleted no longer says so.
type skySets struct {
	names map[string]string               // by key
	parts map[string]map[string][]skyPart // by name and key
	types map[string][]uint16             // by name: what was given out, in order
}

func newSkySets() *skySets {
	return &skySets{names: map[string]string{}, parts: map[string]map[string][]skyPart{}, types: map[string][]uint16{}}
}

// put takes a key's value; without parts, that it has none. It adds the names that
// this changes to touched.
func (s *skySets) put(key string, name []byte, parts []skyPart, touched map[string]bool) {
	if old, ok := s.names[key]; ok {
		touched[old] = true
		delete(s.names, key)
		if delete(s.parts[old], key); len(s.parts[old]) == 0 {
			delete(s.parts, old)
		}
	}
	if len(parts) == 0 {
		return
	}
	at := string(name)
	touched[at] = true
	s.names[key] = at
	if s.parts[at] == nil {
		s.parts[at] = map[string][]skyPart{}
	}
	s.parts[at][key] = parts
}

var (
	errSkySecond = errors.New("a name has but one CNAME, and another key has it")
	errSkyBeside = errors.New("a CNAME beside an address or a service, which are answered")
)

// sets gives a name's RRsets by type. Of several CNAMEs the one with the lowest key is
// taken, none where there are addresses: the same at all servers. What is left out
// is said to skip.
func (s *skySets) sets(name string, skip func(key string, err error)) map[uint16]*Record {
	sets := map[uint16]*Record{}
	keys := slices.Sorted(maps.Keys(s.parts[name]))
	for _, key := range keys {
		for _, part := range s.parts[name][key] {
			if part.typ != dns.TypeCNAME {
				addPart(sets, name, part)
			}
		}
	}
	busy := len(sets) > 1 || len(sets) == 1 && sets[dns.TypeTXT] == nil
	for _, key := range keys {
		for _, part := range s.parts[name][key] {
			have := sets[dns.TypeCNAME]
			switch {
			case part.typ != dns.TypeCNAME:
			case busy:
				skip(key, fmt.Errorf("%w: %s", errSkyBeside, wire.NameString([]byte(name))))
			case have != nil && !bytes.Equal(have.Data[0], part.rdata):
				skip(key, fmt.Errorf("%w: %s", errSkySecond, wire.NameString([]byte(name))))
			default:
				addPart(sets, name, part)
			}
		}
	}
	return sets
}

// addPart adds to an RRset, whose TTL becomes the least (RFC 2181 §5.2).
func addPart(sets map[uint16]*Record, name string, part skyPart) {
	set := sets[part.typ]
	if set == nil {
		set = &Record{Name: []byte(name), Type: part.typ, Owner: SkyDNSOwner, TTL: part.ttl}
		sets[part.typ] = set
	}
	set.TTL = min(set.TTL, part.ttl)
	if !hasRdata(set.Data, part.rdata) {
		set.Data = append(set.Data, part.rdata)
	}
}

// all yields all RRsets, a name's together, and remembers them as given out.
func (s *skySets) all(yield func(Record, error) bool, skip func(string, error)) bool {
	for _, name := range slices.Sorted(maps.Keys(s.parts)) {
		sets := s.sets(name, skip)
		types := slices.Sorted(maps.Keys(sets))
		s.types[name] = types
		for _, typ := range types {
			if !yield(*sets[typ], nil) {
				return false
			}
		}
	}
	return true
}

// changes gives what is to be told of the touched names.
func (s *skySets) changes(touched map[string]bool, revision int64, skip func(string, error)) (changes []Change) {
	for _, name := range slices.Sorted(maps.Keys(touched)) {
		sets := s.sets(name, skip)
		types := slices.Sorted(maps.Keys(sets))
		for _, typ := range s.types[name] {
			if sets[typ] == nil {
				gone := Record{Name: []byte(name), Type: typ, Owner: SkyDNSOwner}
				changes = append(changes, Change{Record: gone, Deleted: true, Revision: revision})
			}
		}
		for _, typ := range types {
			changes = append(changes, Change{Record: *sets[typ], Revision: revision})
		}
		if s.types[name] = types; len(types) == 0 {
			delete(s.types, name)
		}
	}
	return changes
}
