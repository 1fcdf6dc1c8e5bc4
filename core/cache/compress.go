package cache

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// mostSuffixes bounds the names that are looked through to compress another.
const mostSuffixes = 128

// putName writes a name, as a pointer to where it or its end stands already
// (RFC 1035 §4.1.4).
func (b *builder) putName(name []byte, compress bool) {
	for i := 0; ; i += 1 + int(name[i]) {
		if name[i] == 0 {
			b.out = append(b.out, 0)
			return
		}
		if compress {
			if at := b.written(name[i:]); at != 0 {
				b.out = binary.BigEndian.AppendUint16(b.out, 0xc000|at)
				return
			}
		}
		if at := len(b.out); compress && at <= 0x3fff && len(b.suffixes) < mostSuffixes {
			b.suffixes = append(b.suffixes, uint16(at))
		}
		b.out = append(b.out, name[i:i+1+int(name[i])]...)
	}
}

// written finds where a name stands in what was written, in the same case, which
// is kept for people to read (RFC 4343 §4.1); 0 for nowhere.
func (b *builder) written(name []byte) uint16 {
	for _, at := range b.suffixes {
		if b.standsAt(int(at), name) {
			return at
		}
	}
	return 0
}

func (b *builder) standsAt(at int, name []byte) bool {
	for {
		for b.out[at] >= 0xc0 { // ours: backwards, and to a name we wrote
			at = int(binary.BigEndian.Uint16(b.out[at:]) & 0x3fff)
		}
		n := 1 + int(name[0])
		if b.out[at] != name[0] || at+n > len(b.out) {
			return false
		}
		if n == 1 {
			return true
		}
		if string(b.out[at:at+n]) != string(name[:n]) {
			return false
		}
		at, name = at+n, name[n:]
		if at >= len(b.out) { // a name that is being written itself
			return false
		}
	}
}

// putRecord writes a record with the given TTL and notes where the TTL stands.
// It reports false where the record is not what its type asks for.
func (b *builder) putRecord(msg []byte, rec *wire.Record, ttl uint32) bool {
	n, _, ok := wire.ReadName(msg, rec.Name, &b.name)
	if !ok {
		return false
	}
	if wire.EqualFold(b.name[:n], b.question.Name) {
		b.out = append(b.out, 0xc0, wire.HeaderLen) // in the asker's own case
	} else {
		b.putName(b.name[:n], true)
	}
	b.out = binary.BigEndian.AppendUint16(b.out, rec.Type)
	b.out = binary.BigEndian.AppendUint16(b.out, rec.Class)
	b.ttls = append(b.ttls, uint16(len(b.out)-b.body))
	b.out = binary.BigEndian.AppendUint32(b.out, ttl)
	at := len(b.out)
	b.out = append(b.out, 0, 0)
	if !b.putData(msg, rec) {
		return false
	}
	size := len(b.out) - at - 2
	binary.BigEndian.PutUint16(b.out[at:], uint16(size))
	return size <= 0xffff && len(b.out) <= wire.MaxMessage
}
