package zone

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

const directZone = `$ORIGIN plain.
$TTL 300
@ SOA ns hostmaster 7 7200 1800 1209600 60
@ NS ns
ns A 192.0.2.53
one A 192.0.2.1
one TXT "text"
six AAAA 2001:db8::1
two A 192.0.2.1
two A 192.0.2.2
alias CNAME one
a.b.c A 192.0.2.3
*.wild TXT "any"
long TXT "` + "0123456789012345678901234567890123456789012345678901234567890123456789" + `"
`

// directTable has zones whose names are answered directly, and others whose are not.
func directTable(t testing.TB) *Table {
	return loaded(t, "plain", directZone, "test", mainZone, "other", otherZone,
		"nsec", strings.ReplaceAll(chained(false, 1, "a", "*.w", "b.c"), "test.", "nsec."))
}

// compare answers a packet directly, if that can be, and says what came of it; where it can, it
// must be what is answered to the parsed query.
func compare(t testing.TB, r *Reader, msg []byte, room int) (o Outcome, directly bool) {
	data := make([]byte, len(msg), max(room, len(msg)))
	copy(data, msg)
	r.Enter()
	defer r.Leave()
	r.See(0, data)
	r.Fetch(1)
	got, o := r.Direct(0, data)
	if got == nil {
		if !bytes.Equal(data, msg) {
			t.Fatalf("%x was changed and not answered", msg)
		}
		return o, false
	}
	var q wire.Query
	again := make([]byte, len(msg), max(room, len(msg)))
	copy(again, msg)
	if parsed := q.Parse(again); parsed != wire.Valid {
		t.Fatalf("%x is answered, and no query: %d", msg, parsed)
	}
	want, outcome := r.Answer(&q, again, q.Limit(false, wire.MinUDP), -1)
	if o != outcome || !bytes.Equal(got, want) {
		t.Fatalf("%s\n%x is answered with %s\n%x, and if it is parsed with %s\n%x", wire.NameString(q.Name()), msg, o, got, outcome, want)
	}
	return o, true
}

// TestDirect: what is answered directly is what is answered to the parsed query, to the
// octet; damaged packets are not answered so, and nor is what needs more than one RRset.
func TestDirect(t *testing.T) {
	table := directTable(t)
	r := table.NewReader()
	defer r.Close()
	names := []string{"one.plain", "ONE.Plain", "six.plain", "two.plain", "alias.plain", "c.plain", "a.b.c.plain", "x.a.b.c.plain", "none.plain", "x.y.z.plain", "wild.plain",
		"x.wild.plain", "long.plain", "plain", "x.one.plain", "www.test", "a.nsec", "none.nsec", "nowhere", ".", "x.sub.test", "oneplain", "one.plain.plain", strings.Repeat("abcdefghi.", 24) + "plain"}
	types := []uint16{wire.TypeA, wire.TypeAAAA, wire.TypeTXT, wire.TypeCNAME, wire.TypePTR, wire.TypeNS, wire.TypeSOA, wire.TypeANY, wire.TypeDS, wire.TypeMX, wire.TypeAXFR, 0, 65, 257}
	opts := []*wire.EDNS{nil, {UDPSize: 1232}, {UDPSize: 100}, {UDPSize: 1232, DO: true}, {UDPSize: 512, Options: []byte{0, 10, 0, 2, 1, 2}}}
	rnd := rand.New(rand.NewPCG(7, 8))
	done := map[string]int{}
	for range 200_000 {
		name, opt := names[rnd.IntN(len(names))], opts[rnd.IntN(len(opts))]
		flags := uint16(rnd.Uint32()) & (wire.FlagRD | wire.FlagCD | wire.FlagAD | wire.FlagTC | wire.FlagAA)
		msg := wire.AppendQuery(nil, uint16(rnd.Uint32()), flags, wire.MustName(name), types[rnd.IntN(len(types))], wire.ClassIN, opt)
		if i := strings.Index(name, "ONE"); i == 0 {
			copy(msg[wire.HeaderLen+1:], "oNE")
		}
		room := 1232
		switch rnd.IntN(8) {
		case 0:
			msg[rnd.IntN(len(msg))] ^= 1 << rnd.IntN(8)
		case 1:
			msg = msg[:rnd.IntN(len(msg))]
		case 2:
			msg = append(msg, make([]byte, rnd.IntN(20))...)
		case 3:
			room = len(msg) + rnd.IntN(100)
		}
		o, directly := compare(t, r, msg, room)
		if directly {
			done[o.String()]++
		} else {
			done["parsed"]++
		}
	}
	for _, what := range []string{"hit", "nodata", "nxdomain", "parsed"} {
		if done[what] < 1000 {
			t.Errorf("%s: %d times", what, done[what])
		}
	}
}

// TestDirectOnly: these are answered directly, and those are not.
func TestDirectOnly(t *testing.T) {
	table := directTable(t)
	r := table.NewReader()
	defer r.Close()
	do := &wire.EDNS{UDPSize: 1232, DO: true}
	for _, c := range []struct {
		name     string
		typ      uint16
		edns     *wire.EDNS
		directly bool
		outcome  Outcome
	}{
		{"one.plain", wire.TypeA, nil, true, Hit},
		{"one.plain", wire.TypeTXT, do, true, Hit},
		{"alias.plain", wire.TypeCNAME, nil, true, Hit},
		{"one.plain", wire.TypeAAAA, nil, true, NoData},
		{"b.c.plain", wire.TypeA, nil, true, NoData},
		{"none.plain", wire.TypeA, do, true, NoName},
		{"x.y.a.b.c.plain", wire.TypeA, nil, true, NoName},
		{"1.2.3.4.5.6.7.plain", wire.TypeA, nil, false, 0},                               // far below what there is
		{"two.plain", wire.TypeA, nil, false, 0},                                         // is rotated
		{"alias.plain", wire.TypeA, nil, false, 0},                                       // is followed
		{"x.wild.plain", wire.TypeTXT, nil, false, 0},                                    // a wildcard
		{"plain", wire.TypeNS, nil, false, 0},                                            // has addresses along
		{"www.test", wire.TypeA, nil, false, 0},                                          // the zone has delegations
		{"nowhere", wire.TypeA, nil, false, 0},                                           // is refused
		{"one.plain", wire.TypeANY, nil, false, 0},                                       //
		{"one.plain", wire.TypeDS, nil, false, 0},                                        //
		{"a.nsec", wire.TypeA, do, false, 0},                                             // is proved
		{"nowhere.example", wire.TypeA, do, false, 0},                                    //
		{"one.plain", wire.TypeA, &wire.EDNS{Options: []byte{0, 10, 0, 1, 1}}, false, 0}, //
	} {
		o, directly := compare(t, r, wire.AppendQuery(nil, 9, wire.FlagRD, wire.MustName(c.name), c.typ, wire.ClassIN, c.edns), 1232)
		if directly != c.directly || directly && o != c.outcome {
			t.Errorf("%s %d: directly %v, %s", c.name, c.typ, directly, o)
		}
	}
}

// TestDirectChange: between the look ahead and the answer a name came that denies what was
// to be said, or its zone went: the packet is left to be parsed.
func TestDirectChange(t *testing.T) {
	table := directTable(t)
	r := table.NewReader()
	defer r.Close()
	see := func(name string) []byte {
		msg := append(make([]byte, 0, 1232), wire.AppendQuery(nil, 9, 0, wire.MustName(name), wire.TypeA, wire.ClassIN, nil)...)
		r.Enter()
		r.See(0, msg)
		r.Fetch(1)
		return msg
	}
	msg := see("new.plain")
	put(t, table, &Record{Name: wire.MustName("new.plain"), Type: wire.TypeA, TTL: 5, Data: [][]byte{{192, 0, 2, 9}}})
	if reply, _ := r.Direct(0, msg); reply != nil {
		t.Errorf("a name that came is denied: %x", reply)
	}
	r.Leave()
	msg = see("new.plain")
	if reply, o := r.Direct(0, msg); reply == nil || o != Hit {
		t.Errorf("not answered: %s", o)
	}
	r.Leave()
	msg = see("one.plain")
	put(t, table, &Record{Name: wire.MustName("sub.plain"), Type: wire.TypeNS, TTL: 5, Data: [][]byte{wire.MustName("ns.else")}})
	if reply, _ := r.Direct(0, msg); reply != nil {
		t.Errorf("a zone with a delegation is answered from as if it had none: %x", reply)
	}
	r.Leave()
}

// TestDirectAllocatesNothing holds for hits and denials.
func TestDirectAllocatesNothing(t *testing.T) {
	table := directTable(t)
	r := table.NewReader()
	defer r.Close()
	var msgs [][]byte
	for _, name := range []string{"one.plain", "none.plain", "x.a.b.c.plain"} {
		msgs = append(msgs, wire.AppendQuery(nil, 9, 0, wire.MustName(name), wire.TypeA, wire.ClassIN, nil))
	}
	data := make([]byte, 0, 1232)
	if n := testing.AllocsPerRun(100, func() {
		r.Enter()
		for i, msg := range msgs {
			data = append(data[:0], msg...)
			r.See(i, data)
			r.Fetch(i + 1)
			if reply, _ := r.Direct(i, data); reply == nil {
				t.Error("not answered: ", i)
			}
		}
		r.Leave()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDirect: no packet is answered otherwise directly than if it is parsed.
func FuzzDirect(f *testing.F) {
	for i, name := range []string{"one.plain", "none.plain", "x.y.a.b.c.plain", "six.plain", "a.nsec", "."} {
		for _, edns := range []*wire.EDNS{nil, {UDPSize: 1232, DO: i%2 == 0}} {
			f.Add(wire.AppendQuery(nil, uint16(i), wire.FlagRD, wire.MustName(name), wire.TypeA, wire.ClassIN, edns), uint16(512+10*i))
		}
	}
	table := directTable(f)
	r := table.NewReader()
	f.Cleanup(r.Close)
	f.Fuzz(func(t *testing.T, msg []byte, room uint16) {
		if len(msg) <= 512 {
			compare(t, r, msg, int(room))
		}
	})
}

// TestFurther: what is touched ahead is in the chunk of its block.
func TestFurther(t *testing.T) {
	for _, r := range []ref{2, chunkUnits - 5, chunkUnits - 4, chunkUnits - 1, chunkUnits, 3*chunkUnits - 1} {
		if f := further(r); f>>chunkBits != r>>chunkBits || f < r || f-r > 64/unit {
			t.Error(fmt.Sprint(r), "leads to", f)
		}
	}
}
