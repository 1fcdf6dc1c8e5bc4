package zone

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// FuzzLoad reads anything as a master file: no panic, and of what loads every
// record is found again, from the first load as from a reload.
func FuzzLoad(f *testing.F) {
	f.Add(head + "www A 10.0.0.1\nwww A 10.0.0.2\n*.w TXT \"a b\" c\n")
	f.Add(head + "$ORIGIN sub.test.\n@ NS ns\nns AAAA ::1\n$GENERATE 1-3 h$ A 10.0.0.$\n")
	f.Add(head + "a CNAME b\na TXT x\n")
	f.Add(head + "x ( TXT\n a ) ; c\nTYPE1 \\# 4 0A000001\n")
	f.Add(chained(false, 1, "a", "*.b"))
	f.Add(chained(true, 1, "a", "*.b"))
	f.Add("@ 1 SOA . . 1 2 3 4 5\n\\000.\\255 TYPE65534 \\# 3 010203\n")
	f.Fuzz(func(t *testing.T, text string) {
		// Included files are none of the input's; $GENERATE may make 65,535 records.
		if len(text) > 2000 || strings.Contains(strings.ToUpper(text), "$INCLUDE") || strings.Contains(strings.ToUpper(text), "$GENERATE") && len(text) > 200 {
			return
		}
		table := newTable(t)
		defer table.Close()
		addZone(t, table, "test")
		apex := wire.MustName("test")
		got, err := table.Load(apex, strings.NewReader(text), "z", 1)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "z") || table.Stats().Records != 0 {
				t.Fatalf("%v, %+v", err, table.Stats())
			}
			return
		}
		found := records(t, table)
		if len(found) == 0 || len(found) > got.Records {
			t.Fatalf("%d records found, %+v", len(found), got)
		}
		if _, err := table.Load(apex, strings.NewReader(text), "z", 1); err != nil {
			t.Fatalf("again: %v", err)
		}
		if again := records(t, table); again != nil && strings.Join(again, "\n") != strings.Join(found, "\n") {
			t.Fatalf("first\n%s\nagain\n%s", strings.Join(found, "\n"), strings.Join(again, "\n"))
		}
		askAll(t, table)
	})
}

// records lists what a table holds, in order.
func records(t *testing.T, table *Table) (all []string) {
	table.Each(func(rec *Record) bool {
		for _, d := range rec.Data {
			all = append(all, strings.Join([]string{wire.NameString(rec.Name), dns.Type(rec.Type).String(), string(d)}, " "))
		}
		return true
	})
	if len(all) != table.Stats().Records {
		t.Fatalf("%d records, %+v", len(all), table.Stats())
	}
	slices.Sort(all)
	return all
}

// askAll asks for each RRset of a table and wants it back, unless what stands
// above its name hides it.
func askAll(t *testing.T, table *Table) {
	r := table.NewReader()
	defer r.Close()
	asked := 0
	table.Each(func(rec *Record) bool {
		var q wire.Query
		q.SetName(rec.Name)
		r.Enter()
		defer r.Leave()
		asked++
		for _, name := range []string{"", "x.", "*."} { // whatever proofs there are
			if asked > 20 {
				break
			}
			m, err := wantsDNSSEC(name+wire.NameString(rec.Name), rec.Type).Pack()
			var dq wire.Query
			if err == nil && dq.Parse(m) == wire.Valid {
				r.Answer(&dq, append(make([]byte, 0, 4096), m...), 4096, -1)
			}
		}
		res := r.Lookup(&q, rec.Type, -1)
		switch res.Outcome {
		case Referral, Substitution:
		case NoName:
			if n := r.find(q.Hash[0], q.Name()); n == nil || n.flags()&flagHash == 0 {
				t.Fatalf("%s %s: %s", wire.NameString(rec.Name), dns.Type(rec.Type), res.Outcome)
			}
		case Hit:
			if res.Set.Count != len(rec.Data) || !bytes.Equal(res.Set.Data(), rec.Data[0]) {
				t.Fatalf("%s %s: %d records of %d", wire.NameString(rec.Name), dns.Type(rec.Type), res.Set.Count, len(rec.Data))
			}
		default:
			t.Fatalf("%s %s: %s", wire.NameString(rec.Name), dns.Type(rec.Type), res.Outcome)
		}
		return true
	})
}

// FuzzAnswer asks anything of zones with every trick: the reply is a message, no
// longer than it may be, with the question as it was asked.
func FuzzAnswer(f *testing.F) {
	for i, c := range outcomes {
		var edns *wire.EDNS
		if i%2 == 0 {
			edns = &wire.EDNS{UDPSize: uint16(400 + 100*i), DO: i%4 == 0}
		}
		f.Add(wire.AppendQuery(nil, uint16(i), wire.FlagRD, wire.MustName(c.name), dns.StringToType[c.typ], wire.ClassIN, edns), uint16(512+i*50))
	}
	for _, name := range []string{"x.w.nsec", "x.nsec3", "a.nsec"} {
		f.Add(wire.AppendQuery(nil, 1, 0, wire.MustName(name), wire.TypeA, wire.ClassIN, &wire.EDNS{UDPSize: 1232, DO: true}), uint16(1232))
	}
	table := loaded(f, "test", mainZone, "other", otherZone, "dept.test", deptZone, "example", wildZone,
		"nsec", strings.ReplaceAll(chained(false, 1, "a", "*.w", "b.c"), "test.", "nsec."),
		"nsec3", strings.ReplaceAll(chained(true, 1, "a", "*.w", "b.c"), "test.", "nsec3."))
	r := table.NewReader()
	f.Cleanup(r.Close)
	f.Fuzz(func(t *testing.T, msg []byte, most uint16) {
		if len(msg) > 512 {
			return
		}
		data := make([]byte, len(msg), 65535)
		copy(data, msg)
		var q [1]wire.Query
		if q[0].Parse(data) != wire.Valid {
			return
		}
		end := q[0].End
		limit := q[0].Limit(most == 65535, int(most))
		r.Enter()
		defer r.Leave()
		r.Prepare(q[:])
		reply, _ := r.Answer(&q[0], data, limit, 0)
		if len(reply) > limit && len(reply) > wire.MinUDP {
			t.Fatalf("%d octets, limit %d", len(reply), limit)
		}
		if !bytes.Equal(reply[wire.HeaderLen:end], msg[wire.HeaderLen:end]) || wire.ID(reply) != wire.ID(msg) {
			t.Fatalf("question %x came back as %x", msg, reply)
		}
		var m dns.Msg
		if err := m.Unpack(reply); err != nil || !m.Response {
			t.Fatalf("reply %x to %x: %v", reply, msg, err)
		}
	})
}
