package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

// addresses makes a record of addresses, all of one family.
func addresses(name string, source Source, ttl uint32, addrs ...string) *Record {
	rec := &Record{Name: wire.MustName(name), Type: wire.TypeA, TTL: ttl, Source: source}
	for _, a := range addrs {
		addr := netip.MustParseAddr(a)
		if addr.Is6() {
			rec.Type = wire.TypeAAAA
		}
		rec.Data = append(rec.Data, addr.AsSlice())
	}
	return rec
}

// absentTable has a zone example.org, and leaves out the addresses of the set.
func absentTable(t testing.TB) (table *Table, out map[string]bool) {
	t.Helper()
	table, out = newTable(t), map[string]bool{}
	table.LeaveOut(func(_ []byte, _ uint16, data []byte) bool {
		addr, _ := netip.AddrFromSlice(data)
		return out[addr.String()]
	})
	err := table.Update(func(tx *Tx) error { return tx.AddZone(wire.MustName("example.org")) })
	if err != nil {
		t.Fatal(err)
	}
	soa, _ := dns.NewRR("example.org. 5 IN SOA ns. root. 1 2 3 4 5")
	buf := make([]byte, 128)
	end, _ := dns.PackRR(soa, buf, 0, nil, false)
	put(t, table, &Record{Name: wire.MustName("example.org"), Type: wire.TypeSOA, TTL: 5, Data: [][]byte{buf[len("\x07example\x03org\x00")+10 : end]}})
	return table, out
}

func rejoin(t testing.TB, table *Table, name string, typ uint16) (changed bool) {
	t.Helper()
	err := table.Update(func(tx *Tx) (err error) {
		changed, err = tx.Rejoin(wire.MustName(name), typ)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// answers gives the addresses a name is answered with, sorted.
func answers(t testing.TB, table *Table, name string, typ uint16) string {
	t.Helper()
	var all []string
	for _, rr := range ask(t, table, new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)).Answer {
		all = append(all, fmt.Sprintf("%d %s", rr.Header().Ttl, strings.TrimPrefix(rr.String(), rr.Header().String())))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestLeaveOut(t *testing.T) {
	t.Parallel()
	table, out := absentTable(t)
	defer table.Close()
	put(t, table, addresses("a.example.org", 1, 30, "10.0.0.1", "10.0.0.2"), addresses("a.example.org", 1, 30, "fd00::1", "fd00::2"), addresses("*.w.example.org", 1, 30, "10.0.0.1", "10.0.0.2"))
	expect := func(name string, typ uint16, want string) {
		t.Helper()
		if got := answers(t, table, name, typ); got != want {
			t.Errorf("%s %s: %q, want %q", name, dns.Type(typ), got, want)
		}
	}
	out["10.0.0.1"], out["fd00::2"] = true, true
	expect("a.example.org", wire.TypeA, "30 10.0.0.1 30 10.0.0.2") // nobody has said that it changed
	if !rejoin(t, table, "a.example.org", wire.TypeA) || !rejoin(t, table, "*.w.example.org", wire.TypeA) || rejoin(t, table, "a.example.org", wire.TypeA) {
		t.Error("a change is a change once")
	}
	expect("a.example.org", wire.TypeA, "30 10.0.0.2")
	expect("x.w.example.org", wire.TypeA, "30 10.0.0.2")
	rejoin(t, table, "a.example.org", wire.TypeAAAA)
	expect("a.example.org", wire.TypeAAAA, "30 fd00::1")

	// Another owner, without and with addresses that answer.
	put(t, table, addresses("a.example.org", 2, 20, "10.0.0.1", "10.0.0.3"))
	expect("a.example.org", wire.TypeA, "20 10.0.0.2 20 10.0.0.3")
	out["10.0.0.2"], out["10.0.0.3"] = true, true
	rejoin(t, table, "a.example.org", wire.TypeA)
	expect("a.example.org", wire.TypeA, "20 10.0.0.1 20 10.0.0.2 20 10.0.0.3") // all down: all of them
	delete(out, "10.0.0.3")
	put(t, table, addresses("a.example.org", 1, 10, "10.0.0.2"))
	expect("a.example.org", wire.TypeA, "10 10.0.0.3")
	clear(out)
	rejoin(t, table, "a.example.org", wire.TypeA)
	expect("a.example.org", wire.TypeA, "10 10.0.0.1 10 10.0.0.2 10 10.0.0.3")

	// What is left out is still there, and what isn't there is no trouble.
	out["10.0.0.1"] = true
	rejoin(t, table, "a.example.org", wire.TypeA)
	count := 0
	table.Each(func(rec *Record) bool {
		if string(rec.Name) == string(wire.MustName("a.example.org")) && rec.Type == wire.TypeA {
			count += len(rec.Data)
		}
		return true
	})
	if count != 3 {
		t.Errorf("%d addresses are kept", count)
	}
	if rejoin(t, table, "no.example.org", wire.TypeA) || rejoin(t, table, "a.example.org", wire.TypeTXT) {
		t.Error("changed what is not there")
	}
	before := table.Stats().Records
	err := table.Update(func(tx *Tx) error {
		for _, source := range []Source{1, 2} {
			if _, err := tx.Delete(wire.MustName("a.example.org"), wire.TypeA, source); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || before-table.Stats().Records != 3 {
		t.Error(err, before, table.Stats().Records)
	}
	expect("a.example.org", wire.TypeA, "")
}

// Whatever comes and goes, the answer is the RRset without what is down, or all of
// it where all are.
func TestLeaveOutModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		table, out := absentTable(t)
		defer table.Close()
		held := map[Source][]string{}
		pool := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "health") {
				a := rapid.SampledFrom(pool).Draw(rt, "address")
				out[a] = !out[a]
				rejoin(t, table, "a.example.org", wire.TypeA)
			} else {
				source := Source(rapid.IntRange(1, 3).Draw(rt, "source"))
				held[source] = rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, rapid.ID).Draw(rt, "addresses")
				rec := addresses("a.example.org", source, 5, held[source]...)
				if err := table.Update(func(tx *Tx) error { _, err := tx.Put(rec); return err }); err != nil {
					rt.Fatal(err)
				}
			}
			var all, up []string
			for _, addrs := range held {
				all = append(all, addrs...)
			}
			slices.Sort(all)
			all = slices.Compact(all)
			for _, a := range all {
				if !out[a] {
					up = append(up, "5 "+a)
				}
			}
			want := strings.Join(up, " ")
			if len(up) == 0 && len(all) > 0 {
				want = "5 " + strings.Join(all, " 5 ")
			}
			if got := answers(t, table, "a.example.org", wire.TypeA); got != want {
				rt.Fatalf("%q, want %q (held %v, out %v)", got, want, held, out)
			}
		}
	})
}

// Readers never see an RRset empty or half while its addresses come and go.
func TestLeaveOutReaders(t *testing.T) {
	t.Parallel()
	table, out := absentTable(t)
	defer table.Close()
	put(t, table, addresses("a.example.org", 1, 30, "10.0.0.1", "10.0.0.2", "10.0.0.3"))
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			r := table.NewReader()
			defer r.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if n := len(askReader(t, r, new(dns.Msg).SetQuestion("a.example.org.", dns.TypeA), 4096).Answer); n < 1 {
					t.Error("an empty answer")
					return
				}
			}
		})
	}
	for i := range 3000 {
		out[[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i%3]] = i/3%2 == 0
		rejoin(t, table, "a.example.org", wire.TypeA)
	}
	close(stop)
	reading.Wait()
}
