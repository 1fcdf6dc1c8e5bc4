package zone

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

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
// before anything changes: an error leaves the zone as it was. Records that stand
// at or below another zone of the table are left out with a warning.
func (t *Table) LoadFile(apex []byte, path string, source Source) (Loaded, error) {
	f, err := os.Open(path)
	if err != nil {
		return Loaded{}, fmt.Errorf("load zone %s: %w", wire.NameString(apex), err)
	}
	defer f.Close()
	return t.Load(apex, f, path, source)
}

// Load is LoadFile for an open file.
func (t *Table) Load(apex []byte, file io.Reader, path string, source Source) (Loaded, error) {
	z := t.Zone(apex)
	if z == nil {
		return Loaded{}, fmt.Errorf("load zone %s: %w", wire.NameString(apex), ErrZone)
	}
	l := loader{live: t, apex: apex, source: source, lines: lineCounter{r: bufio.NewReaderSize(file, 1<<16), line: 1}, path: path}
	for _, y := range t.Zones() {
		if y.Labels > z.Labels && wire.IsSubdomain(y.Apex, apex) {
			l.inner = append(l.inner, y.Apex)
		}
	}
	if z.Ready() {
		return l.reload()
	}
	return l.first()
}

// A loader reads one file into a table.
type loader struct {
	live   *Table
	apex   []byte
	source Source
	path   string
	lines  lineCounter
	done   Loaded
	soa    *Record // put last: with it the zone begins to be answered from
	ns     bool

	set    Record // the RRset being collected from neighbouring lines
	buf    []byte // its data
	packed [65535]byte
	owner  string
	name   []byte
	inside bool     // name is at or below apex
	inner  [][]byte // apexes of our zones below this one
}

// first reads straight into the live table: without an SOA nothing is answered
// from the zone yet.
func (l *loader) first() (Loaded, error) {
	err := l.live.Update(func(tx *Tx) error {
		tx.strict = true
		err := l.read(tx)
		if err == nil {
			_, err = tx.Put(l.soa)
		}
		if err != nil {
			tx.RemoveZone(l.apex)
			err = errors.Join(err, tx.AddZone(l.apex))
		}
		return err
	})
	return l.done, err
}

// reload reads into a table of its own and then brings over what differs, so
// that an error changes nothing and no reader sees half of an RRset that is
// scattered over the file.
func (l *loader) reload() (Loaded, error) {
	stage, err := New()
	if err != nil {
		return l.done, err
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
		return l.done, err
	}
	return l.done, l.live.Update(func(tx *Tx) (err error) {
		pass := l.live.NewPass()
		tx.Mark(pass)
		put := func(rec *Record) bool {
			_, err = tx.Put(rec)
			return err == nil
		}
		if stage.Each(put); err != nil {
			return fmt.Errorf("load zone %s: %w", wire.NameString(l.apex), err)
		}
		if _, err = tx.Put(l.soa); err != nil {
			return err
		}
		_, err = tx.Sweep(pass, func(z *Zone, s Source) bool { return string(z.Apex) == string(l.apex) && s == l.source })
		return err
	})
}

// read puts all records but the SOA.
func (l *loader) read(tx *Tx) error {
	zp := dns.NewZoneParser(&l.lines, wire.NameString(l.apex), l.path)
	zp.SetIncludeAllowed(true)
	line := 1
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if err := l.record(tx, rr); err != nil {
			return l.at(line, err)
		}
		line = l.lines.line
	}
	if err := zp.Err(); err != nil {
		return l.syntax(err)
	}
	if err := l.flush(tx); err != nil {
		return l.at(line, err)
	}
	if l.soa == nil {
		return fmt.Errorf("%s: %w of %s has no SOA at its apex (RFC 1035 §5.2)", l.path, ErrMaster, wire.NameString(l.apex))
	}
	if !l.ns {
		l.warn(line, "the zone has no NS at its apex (RFC 1034 §4.2.1)")
	}
	return nil
}

func (l *loader) at(line int, err error) error {
	return fmt.Errorf("%s:%d: %w: %w", l.path, line, ErrMaster, err)
}

// syntax turns the parser's error, whose text ends in line and column, into ours.
func (l *loader) syntax(err error) error {
	text, path := err.Error(), l.path
	what, where, ok := strings.Cut(text, " at line: ")
	line, _, _ := strings.Cut(where, ":")
	if !ok {
		line = strconv.Itoa(l.lines.line)
	}
	if file, rest, ok := strings.Cut(what, ": dns: "); ok { // of an $INCLUDE, that file's
		path, what = file, rest
	}
	return fmt.Errorf("%s:%s: %w: %s", path, line, ErrMaster, strings.TrimPrefix(what, "dns: "))
}

func (l *loader) warn(line int, format string, args ...any) {
	if len(l.done.Warnings) < maxWarnings {
		l.done.Warnings = append(l.done.Warnings, fmt.Sprintf("%s:%d: ", l.path, line)+fmt.Sprintf(format, args...))
	}
}

// record takes one record. Neighbours of one RRset are put together.
func (l *loader) record(tx *Tx, rr dns.RR) error {
	h := rr.Header()
	if h.Class != dns.ClassINET {
		return fmt.Errorf("class %s: only IN is served", dns.Class(h.Class))
	}
	if h.Ttl > 1<<31-1 {
		return fmt.Errorf("TTL %d is above 2147483647 (RFC 2181 §8)", h.Ttl)
	}
	n, err := dns.PackRR(rr, l.packed[:], 0, nil, false)
	if err != nil {
		return err
	}
	if err := l.startOwner(tx, h.Name); err != nil {
		return err
	}
	nameLen := wire.NameLen(l.packed[:n])
	data := l.packed[nameLen+rrHead : n]
	if !l.takes(h.Rrtype) {
		l.warn(l.lines.line, "%s %s is not of this zone: left out", h.Name, dns.Type(h.Rrtype))
		return nil
	}
	l.done.Records++
	if h.Rrtype == dns.TypeSOA {
		return l.startOfAuthority(h, data)
	}
	if h.Rrtype != l.set.Type || len(l.buf)+len(data) > cap(l.buf) {
		if err := l.flush(tx); err != nil {
			return err
		}
	}
	l.set.Type = h.Rrtype
	if len(l.set.Data) == 0 || h.Ttl < l.set.TTL {
		l.set.TTL = h.Ttl
	}
	at := len(l.buf)
	l.buf = append(l.buf, data...)
	l.set.Data = append(l.set.Data, l.buf[at:len(l.buf):len(l.buf)])
	l.ns = l.ns || h.Rrtype == dns.TypeNS && len(l.name) == len(l.apex)
	return nil
}

// startOwner ends the RRset of the owner before and looks at the new one.
func (l *loader) startOwner(tx *Tx, owner string) error {
	if owner == l.owner {
		return nil
	}
	if err := l.flush(tx); err != nil {
		return err
	}
	l.owner = owner
	n := wire.NameLen(l.packed[:])
	l.name = append(l.name[:0], l.packed[:n]...)
	wire.Fold(l.name)
	l.inside = wire.IsSubdomain(l.name, l.apex)
	return nil
}

// takes reports whether a record of the present owner is this zone's: within it,
// and not at or below a zone of ours further down, DS at that one's apex aside.
func (l *loader) takes(typ uint16) bool {
	if !l.inside {
		return false
	}
	for _, apex := range l.inner {
		if wire.IsSubdomain(l.name, apex) {
			return typ == wire.TypeDS && len(l.name) == len(apex)
		}
	}
	return true
}

func (l *loader) startOfAuthority(h *dns.RR_Header, data []byte) error {
	if len(l.name) != len(l.apex) {
		return fmt.Errorf("SOA at %s, which is not the zone's apex %s", h.Name, wire.NameString(l.apex))
	}
	if l.soa != nil {
		l.warn(l.lines.line, "a second SOA: left out")
		return nil
	}
	l.soa = &Record{Name: l.apex, Type: dns.TypeSOA, TTL: h.Ttl, Source: l.source, Data: [][]byte{append([]byte(nil), data...)}}
	d := l.soa.Data[0]
	l.done.Serial = uint32(d[len(d)-20])<<24 | uint32(d[len(d)-19])<<16 | uint32(d[len(d)-18])<<8 | uint32(d[len(d)-17])
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
	err := tx.Append(&l.set)
	l.set.Data, l.buf, l.set.Type = l.set.Data[:0], l.buf[:0], 0
	if err != nil {
		return fmt.Errorf("%s: %w", wire.NameString(l.name), err)
	}
	return nil
}

// A lineCounter knows the line the parser has read to. The parser takes it as an
// io.ByteReader, octet by octet.
type lineCounter struct {
	r    *bufio.Reader
	line int
}

func (c *lineCounter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if b == '\n' && err == nil {
		c.line++
	}
	return b, err
}

func (c *lineCounter) Read(p []byte) (int, error) { return c.r.Read(p) }
