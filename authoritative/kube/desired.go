package kube

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/strata-dns/strata/authoritative/store"
)

// desired are the RRsets that follow from all objects. Several objects may have a
// part in one: Services that choose the same Pod share the PTR of its address.
// There may be a million of them, so an RRset is two strings and nothing else.
type desired struct {
	sets    map[string]string // by rrsetKey: its parts, packed
	objects map[string]stake
	last    uint64 // number that was given to an object
}

// A stake is what an object has a part in.
type stake struct {
	number uint64
	keys   []string
}

// A part is what one object says of an RRset.
type part struct {
	object uint64 // its number
	ttl    uint32
	probe  string
	data   string // each rdata with its length in two octets in front
}

func newDesired() desired {
	return desired{sets: map[string]string{}, objects: map[string]stake{}}
}

// put makes an object's records exactly these, and gives the keys that changed.
func (d *desired) put(object string, records []store.Record) (touched []string) {
	old, there := d.objects[object]
	if !there && len(records) == 0 {
		return nil
	}
	now := stake{number: old.number, keys: make([]string, 0, len(records))}
	if !there {
		d.last++
		now.number = d.last
	}
	gone := make(map[string]string, len(old.keys))
	for _, key := range old.keys {
		gone[key] = key
	}
	for i := range records {
		rec := &records[i]
		key := rrsetKey(rec.Name, rec.Type)
		if same, ok := gone[key]; ok {
			key = same // one string, wherever it stands
			delete(gone, key)
		}
		if d.join(key, part{object: now.number, ttl: rec.TTL, probe: rec.Probe, data: packed(rec.Data)}) {
			touched = append(touched, key)
		}
		now.keys = append(now.keys, key)
	}
	for _, key := range old.keys {
		if _, ok := gone[key]; ok && d.drop(key, now.number) {
			touched = append(touched, key)
		}
	}
	if len(now.keys) > 0 {
		d.objects[object] = now
	} else {
		delete(d.objects, object)
	}
	return touched
}

// join takes an object's part in an RRset, and reports whether it is news.
func (d *desired) join(key string, p part) bool {
	old := d.sets[key]
	packed := make([]byte, 0, len(old)+len(p.data)+len(p.probe)+16)
	met := false
	for was, rest := nextPart(old); rest >= 0; was, rest = nextPart(old) {
		if was.object == p.object {
			if was == p {
				return false
			}
			was, met = p, true
		}
		packed, old = was.append(packed), old[len(old)-rest:]
	}
	if !met {
		packed = p.append(packed)
	}
	d.sets[key] = string(packed)
	return true
}

// drop takes an object's part in an RRset away.
func (d *desired) drop(key string, object uint64) bool {
	old := d.sets[key]
	size := len(old)
	var packed []byte
	for was, rest := nextPart(old); rest >= 0; was, rest = nextPart(old) {
		if was.object != object {
			packed = was.append(packed)
		}
		old = old[len(old)-rest:]
	}
	if len(packed) == 0 {
		delete(d.sets, key)
	} else {
		d.sets[key] = string(packed)
	}
	return len(packed) != size
}

// record gives an RRset, the objects' parts joined under the least of their TTLs
// (RFC 2181 §5.2). Owner is left open.
func (d *desired) record(key string) (store.Record, bool) {
	text, ok := d.sets[key]
	if !ok {
		return store.Record{}, false
	}
	var rec store.Record
	rec.Name, rec.Type = splitKey(key)
	parts := 0
	for p, rest := nextPart(text); rest >= 0; p, rest = nextPart(text) {
		if parts++; parts == 1 || p.ttl < rec.TTL {
			rec.TTL = p.ttl
		}
		rec.Probe = max(rec.Probe, p.probe) // one of them, the same whatever the order
		rec.Data = unpack(rec.Data, p.data)
		text = text[len(text)-rest:]
	}
	if parts > 1 {
		slices.SortFunc(rec.Data, bytes.Compare)
		rec.Data = slices.CompactFunc(rec.Data, bytes.Equal)
	}
	return rec, true
}

// append packs a part: numbers as varints, texts with their lengths in front.
func (p part) append(b []byte) []byte {
	b = binary.AppendUvarint(b, p.object)
	b = binary.AppendUvarint(b, uint64(p.ttl))
	for _, text := range [...]string{p.probe, p.data} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// nextPart unpacks the first part, and says how many octets are behind it; -1 where
// there was none.
func nextPart(s string) (p part, rest int) {
	if s == "" {
		return p, -1
	}
	number := func() (v uint64) {
		for shift := 0; ; shift += 7 {
			c := s[0]
			s = s[1:]
			v |= uint64(c&0x7f) << shift
			if c < 0x80 {
				return v
			}
		}
	}
	text := func() (t string) {
		n := number()
		t, s = s[:n], s[n:]
		return t
	}
	p.object, p.ttl = number(), uint32(number())
	p.probe, p.data = text(), text()
	return p, len(s)
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
