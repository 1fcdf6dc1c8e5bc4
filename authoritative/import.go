package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

func (r *records) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE --zone ZONE",
		Short: "write a master file's records as one owner's",
		Long: "Writes a master file's records as one owner's, SOA aside: an etcd zone has its own, with etcd's revision as the serial.\n" +
			"What export says of probes in comments (probe=tcp:80; probe=none: no longer) is taken up; where an address says nothing, it stays as it is.\n" +
			"With --replace the owner's records in the zone become exactly those of the file; more deletions than brake.max_delete allows stop it before anything is changed.",
		Example: "  authoritative records import prd.zone --zone prd.example.com --owner team-a --replace",
		Args:    cobra.ExactArgs(1),
		RunE: r.writing(func(ctx context.Context, client *store.Client, conf *Config, args []string) (store.Result, error) {
			return r.importFile(ctx, client, conf, args[0])
		}),
	}
	r.ownerFlag(c)
	c.Flags().Uint32Var(&r.ttl, "ttl", defaultTTL, "`seconds`, of records before the file's first $TTL")
	c.Flags().StringVar(&r.zone, "zone", "", "the zone the file is of")
	c.Flags().BoolVar(&r.replace, "replace", false, "delete the owner's records in the zone that are not in the file")
	c.Flags().BoolVar(&r.force, "force", false, "delete however many it takes, past brake.max_delete")
	_ = c.MarkFlagRequired("zone") // it fails only for a flag that is not there
	return c
}

func (r *records) importFile(ctx context.Context, client *store.Client, conf *Config, path string) (store.Result, error) {
	apex, err := r.apex(conf)
	if err != nil {
		return store.Result{}, err
	}
	if err := conf.mayOwn(r.owner); err != nil {
		return store.Result{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return store.Result{}, fmt.Errorf("import: %w", err)
	}
	defer file.Close()
	in := store.Import{Owner: r.owner, Under: apex, Replace: r.replace, MaxDelete: conf.Brake.MaxDelete}
	switch {
	case r.force:
		in.MaxDelete = 1
	case in.MaxDelete == 0: // none at all, while the store takes 0 for its default
		in.MaxDelete = math.SmallestNonzeroFloat64
	}
	m := master{path: path, apex: apex, ttl: r.ttl, lines: lineReader{r: bufio.NewReader(file), line: 1, next: true}, holds: conf.etcdZone}
	return client.Import(ctx, in, m.records)
}

// apex is that of --zone, which must be kept in etcd.
func (r *records) apex(conf *Config) ([]byte, error) {
	apex, err := wire.ParseName(r.zone)
	if err != nil {
		return nil, err
	}
	z, err := conf.etcdZone(apex)
	if err != nil {
		return nil, err
	}
	if string(wire.MustName(z.Name)) != string(apex) {
		return nil, fmt.Errorf("%s is a name in zone %s, not a zone: --zone %[2]s", r.zone, z.Name)
	}
	return apex, nil
}

// A master reads the records of a master file for etcd.
type master struct {
	path  string
	apex  []byte
	ttl   uint32
	lines lineReader
	holds func(name []byte) (*Zone, error)
}

// records gives the records one at a time, without the SOA. Errors begin with
// file:line.
func (m *master) records(yield func(store.Record, error) bool) {
	zp := dns.NewZoneParser(&m.lines, wire.NameString(m.apex), m.path)
	zp.SetDefaultTTL(m.ttl)
	m.lines.generating.TTL, m.lines.generating.Known = m.ttl, true
	zp.SetIncludeAllowed(true)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if rr.Header().Rrtype != dns.TypeSOA {
			m.lines.generating.Settle(rr.Header())
			rec, err := m.record(rr)
			if err == nil && (rec.Type == wire.TypeA || rec.Type == wire.TypeAAAA) {
				rec.Probe, err = probeOf(zp.Comment())
			}
			if err != nil {
				err = fmt.Errorf("%s:%d: %w", m.path, m.lines.begun, err)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
		m.lines.next = true
	}
	if err := zp.Err(); err != nil {
		yield(store.Record{}, m.syntax(err))
	}
}

// record takes a record of the zone.
func (m *master) record(rr dns.RR) (store.Record, error) {
	h := rr.Header()
	rec := store.Record{Type: h.Rrtype, TTL: h.Ttl}
	if h.Class != dns.ClassINET {
		return rec, fmt.Errorf("%s is of class %s: only IN is served", h.Name, dns.Class(h.Class))
	}
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return rec, err
	}
	at := wire.NameLen(buf)
	rec.Name, rec.Data = buf[:at:at], [][]byte{buf[at+rrHead : n]}
	wire.Fold(rec.Name)
	if !wire.IsSubdomain(rec.Name, m.apex) {
		return rec, fmt.Errorf("%s is not in zone %s", h.Name, wire.NameString(m.apex))
	}
	z, err := m.holds(rec.Name)
	if err != nil {
		return rec, err
	}
	if err := unfit(wire.MustName(z.Name), rec.Name, rec.Type); err != nil {
		return rec, fmt.Errorf("%s: %w", h.Name, err)
	}
	return rec, nil
}

// rrHead is a record's octets between its owner and its data: type, class, TTL and
// the data's length.
const rrHead = 10

// syntax turns the parser's error, which ends in line and column, into one that
// begins with file:line.
func (m *master) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), m.path+": ")
	what, where, ok := strings.Cut(text, " at line: ")
	line, _, _ := strings.Cut(where, ":")
	if !ok {
		return fmt.Errorf("%s:%d: %s", m.path, m.lines.line, strings.TrimPrefix(text, "dns: "))
	}
	path := m.path
	if file, rest, ok := strings.Cut(what, ": dns: "); ok { // of an $INCLUDE, that file's
		path, what = file, rest
	}
	return fmt.Errorf("%s:%s: %s", path, line, strings.TrimPrefix(what, "dns: "))
}

// A lineReader knows the line the parser has read to, and where the record it gave
// last began. The parser takes it as an io.ByteReader, octet by octet.
type lineReader struct {
	r       *bufio.Reader
	line    int
	begun   int  // line in which the record began; of a directive that made some, its line
	next    bool // another record may begin
	comment bool

	directive  bool // what is being read is one
	generating zone.Generating
}

// ReadByte implements io.ByteReader.
func (l *lineReader) ReadByte() (byte, error) {
	b, err := l.r.ReadByte()
	switch {
	case err != nil:
		l.generating.See('\n')
	case b == '\n':
		l.generating.See(b)
		l.line++
		l.comment = false
		l.next, l.directive = l.next || l.directive, false
	case b > ' ' && b != ';' && l.next && !l.comment:
		l.begun, l.next, l.directive = l.line, false, b == '$'
		l.generating.Begin(b)
	case l.directive:
		l.generating.See(b)
	case b == ';':
		l.comment = true
	}
	return b, err
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) { return l.r.Read(p) }

var (
	_ io.ByteReader                  = (*lineReader)(nil)
	_ iter.Seq2[store.Record, error] = (*master)(nil).records
)
