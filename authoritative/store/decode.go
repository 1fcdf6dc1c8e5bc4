package store

import (
	"bytes"
	"fmt"
)

// A decoder turns keys and values into records whose octets lie in its arena:
// they are good until the next reset.
type decoder struct {
	keys   keys
	arena  []byte
	data   [][]byte
	value  value
	owners map[string]string // few owners, millions of records: one string each
}

func newDecoder(k keys) *decoder {
	return &decoder{keys: k, owners: make(map[string]string)}
}

func (d *decoder) reset() {
	d.arena, d.data = d.arena[:0], d.data[:0]
}

// key reads what the key says: a record without TTL and data.
func (d *decoder) key(key []byte) (Record, error) {
	name, typ, owner, arena, err := d.keys.parse(key, d.arena)
	d.arena = arena
	if err != nil {
		return Record{}, err
	}
	return Record{Name: name, Type: typ, Owner: d.owner(owner)}, nil
}

func (d *decoder) owner(b []byte) string {
	const many = 4096 // strangers may write keys; don't remember all they say
	s, ok := d.owners[string(b)]
	if !ok {
		if len(d.owners) >= many {
			clear(d.owners)
		}
		s = string(b)
		d.owners[s] = s
	}
	return s
}

// record reads a key and its value.
func (d *decoder) record(key, raw []byte) (Record, error) {
	rec, err := d.key(key)
	if err != nil {
		return rec, err
	}
	return rec, d.fill(&rec, raw)
}

// fill reads a value into rec's TTL, Data and Probe.
func (d *decoder) fill(rec *Record, raw []byte) error {
	if err := parseValue(raw, &d.value); err != nil {
		return err
	}
	begin := len(d.data)
	for _, text := range d.value.Data {
		at := len(d.arena)
		arena, err := appendRdata(d.arena, rec.Type, text)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrValue, err)
		}
		d.arena = arena
		if rdata := arena[at:len(arena):len(arena)]; len(d.value.Data) > few || !hasRdata(d.data[begin:], rdata) {
			d.data = append(d.data, rdata)
		}
	}
	if len(d.value.Data) > few {
		d.data = d.data[:begin+len(distinct(d.data[begin:], 0))]
	}
	rec.TTL, rec.Probe = uint32(*d.value.TTL), string(d.value.Probe)
	rec.Data = d.data[begin:len(d.data):len(d.data)]
	return nil
}

// hasRdata reports whether the set has rdata in it.
func hasRdata(set [][]byte, rdata []byte) bool {
	for _, have := range set {
		if bytes.Equal(have, rdata) {
			return true
		}
	}
	return false
}
