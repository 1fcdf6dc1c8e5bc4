package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

// A model is what a table should hold, in the plainest form: what each source
// put, and which zones there are. It knows names as lists of labels.
type model struct {
	zones map[string]bool // apexes
	sets  map[modelKey]Record
}

type modelKey struct {
	zone, name string
	typ        uint16
	source     Source
}

func (m *model) zoneOf(name string) (string, bool) {
	for n := name; ; n = parentOf(n) {
		if m.zones[n] {
			return n, true
		}
		if n == "." {
			return "", false
		}
	}
}

func parentOf(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	if rest == "" {
		return "."
	}
	return rest
}

func below(name, parent string) bool {
	return name != parent && (parent == "." || strings.HasSuffix(name, "."+parent))
}

// exists: an apex, a name with records, or one above such (RFC 8020).
func (m *model) exists(name string) bool {
	if _, ok := m.zoneOf(name); !ok {
		return false
	}
	if m.zones[name] {
		return true
	}
	for z := range m.zones {
		if below(z, name) {
			return true
		}
	}
	for k := range m.sets {
		if k.name == name || below(k.name, name) {
			return true
		}
	}
	return false
}

// data joins what all sources hold of an RRset; nil if none holds any.
func (m *model) data(name string, typ uint16) (data []string, ttl uint32) {
	ttl = 1<<32 - 1
	lowest := Source(0xffff)
	for k, rec := range m.sets {
		if k.name != name || k.typ != typ {
			continue
		}
		if single(typ) {
			if k.source > lowest {
				continue
			}
			lowest, data, ttl = k.source, nil, 1<<32-1
		}
		ttl = min(ttl, rec.TTL)
		for _, d := range rec.Data {
			data = append(data, string(d))
		}
	}
	slices.Sort(data)
	return slices.Compact(data), ttl
}

// expect is what a look-up should say: its outcome, zone, owner and data.
func (m *model) expect(name string, typ uint16) string {
	zone, ok := m.zoneOf(name)
	if !ok {
		return "refused"
	}
	if soa, _ := m.data(zone, dns.TypeSOA); soa == nil {
		return "not ready"
	}
	inside := zone
	if typ == dns.TypeDS && m.zones[name] && name != "." {
		if outer, ok := m.zoneOf(parentOf(name)); ok {
			if soa, _ := m.data(outer, dns.TypeSOA); soa != nil {
				inside = outer
			}
		}
	}
	path := []string{}
	for n := name; n != inside; n = parentOf(n) {
		path = append(path, n)
	}
	path = append(path, inside)
	slices.Reverse(path)
	for _, n := range path {
		ns, _ := m.data(n, dns.TypeNS)
		if n != inside && ns != nil && !m.zones[n] && (n != name || typ != dns.TypeDS) {
			return m.found("referral", inside, n, dns.TypeNS)
		}
		if dn, _ := m.data(n, dns.TypeDNAME); dn != nil && n != name {
			return m.found("substitution", inside, n, dns.TypeDNAME)
		}
	}
	if m.exists(name) {
		return m.at(inside, name, typ)
	}
	encloser := parentOf(name)
	for !m.exists(encloser) {
		encloser = parentOf(encloser)
	}
	wild := "*." + strings.TrimPrefix(encloser, ".")
	if m.exists(wild) {
		return m.at(inside, wild, typ)
	}
	return "nxdomain in " + inside
}

func (m *model) at(zone, name string, typ uint16) string {
	if data, _ := m.data(name, typ); data != nil {
		return m.found("hit", zone, name, typ)
	}
	if data, _ := m.data(name, dns.TypeCNAME); data != nil {
		return m.found("alias", zone, name, dns.TypeCNAME)
	}
	return "nodata in " + zone
}

func (m *model) found(outcome, zone, name string, typ uint16) string {
	data, ttl := m.data(name, typ)
	return fmt.Sprintf("%s in %s: %d %d %x", outcome, zone, typ, ttl, data)
}

// said is what the table said, in the model's form.
func said(res Result) string {
	switch res.Outcome {
	case Refused, NotReady:
		return res.Outcome.String()
	case NoData, NoName:
		return res.Outcome.String() + " in " + wire.NameString(res.Zone.Apex)
	}
	var data []string
	for rr := res.Set.RRs; len(rr) > 0; rr = rr[rrSize(rr):] {
		data = append(data, string(rrData(rr)))
	}
	return fmt.Sprintf("%s in %s: %d %d %x", res.Outcome, wire.NameString(res.Zone.Apex), res.Set.Type, res.Set.TTL(), data)
}

var (
	modelLabels  = []string{"a", "b", "*", "zz"}
	modelApexes  = []string{".", "t.", "a.t.", "b.a.t.", "a.b.a.t.", "b.b.t.", "u."}
	modelTypes   = []uint16{dns.TypeA, dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypeDS, dns.TypeTXT, dns.TypeSOA}
	modelSources = []Source{0, 1, 7}
)

func modelName(t *rapid.T) string {
	labels := rapid.SliceOfN(rapid.SampledFrom(modelLabels), 0, 4).Draw(t, "labels")
	return strings.Join(append(labels, rapid.SampledFrom([]string{"t.", "t.", "u."}).Draw(t, "root")), ".")
}

func modelData(typ uint16, i int) []byte {
	switch typ {
	case dns.TypeA:
		return []byte{10, 0, 0, byte(i)}
	case dns.TypeSOA:
		return append(append(wire.MustName("ns"), wire.MustName(strings.Repeat("h", i+1))...), 0, 0, 0, byte(i), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, byte(i))
	case dns.TypeDS, dns.TypeTXT:
		return append([]byte{byte(3 + 60*i)}, strings.Repeat("x", 3+60*i)...) // of many sizes of block
	}
	return wire.MustName(fmt.Sprintf("n%d.u", i))
}

// machine is a table and its model, driven by rapid.
type machine struct {
	table  *Table
	reader *Reader
	model  model
}

func (c *machine) put(t *rapid.T) {
	name := modelName(t)
	typ := rapid.SampledFrom(modelTypes).Draw(t, "type")
	if typ == dns.TypeSOA {
		name = rapid.SampledFrom(modelApexes).Draw(t, "apex")
	}
	c.set(t, name, typ)
}

// share puts another source's part of an RRset that is there.
func (c *machine) share(t *rapid.T) {
	k := c.some(t)
	c.set(t, k.name, k.typ)
}

func (c *machine) set(t *rapid.T, name string, typ uint16) {
	rec := Record{Name: wire.MustName(name), Type: typ, Source: rapid.SampledFrom(modelSources).Draw(t, "source"), TTL: uint32(rapid.IntRange(1, 9).Draw(t, "ttl"))}
	most := 3
	if single(typ) {
		most = 1
	}
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, 3), 0, most).Draw(t, "data") {
		rec.Data = append(rec.Data, modelData(typ, i))
	}
	_ = c.table.Update(func(tx *Tx) error {
		_, err := tx.Put(&rec)
		zone, ok := c.model.zoneOf(name)
		if (err == nil) != (ok || len(rec.Data) == 0) {
			t.Fatalf("put %s: %v", name, err)
		}
		key := modelKey{zone, name, typ, rec.Source}
		if delete(c.model.sets, key); ok && len(rec.Data) > 0 {
			c.model.sets[key] = rec
		}
		return nil
	})
}

// some picks one of the RRsets' parts.
func (c *machine) some(t *rapid.T) modelKey {
	if len(c.model.sets) == 0 {
		t.Skip("the table is empty")
	}
	var keys []modelKey
	for k := range c.model.sets {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b modelKey) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return rapid.SampledFrom(keys).Draw(t, "key")
}

func (c *machine) remove(t *rapid.T) {
	k := c.some(t)
	delete(c.model.sets, k)
	_ = c.table.Update(func(tx *Tx) error {
		if ok, err := tx.Delete(wire.MustName(k.name), k.typ, k.source); !ok || err != nil {
			t.Fatalf("delete %v: %v, %v", k, ok, err)
		}
		return nil
	})
}

func (c *machine) toggleZone(t *rapid.T) {
	apex := rapid.SampledFrom(modelApexes).Draw(t, "apex")
	there := c.model.zones[apex]
	_ = c.table.Update(func(tx *Tx) error {
		if there {
			tx.RemoveZone(wire.MustName(apex))
		} else if err := tx.AddZone(wire.MustName(apex)); err != nil {
			t.Fatal(err)
		}
		return nil
	})
	for k, rec := range c.model.sets {
		switch {
		case there && k.zone == apex: // the zone goes with all it held
			delete(c.model.sets, k)
		case !there && (k.name == apex || below(k.name, apex)) && (k.zone == "." && apex != "." || below(apex, k.zone)):
			delete(c.model.sets, k)
			k.zone = apex
			c.model.sets[k] = rec
		}
	}
	if c.model.zones[apex] = !there; there {
		delete(c.model.zones, apex)
	}
}

// check compares some questions and the counts.
func (c *machine) check(t *rapid.T) {
	for i := range 12 {
		name := modelName(t)
		typ := rapid.SampledFrom(modelTypes).Draw(t, "type")
		if i < 4 && len(c.model.sets) > 0 { // or of an RRset that is there
			k := c.some(t)
			name, typ = k.name, k.typ
		}
		var q wire.Query
		q.SetName(wire.MustName(name))
		c.reader.Enter()
		got := said(c.reader.Lookup(&q, typ, -1))
		c.reader.Leave()
		if want := c.model.expect(name, typ); got != want {
			t.Fatalf("%s %s\ngot  %s\nwant %s\nzones %v", name, dns.Type(typ), got, want, c.model.zones)
		}
	}
	stats := c.table.Stats()
	if want := c.model.names(); stats.Names != want {
		t.Fatalf("%d names, want %d", stats.Names, want)
	}
	records := 0
	for _, rec := range c.model.sets {
		records += distinct(rec.Data)
	}
	if stats.Records != records || stats.Zones != len(c.model.zones) {
		t.Fatalf("%+v, want %d records", stats, records)
	}
}

// names counts those that exist in zones, empty non-terminals among them.
func (m *model) names() int {
	names := map[string]bool{}
	up := func(name string) {
		for n := name; m.exists(n); n = parentOf(n) {
			names[n] = true
			if n == "." {
				return
			}
		}
	}
	for k := range m.sets {
		up(k.name)
	}
	for z := range m.zones {
		up(z)
	}
	return len(names)
}

func distinct(data [][]byte) int {
	seen := map[string]bool{}
	for _, d := range data {
		seen[string(d)] = true
	}
	return len(seen)
}

// empty is what must be left when everything is taken away.
func (c *machine) empty(t *rapid.T) {
	_ = c.table.Update(func(tx *Tx) error {
		for _, z := range c.table.Zones() {
			tx.RemoveZone(z.Apex)
		}
		return nil
	})
	if s := c.table.Stats(); s.Names != 0 || s.Records != 0 || s.Waiting != 0 || c.table.arena.used != 0 {
		t.Fatalf("left over: %+v, %d octets", s, c.table.arena.used)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		c := &machine{table: table, reader: table.NewReader(), model: model{zones: map[string]bool{}, sets: map[modelKey]Record{}}}
		for _, apex := range []string{"t.", "u."} {
			_ = table.Update(func(tx *Tx) error { return tx.AddZone(wire.MustName(apex)) })
			c.model.zones[apex] = true
			rec := Record{Name: wire.MustName(apex), Type: dns.TypeSOA, TTL: 5, Data: [][]byte{modelData(dns.TypeSOA, 1)}}
			_ = table.Update(func(tx *Tx) error { _, err := tx.Put(&rec); return err })
			c.model.sets[modelKey{apex, apex, dns.TypeSOA, 0}] = rec
		}
		t.Repeat(map[string]func(*rapid.T){
			"":       c.check,
			"put":    c.put,
			"share":  c.share,
			"delete": c.remove,
			"zone":   c.toggleZone,
		})
		c.empty(t)
	})
}
