package kube

import (
	"bytes"
	"slices"

	"github.com/strata-dns/strata/authoritative/store"
)

// desired are the RRsets that follow from all objects. Several objects may have a
// part in one: Services that choose the same Pod share the PTR of its address.
type desired struct {
	sets    map[string]*set     // by rrsetKey
	objects map[string][]string // the keys an object has a part in
}

type set struct {
	parts []part
	pass  uint32 // the last compare that met it in etcd
}

// A part is what one object says of an RRset. Its data are one string, each
// rdata with its length in two octets in front: few allocations for many records.
type part struct {
	object string
	ttl    uint32
	data   string
	probe  string
}

func newDesired() desired {
	return desired{sets: map[string]*set{}, objects: map[string][]string{}}
}

// put makes an object's records exactly these, and gives the keys that changed.
func (d *desired) put(object string, records []store.Record) (touched []string) {
	old := d.objects[object]
	keys := make([]string, 0, len(records))
	now := make(map[string]bool, len(records))
	for i := range records {
		rec := &records[i]
		key := rrsetKey(rec.Name, rec.Type)
		s := d.sets[key]
		if s == nil {
			s = &set{}
			d.sets[key] = s
		}
		if s.put(part{object: object, ttl: rec.TTL, data: packed(rec.Data), probe: rec.Probe}) {
			touched = append(touched, key)
		}
		keys, now[key] = append(keys, key), true
	}
	for _, key := range old {
		if !now[key] && d.drop(key, object) {
			touched = append(touched, key)
		}
	}
	if len(keys) > 0 {
		d.objects[object] = keys
	} else {
		delete(d.objects, object)
	}
	return touched
}

// put takes an object's part, and reports whether it is news.
func (s *set) put(p part) bool {
	for i := range s.parts {
		if s.parts[i].object == p.object {
			changed := s.parts[i] != p
			s.parts[i] = p
			return changed
		}
	}
	s.parts = append(s.parts, p)
	return true
}

// drop takes an object's part in an RRset away.
func (d *desired) drop(key, object string) bool {
	s := d.sets[key]
	if s == nil {
		return false
	}
	before := len(s.parts)
	s.parts = slices.DeleteFunc(s.parts, func(p part) bool { return p.object == object })
	if len(s.parts) == 0 {
		delete(d.sets, key)
	}
	return len(s.parts) != before
}

// record gives an RRset, the objects' parts joined under the least of their TTLs
// (RFC 2181 §5.2). Owner is left open.
func (d *desired) record(key string) (store.Record, bool) {
	s := d.sets[key]
	if s == nil {
		return store.Record{}, false
	}
	rec := store.Record{TTL: s.parts[0].ttl}
	rec.Name, rec.Type = splitKey(key)
	for _, p := range s.parts {
		rec.TTL = min(rec.TTL, p.ttl)
		rec.Probe = max(rec.Probe, p.probe) // one of them, the same whatever the order
		rec.Data = unpack(rec.Data, p.data)
	}
	if len(s.parts) > 1 {
		slices.SortFunc(rec.Data, bytes.Compare)
		rec.Data = slices.CompactFunc(rec.Data, bytes.Equal)
	}
	return rec, true
}

func packed(data [][]byte) string {
	size := 0
	for _, rdata := range data {
		size += 2 + len(rdata)
	}
	b := make([]byte, 0, size)
	for _, rdata := range data {
		b = append(b, byte(len(rdata)>>8), byte(len(rdata)))
		b = append(b, rdata...)
	}
	return string(b)
}

func unpack(data [][]byte, s string) [][]byte {
	b := []byte(s)
	for len(b) > 0 {
		n := int(b[0])<<8 | int(b[1])
		data = append(data, b[2:2+n:2+n])
		b = b[2+n:]
	}
	return data
}
