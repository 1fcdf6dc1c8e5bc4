package zone

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// A million changes on 10,000 names leave the memory as it was.
func TestMemoryIsUsedAgain(t *testing.T) {
	table := filled(t, 10_000)
	defer table.Close()
	names := make([][]byte, 10_000)
	for i := range names {
		names[i] = wire.MustName(host(i))
	}
	r := table.NewReader()
	defer r.Close()
	const each = 50 // of the changes in one update
	round := func(records int) {
		for from := 0; from < len(names); from += each {
			r.Enter() // a reader inside holds some back
			update(t, table, names[from:from+each], records)
			r.Leave()
		}
	}
	for _, records := range []int{2, 3, 1} { // blocks of each size there will be
		round(records)
	}
	put(t, table)
	before, next := table.Stats(), table.arena.next
	for i := range 10 * changes / len(names) / 2 {
		round(2 + i%2)
		round(1)
	}
	put(t, table) // with no reader inside: nothing waits any longer
	after := table.Stats()
	if after.Bytes != before.Bytes || after.Names != before.Names || after.Waiting != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if table.arena.next > next+next/50 {
		t.Errorf("the arena grew from %d to %d units", next, table.arena.next)
	}
}

func update(t *testing.T, table *Table, names [][]byte, records int) {
	err := table.Update(func(tx *Tx) error {
		rec := Record{Type: wire.TypeA, TTL: 300}
		for i := range records {
			rec.Data = append(rec.Data, []byte{10, 0, 0, byte(i)})
		}
		for _, rec.Name = range names {
			if _, err := tx.Put(&rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Names that come and go leave no graves behind that would make the index grow.
func TestIndexIsCleaned(t *testing.T) {
	table := filled(t, 100)
	defer table.Close()
	for i := range changes {
		err := table.Update(func(tx *Tx) error {
			name := wire.MustName(fmt.Sprintf("new-%d.example.org", i))
			if _, err := tx.Put(&Record{Name: name, Type: wire.TypeA, Data: [][]byte{{10, 0, 0, 1}}}); err != nil {
				return err
			}
			_, err := tx.Delete(name, wire.TypeA, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(table.idx.Load().slots); n != minSlots {
		t.Errorf("%d slots for 101 names", n)
	}
}

// The collector has as much to follow for 200,000 names as for 10,000.
func TestHeapDoesNotGrowWithNames(t *testing.T) {
	objects := func(n int) int64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		table := filled(t, n)
		defer table.Close()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(table)
		return int64(after.HeapObjects) - int64(before.HeapObjects)
	}
	few, many := objects(10_000), objects(200_000)
	if many > few+100 {
		t.Errorf("%d heap objects with 10,000 names, %d with 200,000", few, many)
	}
}

// No answer allocates, whatever its outcome.
func TestAnswerDoesNotAllocate(t *testing.T) {
	table := loaded(t, "test", mainZone, "other", otherZone, "dept.test", deptZone, "example", wildZone)
	r := table.NewReader()
	defer r.Close()
	for _, c := range outcomes {
		query := wire.AppendQuery(nil, 1, 0, wire.MustName(c.name), dns.StringToType[c.typ], wire.ClassIN, &wire.EDNS{UDPSize: 1232})
		buf := make([]byte, 1232)
		var q [1]wire.Query
		allocs := testing.AllocsPerRun(20, func() {
			data := buf[:copy(buf, query)]
			q[0].Parse(data)
			r.Enter()
			r.Prepare(q[:])
			r.Answer(&q[0], data, 1232, 0)
			r.Leave()
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", c.clause, allocs)
		}
	}
}

// A zone added and removed many times, one of another depth taking its number,
// leaves nothing.
func TestZonesComeAndGo(t *testing.T) {
	table := newTable(t)
	defer table.Close()
	r := table.NewReader()
	defer r.Close()
	for i := range changes {
		if i%3 == 0 {
			r.Enter()
		}
		if err := table.Update(func(tx *Tx) error { return come(tx, i%2 == 0) }); err != nil {
			t.Fatal(err)
		}
		r.Leave()
		if i > 1000 && len(table.below) > 8 {
			t.Fatalf("%d numbers for one zone", len(table.below))
		}
	}
}
