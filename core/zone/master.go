package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// ErrMaster is what an error in a master file wraps; its text begins with
// file:line.
var ErrMaster = errors.New("master file")

// A Loaded says what a master file brought.
type Loaded struct {
	Records  int
	Serial   uint32
	Warnings []string // file:line: what was left out or looks odd; at most maxWarnings
}

const maxWarnings = 20

// LoadFile makes the master file (RFC 1035 §5) at path all that source holds of
// the zone with this apex, which must have been added. The file is read whole
// before anything is answered from it: an error leaves the zone as it was. Records
// that stand at or below another zone of the table are left out, with a warning
// where they are more than its delegation.
func (t *Table) LoadFile(apex []byte, path string, source Source) (Loaded, error) {
	f, err := os.Open(path)
	if err != nil {
		return Loaded{}, fmt.Errorf("load zone %s: %w", wire.NameString(apex), err)
	}
	defer f.Close()
	return t.Load(apex, f, path, source)
}

// Load is LoadFile for an open file. $INCLUDE is relative to path's folder.
func (t *Table) Load(apex []byte, file io.Reader, path string, source Source) (Loaded, error) {
	l := loader{live: t, apex: apex, source: source}
	l.files.begin(file, path)
	fresh := false
	err := t.Update(func(tx *Tx) error {
		z := t.Zone(apex)
		if z == nil {
			return fmt.Errorf("load zone %s: %w", wire.NameString(apex), ErrZone)
		}
		l.inner = tx.inner(z)
		if fresh = !z.Ready() && tx.empty(z); fresh {
			return l.first(tx)
		}
		return nil
	})
	if err == nil && !fresh {
		err = l.reload()
	}
	return l.done, err
}

// empty reports whether a zone holds no records.
func (tx *Tx) empty(z *Zone) bool {
	n := tx.lookup(z.Apex)
	if n.entries() > 0 || n.children() == 0 {
		return n.entries() == 0
	}
	held := false // what is below may be other zones only
	tx.each(func(_ uint64, _ ref, n node) { held = held || n.zone() == z.number && n.entries() > 0 })
	return !held
}

// A loader reads one file, and what it includes, into a table.
type loader struct {
	live   *Table
	apex   []byte
	source Source
	files  files
	done   Loaded
	soa    *Record // put last: with it the zone begins to be answered from
	ns     bool

	authority place // of the SOA

	set    Record // the RRset being collected from neighbouring lines
	place  place  // of its last record
	buf    []byte // its data
	packed [65535]byte
	name   []byte
	inside bool     // name is at or below apex
	inner  [][]byte // apexes of our zones below this one
}

// first reads straight into the live table: without an SOA nothing is answered
// from the zone yet.
func (l *loader) first(tx *Tx) error {
	tx.strict = true
	tx.fresh = &fresh{zone: tx.t.Zone(l.apex).number}
	err := l.read(tx)
	if err != nil {
		tx.RemoveZone(l.apex)
		err = errors.Join(err, tx.AddZone(l.apex))
	}
	return err
}

// reload reads into a table of its own and then brings over what differs, so
// that an error changes nothing and no reader sees half of an RRset that is
// scattered over the file.
func (l *loader) reload() error {
	stage, err := New()
	if err != nil {
		return err
	}
	defer stage.Close()
	err = stage.Update(func(tx *Tx) error {
		tx.strict = true
		if err := tx.AddZone(l.apex); err != nil {
			return err
		}
		return l.read(tx)
	})
	if err != nil {
		return err
	}
	err = l.live.Update(func(tx *Tx) error { return l.bring(tx, stage) })
	if err != nil {
		return fmt.Errorf("load zone %s: %w", wire.NameString(l.apex), err)
	}
	return nil
}

// read puts all records, the SOA last.
func (l *loader) read(tx *Tx) error {
	zp := dns.NewZoneParser(l.files.top(), wire.NameString(l.apex), l.files.root)
	zp.SetIncludeAllowed(true)
	zp.SetIncludeFS(&l.files)
	lines := &plainLines{start: true, origin: l.apex}
	lines.take = func(at place, name []byte, typ uint16, ttl uint32, data []byte) error {
		return l.take(tx, at, name, typ, ttl, data)
	}
	l.files.top().plain = lines
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if err := l.record(tx, rr); err != nil {
			return err
		}
		l.files.top().next()
		lines.busy = false
	}
	if lines.err != nil {
		return lines.err
	}
	if err := zp.Err(); err != nil {
		return l.files.syntax(err)
	}
	if err := l.flush(tx); err != nil {
		return err
	}
	if l.soa == nil {
		return fmt.Errorf("%s: %w of %s has no SOA at its apex (RFC 1035 §5.2)", l.files.path, ErrMaster, wire.NameString(l.apex))
	}
	if err := l.heed(tx); err != nil {
		return err
	}
	if !l.ns {
		l.warn(l.authority, "the zone has no NS at its apex (RFC 1034 §4.2.1)")
	}
	if _, err := tx.Put(l.soa); err != nil {
		return l.authority.wrap(fmt.Errorf("%s: %w", wire.NameString(l.apex), err))
	}
	return nil
}

// heed makes the zone's denial, before it begins to be answered from.
func (l *loader) heed(tx *Tx) error {
	tx.settle()
	set, ok := tx.lookup(l.apex).find(wire.TypeNSEC3PARAM)
	if !ok {
		return nil
	}
	switch n := binary.BigEndian.Uint16(set.Data()[2:]); {
	case n > maxIterations:
		return l.authority.wrap(fmt.Errorf("NSEC3 with %d iterations: at most %d are served, 0 is right (RFC 9276 §3.1)", n, maxIterations))
	case n > 0:
		l.warn(l.authority, "NSEC3 with %d iterations costs much and protects nothing: 0 is right (RFC 9276 §3.1)", n)
	}
	return nil
}

func (l *loader) warn(at place, format string, args ...any) {
	if len(l.done.Warnings) < maxWarnings {
		l.done.Warnings = append(l.done.Warnings, at.String()+": "+fmt.Sprintf(format, args...))
	}
}

// record takes one record. Neighbours of one RRset are put together.
func (l *loader) record(tx *Tx, rr dns.RR) error {
	h, at := rr.Header(), l.files.top().place()
	if h.Class != dns.ClassINET {
		return at.wrap(fmt.Errorf("class %s: only IN is served", dns.Class(h.Class)))
	}
	l.files.top().generating.Settle(h)
	if h.Ttl > 1<<31-1 {
		return at.wrap(fmt.Errorf("TTL %d is above 2147483647 (RFC 2181 §8)", h.Ttl))
	}
	if h.Name == "" { // of a first line that begins with a blank
		return at.wrap(errors.New("no owner name (RFC 1035 §5.1)"))
	}
	n, err := dns.PackRR(rr, l.packed[:], 0, nil, false)
	if err != nil {
		return at.wrap(err)
	}
	end := wire.NameLen(l.packed[:n])
	wire.Fold(l.packed[:end])
	return l.take(tx, at, l.packed[:end], h.Rrtype, h.Ttl, l.packed[end+rrHead:n])
}

// take takes a record whose name is folded.
func (l *loader) take(tx *Tx, at place, name []byte, typ uint16, ttl uint32, data []byte) error {
	if err := l.startOwner(tx, name); err != nil {
		return err
	}
	if l.atInner() && (typ == dns.TypeNSEC || typ == dns.TypeRRSIG) {
		return l.takeBeside(tx, at, typ, ttl, data)
	}
	if taken, quietly := l.takes(typ); !taken {
		if !quietly {
			l.warn(at, "%s %s is not of this zone: left out", wire.NameString(name), dns.Type(typ))
		}
		return nil
	}
	l.done.Records++
	if typ == dns.TypeSOA {
		return l.startOfAuthority(at, ttl, data)
	}
	if typ != l.set.Type || len(l.buf)+len(data) > cap(l.buf) {
		if err := l.flush(tx); err != nil {
			return err
		}
	}
	l.collect(at, typ, ttl, data)
	return nil
}

// atInner reports whether the present owner is the apex of a zone of ours below this one.
func (l *loader) atInner() bool {
	return l.inside && len(l.name) > len(l.apex) && slices.ContainsFunc(l.inner, func(apex []byte) bool { return string(apex) == string(l.name) })
}

// takeBeside takes what this zone says in NSEC and RRSIG where one of ours below it begins.
func (l *loader) takeBeside(tx *Tx, at place, typ uint16, ttl uint32, data []byte) error {
	name, ok := besideCut(nil, l.name, l.apex)
	if !ok {
		l.warn(at, "%s %s: the name is too long to be kept beside that zone: left out", wire.NameString(l.name), dns.Type(typ))
		return nil
	}
	if err := l.flush(tx); err != nil {
		return err
	}
	l.done.Records++
	_, _, err := tx.Append(&Record{Name: name, Type: typ, TTL: ttl, Source: l.source, Data: [][]byte{data}})
	if err != nil {
		return at.wrap(fmt.Errorf("%s: %w", wire.NameString(l.name), err))
	}
	return nil
}

// collect adds a record to the RRset in hand.
func (l *loader) collect(at place, typ uint16, ttl uint32, data []byte) {
	l.place, l.set.Type = at, typ
	if len(l.set.Data) == 0 {
		l.set.TTL = ttl
	} else if ttl != l.set.TTL {
		l.differ(at, ttl)
	}
	from := len(l.buf)
	l.buf = append(l.buf, data...)
	l.set.Data = append(l.set.Data, l.buf[from:len(l.buf):len(l.buf)])
	l.ns = l.ns || typ == dns.TypeNS && len(l.name) == len(l.apex)
}

// differ gives an RRset whose records' TTLs differ the least of them.
func (l *loader) differ(at place, ttl uint32) {
	if l.set.Type == dns.TypeRRSIG { // each has that of what it signs
		return
	}
	l.warn(at, "%s %s: TTL %d beside %d, the lesser holds for all (RFC 2181 §5.2)", wire.NameString(l.name), dns.Type(l.set.Type), ttl, l.set.TTL)
	l.set.TTL = min(l.set.TTL, ttl)
}

// startOwner ends the RRset of the owner before and looks at the new one.
func (l *loader) startOwner(tx *Tx, name []byte) error {
	if string(name) == string(l.name) {
		return nil
	}
	if err := l.flush(tx); err != nil {
		return err
	}
	l.name = append(l.name[:0], name...)
	l.inside = wire.IsSubdomain(l.name, l.apex)
	return nil
}

// takes reports whether a record of the present owner is this zone's: within it,
// and not at or below a zone of ours further down, DS at that one's apex aside.
// What else a delegation needs, NS and glue, is left out quietly: it is in place
// where that zone is served by others.
func (l *loader) takes(typ uint16) (taken, quietly bool) {
	if !l.inside || typ == dns.TypeDS && len(l.name) == len(l.apex) {
		return false, false
	}
	for _, apex := range l.inner {
		if !wire.IsSubdomain(l.name, apex) {
			continue
		}
		if len(l.name) == len(apex) {
			return typ == dns.TypeDS, typ == dns.TypeNS
		}
		return false, typ == dns.TypeA || typ == dns.TypeAAAA
	}
	return true, false
}

func (l *loader) startOfAuthority(at place, ttl uint32, data []byte) error {
	if len(l.name) != len(l.apex) {
		return at.wrap(fmt.Errorf("SOA at %s, which is not the zone's apex %s", wire.NameString(l.name), wire.NameString(l.apex)))
	}
	if l.soa != nil {
		l.warn(at, "a second SOA: left out")
		return nil
	}
	d := append([]byte(nil), data...)
	l.authority = at
	l.soa = &Record{Name: l.apex, Type: dns.TypeSOA, TTL: ttl, Source: l.source, Data: [][]byte{d}}
	if err := l.soa.check(); err != nil {
		return at.wrap(fmt.Errorf("SOA: %w", err))
	}
	l.done.Serial = binary.BigEndian.Uint32(d[len(d)-20:])
	return nil
}

// flush puts the collected RRset.
func (l *loader) flush(tx *Tx) error {
	if l.buf == nil {
		l.buf = make([]byte, 0, 1<<16)
	}
	if len(l.set.Data) == 0 {
		return nil
	}
	l.set.Name, l.set.Source = l.name, l.source
	ttl, merged, err := tx.Append(&l.set)
	if merged && ttl != l.set.TTL {
		l.differ(l.place, ttl)
	}
	l.set.Data, l.buf, l.set.Type = l.set.Data[:0], l.buf[:0], 0
	if err != nil {
		return l.place.wrap(fmt.Errorf("%s: %w", wire.NameString(l.name), err))
	}
	return nil
}
