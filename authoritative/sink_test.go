package main

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
	"github.com/strata-dns/strata/e2e/stack"
)

// fed gives a server with zones from etcd, not filled yet.
func fed(t testing.TB, zones ...string) (*server, *stack.Text) {
	t.Helper()
	log := &stack.Text{}
	s, err := newServer(slog.New(slog.NewTextHandler(log, nil)), wire.DefaultUDP)
	if err != nil {
		t.Fatal(err)
	}
	var list []Zone
	for _, name := range zones {
		list = append(list, Zone{Name: name, Source: fromEtcd})
	}
	if err := s.setZones(list); err != nil {
		t.Fatal(err)
	}
	return s, log
}

func rec(t testing.TB, name, typ, owner string, data ...string) store.Record {
	t.Helper()
	r, err := store.NewRecord(name, typ, owner, 30, data...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seq(recs ...store.Record) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, r := range recs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// held is what the table has of etcd's owners.
func held(s *server) []string {
	var all []string
	for r := range s.sink.records {
		text, _ := r.Text()
		slices.Sort(text)
		all = append(all, r.String()+" "+strings.Join(text, " "))
	}
	slices.Sort(all)
	return all
}

func (s *server) outcome(t testing.TB, name string) string {
	t.Helper()
	found, err := s.lookup(wire.MustName(name), wire.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	return found.Outcome
}

// A full compare deletes what is left over and nothing before it has seen all.
func TestReplaceMends(t *testing.T) {
	t.Parallel()
	s, _ := fed(t, "example.org")
	a, b, c := rec(t, "a.example.org", "A", "x", "10.0.0.1"), rec(t, "b.example.org", "A", "x", "10.0.0.2"), rec(t, "b.example.org", "A", "y", "10.0.0.3")
	if err := s.sink.Replace(seq(a, b, c), 5); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the connection broke")
	err := s.sink.Replace(func(yield func(store.Record, error) bool) {
		_ = yield(rec(t, "a.example.org", "A", "x", "10.0.0.9"), nil) && yield(store.Record{}, broken)
	}, 6)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if got := s.table.Zones()[0].SOASerial(); got != 5 || len(held(s)) != 3 {
		t.Errorf("after half a compare: serial %d, %q", got, held(s))
	}
	if err := s.sink.Replace(seq(a, c), 7); err != nil {
		t.Fatal(err)
	}
	if got := held(s); !slices.Equal(got, []string{"a.example.org. A (x) 10.0.0.1", "b.example.org. A (y) 10.0.0.3"}) {
		t.Errorf("%q", got)
	}
	if err := s.sink.Replace(seq(), 8); err != nil {
		t.Fatal(err)
	}
	if len(held(s)) != 0 || s.outcome(t, "a.example.org") != "nxdomain" {
		t.Errorf("%q", held(s))
	}
	if got := s.table.Zones()[0].SOASerial(); got != 8 {
		t.Errorf("serial %d", got)
	}
}

// A zone that comes by a reload is not answered from before all of its records
// were seen, whatever changes meanwhile.
func TestNewZoneWaits(t *testing.T) {
	t.Parallel()
	s, _ := fed(t, "one.example")
	if err := s.sink.Apply(nil, 3); err != nil || s.sink.filled.Load() || s.outcome(t, "a.one.example") != "not ready" {
		t.Error("answered from before the first sync", err)
	}
	if err := s.sink.Replace(seq(rec(t, "a.one.example", "A", "x", "10.0.0.1")), 5); err != nil || !s.sink.filled.Load() {
		t.Fatal(err)
	}
	second := []Zone{{Name: "one.example", Source: fromEtcd}, {Name: "two.example", Source: fromEtcd}}
	if err := s.setZones(second); err != nil {
		t.Fatal(err)
	}
	second[0].MinTTL = 9 * time.Second
	if err := s.setZones(second); err != nil {
		t.Fatal(err)
	}
	if found, err := s.lookup(wire.MustName("no.one.example"), wire.TypeA); err != nil || !strings.HasSuffix(found.Answer[0], " 5 7200 1800 86400 9") {
		t.Errorf("a zone that stays takes up its settings at once: %v, %v", found, err)
	}
	if err := s.sink.Apply([]store.Change{{Record: rec(t, "b.two.example", "A", "x", "10.0.0.2")}}, 6); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.one.example": "hit", "a.two.example": "not ready", "b.two.example": "not ready"} {
		if got := s.outcome(t, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	err := s.sink.Replace(seq(rec(t, "a.two.example", "A", "x", "10.0.0.3")), 7)
	if err != nil || s.outcome(t, "a.two.example") != "hit" || s.outcome(t, "b.two.example") != "nxdomain" {
		t.Error(err, s.outcome(t, "a.two.example"), s.outcome(t, "b.two.example"))
	}

	// One that comes while a compare is under way is not covered by it.
	began := s.sink.all()
	if err := s.setZones(append(second, Zone{Name: "three.example", Source: fromEtcd})); err != nil {
		t.Fatal(err)
	}
	s.sink.complete(began, func(*feed) bool { return true })
	if err := s.sink.Apply(nil, 8); err != nil || s.outcome(t, "a.three.example") != "not ready" || s.outcome(t, "a.two.example") != "hit" {
		t.Error(err, s.outcome(t, "a.three.example"), s.outcome(t, "a.two.example"))
	}
}

// Changes one by one lead to the same table as a full compare, whatever they are,
// and the serial is always that of the last.
func TestApplyAsReplace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		one, _ := fed(t, "example.org", "10.in-addr.arpa")
		two, _ := fed(t, "example.org", "10.in-addr.arpa")
		defer one.table.Close()
		defer two.table.Close()
		if err := one.sink.Replace(seq(), 1); err != nil {
			rt.Fatal(err)
		}
		have := map[string]store.Record{}
		revision := int64(1)
		for range rapid.IntRange(1, 40).Draw(rt, "changes") {
			name := rapid.SampledFrom([]string{"example.org", "a.example.org", "b.a.example.org", "*.example.org", "1.10.in-addr.arpa", "elsewhere.example"}).Draw(rt, "name")
			owner := rapid.SampledFrom([]string{"static", "x", "y"}).Draw(rt, "owner")
			var r store.Record
			switch rapid.IntRange(0, 2).Draw(rt, "type") {
			case 0:
				r = rec(t, name, "A", owner, rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}), 1, 3, rapid.ID).Draw(rt, "addresses")...)
			case 1:
				r = rec(t, name, "CNAME", owner, rapid.SampledFrom([]string{"x.example", "y.example"}).Draw(rt, "target"))
			default:
				r = rec(t, name, "NS", owner, "ns.example")
			}
			revision++
			deleted := rapid.Bool().Draw(rt, "deleted")
			if delete(have, r.String()); !deleted {
				have[r.String()] = r
			}
			if err := one.sink.Apply([]store.Change{{Record: r, Deleted: deleted}}, revision); err != nil {
				rt.Fatal(err)
			}
		}
		var all []store.Record
		for _, key := range slices.Sorted(func(yield func(string) bool) {
			for key := range have {
				if !yield(key) {
					return
				}
			}
		}) {
			all = append(all, have[key])
		}
		if err := two.sink.Replace(seq(all...), revision); err != nil {
			rt.Fatal(err)
		}
		if !slices.Equal(held(one), held(two)) {
			rt.Fatalf("%q\n%q", held(one), held(two))
		}
		dumps := [2]string{dumped(t, one), dumped(t, two)}
		if dumps[0] != dumps[1] {
			rt.Fatalf("%s\n%s", dumps[0], dumps[1])
		}
		for _, z := range one.table.Zones() {
			if z.SOASerial() != uint32(revision) {
				rt.Fatalf("serial %d at revision %d", z.SOASerial(), revision)
			}
		}
	})
}

func dumped(t testing.TB, s *server) string {
	t.Helper()
	var b strings.Builder
	if err := s.dump(&b, []byte{0}, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// What the table won't take is left out, with what it stood for before.
func TestRefusedRecord(t *testing.T) {
	t.Parallel()
	s, log := fed(t, "example.org")
	good := rec(t, "a.example.org", "A", "x", "10.0.0.1")
	if err := s.sink.Replace(seq(good), 2); err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Data = [][]byte{{10, 0, 0}}
	if err := s.sink.Apply([]store.Change{{Record: bad}}, 3); err != nil {
		t.Fatal(err)
	}
	if s.sink.refused.Load() != 1 || len(held(s)) != 0 || !strings.Contains(log.String(), `msg="record left out" record="a.example.org. A (x)"`) {
		t.Error(s.sink.refused.Load(), held(s), log)
	}
}

func TestOwnerNumbers(t *testing.T) {
	t.Parallel()
	var one, two owners
	for i := range 2000 {
		name := fmt.Sprintf("kubernetes:%d", i)
		id, err := one.number(name)
		if err != nil || id <= ownersFrom || one.name(id) != name {
			t.Fatal(id, err, one.name(id))
		}
		if again, _ := one.number(name); again != id {
			t.Fatal("another number")
		}
	}
	if id, err := one.number(byHand); err != nil || id != ownersFrom {
		t.Error("what is written by hand goes first", id, err)
	}
	// Without a collision the order in which owners come is no matter.
	for _, name := range []string{"b", "static", "a"} {
		got, err := two.number(name)
		if err != nil {
			t.Fatal(err)
		}
		var alone owners
		if want, _ := alone.number(name); got != want {
			t.Errorf("%s: %d, alone %d", name, got, want)
		}
	}
	if _, ok := two.known("c"); ok {
		t.Error("known without ever having come")
	}
	var full owners
	for i := range maxOwners {
		if _, err := full.number(fmt.Sprint(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := full.number("one more"); !errors.Is(err, errOwners) {
		t.Error(err)
	}
	if last := zone.Source(ownersFrom + maxOwners); last == 0xffff {
		t.Error("the table keeps that number")
	}
}

// A zone's name may be so long that nothing fits below it.
func TestLongZoneNames(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 60) + "."
	long := label + label + label + label // 245 octets
	for _, tc := range []struct {
		zone Zone
		want string
	}{
		{Zone{Name: long, Source: fromEtcd}, ""},
		{Zone{Name: "abcdef." + long, Source: fromEtcd}, "the name is too long for ns.dns below it; set ns"},
		{Zone{Name: "abcdef." + long, Source: fromEtcd, NS: []string{"ns.example"}}, ""},
	} {
		s, _ := fed(t)
		err := s.setZones([]Zone{tc.zone})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", tc.zone.Name, err)
		}
		if err != nil {
			continue
		}
		if err := s.sink.Replace(seq(), 4); err != nil || s.table.Zones()[0].SOASerial() != 4 {
			t.Error(err)
		}
	}
}
