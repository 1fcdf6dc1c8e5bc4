package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

func down(by string, addrs ...string) (all []store.Health) {
	for _, a := range addrs {
		all = append(all, store.Health{Address: netip.MustParseAddr(a), State: store.Down, By: by, Revision: 1})
	}
	return all
}

func up(addrs ...string) []store.Health {
	all := down("p", addrs...)
	for i := range all {
		all[i].State = store.Up
	}
	return all
}

func probedRec(t testing.TB, name, typ, owner string, data ...string) store.Record {
	t.Helper()
	r := rec(t, name, typ, owner, data...)
	r.Probe = "tcp:80"
	return r
}

// answered gives the data a name is answered with, sorted.
func (s *server) answered(t testing.TB, name string, typ uint16) string {
	t.Helper()
	found, err := s.lookup(wire.MustName(name), typ)
	if err != nil {
		t.Fatal(err)
	}
	var data []string
	for _, line := range found.Answer {
		fields := strings.Fields(line)
		if fields[3] == "A" || fields[3] == "AAAA" {
			data = append(data, fields[4])
		}
	}
	slices.Sort(data)
	return strings.Join(data, " ")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s, _ := fed(t, "example.org")
	h := s.sink.health
	h.ApplyHealth(down("p", "10.0.0.1")) // before the records
	err := s.sink.Replace(seq(
		probedRec(t, "a.example.org", "A", "x", "10.0.0.1", "10.0.0.2"), probedRec(t, "a.example.org", "AAAA", "x", "fd00::1", "fd00::2"),
		probedRec(t, "b.example.org", "A", "x", "10.0.0.1"), rec(t, "c.example.org", "A", "x", "10.0.0.1", "10.0.0.2"),
		rec(t, "d.example.org", "CNAME", "x", "a.example.org")), 5)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, want map[string]string) {
		t.Helper()
		for name, data := range want {
			typ := uint16(wire.TypeA)
			if strings.HasPrefix(name, "6") {
				name, typ = name[1:], wire.TypeAAAA
			}
			if got := s.answered(t, name+".example.org", typ); got != data {
				t.Errorf("%s: %s: %q, want %q", what, name, got, data)
			}
		}
	}
	const both = "10.0.0.1 10.0.0.2"
	expect("on load", map[string]string{"a": "10.0.0.2", "b": "10.0.0.1", "c": both, "d": "10.0.0.2", "6a": "fd00::1 fd00::2"})
	h.ApplyHealth(down("p", "10.0.0.2", "fd00::2"))
	expect("all of a are down", map[string]string{"a": both, "b": "10.0.0.1", "6a": "fd00::1"})
	h.ApplyHealth(up("10.0.0.1"))
	expect("one is up", map[string]string{"a": "10.0.0.1", "b": "10.0.0.1", "c": both})

	// Records change while one is down.
	apply := func(recs ...store.Record) {
		t.Helper()
		for _, r := range recs {
			if err := s.sink.Apply([]store.Change{{Record: r, Deleted: len(r.Data) == 0}}, 6); err != nil {
				t.Fatal(err)
			}
		}
	}
	apply(probedRec(t, "a.example.org", "A", "x", "10.0.0.1", "10.0.0.2", "10.0.0.3"))
	expect("another address", map[string]string{"a": "10.0.0.1 10.0.0.3"})
	apply(rec(t, "a.example.org", "A", "x", "10.0.0.1", "10.0.0.2", "10.0.0.3"), probedRec(t, "c.example.org", "A", "x", "10.0.0.1", "10.0.0.2"))
	expect("no longer probed, and now probed", map[string]string{"a": both + " 10.0.0.3", "c": "10.0.0.1"})
	apply(probedRec(t, "a.example.org", "A", "y", "10.0.0.2"))
	expect("another owner has it probed", map[string]string{"a": "10.0.0.1 10.0.0.3"})
	apply(rec(t, "a.example.org", "A", "y"))
	expect("and gone", map[string]string{"a": both + " 10.0.0.3"})

	// A full sync, with other probes than before.
	if err := s.sink.Replace(seq(probedRec(t, "a.example.org", "A", "x", "10.0.0.1", "10.0.0.2"), rec(t, "c.example.org", "A", "x", "10.0.0.1", "10.0.0.2")), 9); err != nil {
		t.Fatal(err)
	}
	expect("after a full sync", map[string]string{"a": "10.0.0.1", "b": "", "c": both})
	if len(h.parts) != 1 || len(h.at) != 2 {
		t.Errorf("kept of what is gone: %d parts, %d addresses", len(h.parts), len(h.at))
	}
	if found, _ := s.lookup(wire.MustName("a.example.org"), wire.TypeA); len(found.LeftOut) != 1 || !strings.HasPrefix(found.LeftOut[0], "10.0.0.2 is down since ") {
		t.Errorf("%q", found.LeftOut)
	}
	h.ReplaceHealth(nil)
	expect("nothing known", map[string]string{"a": both})
}

// `ctl lookup` names what an answer leaves out also where a wildcard answers, and an
// alias of one: by the wildcard that answers, and no other.
func TestLookupLeftOutOfWildcard(t *testing.T) {
	t.Parallel()
	s, _ := fed(t, "example.org")
	err := s.sink.Replace(seq(
		probedRec(t, "*.example.org", "A", "x", "10.0.0.1", "10.0.0.2"),
		probedRec(t, "*.b.example.org", "A", "x", "10.0.0.2", "10.0.0.3"),
		rec(t, "*.c.example.org", "A", "x", "10.0.0.3"),
		rec(t, "d.example.org", "CNAME", "x", "any.b.example.org")), 5)
	if err != nil {
		t.Fatal(err)
	}
	s.sink.health.ApplyHealth(down("p", "10.0.0.2"))
	for name, want := range map[string]string{
		"a": "10.0.0.1", "two.labels": "10.0.0.1", "x.b": "10.0.0.3", "X.Y.B": "10.0.0.3", "d": "10.0.0.3", "*": "10.0.0.1",
	} {
		found, err := s.lookup(wire.MustName(name+".example.org"), wire.TypeA)
		if err != nil || s.answered(t, name+".example.org", wire.TypeA) != want {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if len(found.LeftOut) != 1 || !strings.HasPrefix(found.LeftOut[0], "10.0.0.2 is down since ") {
			t.Errorf("%s: left out: %q", name, found.LeftOut)
		}
	}
	if found, _ := s.lookup(wire.MustName("x.c.example.org"), wire.TypeA); len(found.LeftOut) != 0 {
		t.Errorf("left out of what is not probed: %q", found.LeftOut)
	}
}

// What a prober found counts while it is there, and expire longer.
func TestHealthExpires(t *testing.T) {
	t.Parallel()
	s, _ := fed(t, "example.org")
	h := s.sink.health
	h.expire = time.Minute
	if err := s.sink.Replace(seq(probedRec(t, "a.example.org", "A", "x", "10.0.0.1", "10.0.0.2")), 5); err != nil {
		t.Fatal(err)
	}
	h.probers(map[string]int64{"p": 1, "q": 2})
	hour := down("p", "10.0.0.1")
	hour[0].Since = time.Now().Add(time.Hour) // its clock has no say
	h.ReplaceHealth(hour)
	at := func(what string, after time.Duration, present bool, want string) {
		t.Helper()
		h.watchOver(began.Add(after), present)
		if got := s.answered(t, "a.example.org", wire.TypeA); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const both, one = "10.0.0.1 10.0.0.2", "10.0.0.2"
	at("the prober is there", 10*time.Minute, true, one)
	h.probers(map[string]int64{"q": 2})
	at("it is gone", 10*time.Minute+59*time.Second, true, one)
	at("for long", 11*time.Minute, true, both)
	if all := h.report(netip.Addr{}); len(all) != 1 || all[0].Answer != isExpired {
		t.Errorf("%+v", all)
	}
	h.ApplyHealth(down("q", "10.0.0.1"))
	at("another one vouches", 12*time.Minute, true, one)
	at("etcd is away", 12*time.Minute+59*time.Second, false, one)
	at("for long", 13*time.Minute, false, both)
	at("etcd is back", 14*time.Minute, true, one)
	if len(h.seen) != 1 {
		t.Errorf("%v", h.seen)
	}
}

var began = time.Now()

// However records and health come and go, an answer is the same as that of a server
// which learnt of the end alone.
func TestHealthAsFresh(t *testing.T) {
	t.Parallel()
	pool := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
	names := []string{"a.example.org", "b.example.org", "*.example.org"}
	rapid.Check(t, func(rt *rapid.T) {
		one, _ := fed(t, "example.org")
		two, _ := fed(t, "example.org")
		defer one.table.Close()
		defer two.table.Close()
		if err := one.sink.Replace(seq(), 1); err != nil {
			rt.Fatal(err)
		}
		have, states := map[string]store.Record{}, map[string]store.Health{}
		records := func() (all []store.Record) {
			for _, r := range have {
				all = append(all, r)
			}
			return all
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				r := rec(t, rapid.SampledFrom(names).Draw(rt, "name"), "A", rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "owner"),
					rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, rapid.ID).Draw(rt, "addresses")...)
				r.Probe = rapid.SampledFrom([]string{"", "tcp:80"}).Draw(rt, "probe")
				if delete(have, r.String()); len(r.Data) > 0 {
					have[r.String()] = r
				}
				if err := one.sink.Apply([]store.Change{{Record: r, Deleted: len(r.Data) == 0}}, 2); err != nil {
					rt.Fatal(err)
				}
			case 2:
				h := down("p", rapid.SampledFrom(pool).Draw(rt, "address"))
				h[0].State = store.State(rapid.IntRange(0, 2).Draw(rt, "state"))
				states[h[0].Address.String()] = h[0]
				one.sink.health.ApplyHealth(h)
			case 3:
				if err := one.sink.Replace(seq(records()...), 3); err != nil {
					rt.Fatal(err)
				}
			}
		}
		for _, h := range states {
			two.sink.health.ApplyHealth([]store.Health{h})
		}
		if err := two.sink.Replace(seq(records()...), 3); err != nil {
			rt.Fatal(err)
		}
		for _, name := range append(names, "c.example.org") {
			a, b := one.answered(t, name, wire.TypeA), two.answered(t, name, wire.TypeA)
			if a != b {
				rt.Fatalf("%s: %q, and afresh %q", name, a, b)
			}
			if held := one.outcome(t, name); held == "hit" && a == "" {
				rt.Fatalf("%s: empty", name)
			}
		}
	})
}
