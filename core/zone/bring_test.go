package zone

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// edition is a zone whose data and signatures say which edition they are of: the last
// octet of an address, the serial, and the key tag.
func edition(n int) string {
	const sig = "%s 60 RRSIG %s 8 %d 60 20300101000000 20200101000000 %d test. AAAA\n"
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN test.\n@ 60 SOA ns h %d 7200 1800 1209600 60\n@ 60 NS ns\nns 60 A 10.0.0.53\n@ 60 NSEC test. NS SOA RRSIG NSEC\n", n)
	fmt.Fprintf(&b, sig, "@", "SOA", 1, n)
	for i := range 20 {
		name := fmt.Sprintf("n%d", i)
		fmt.Fprintf(&b, "%s 60 A 10.0.0.%d\n", name, n)
		fmt.Fprintf(&b, sig, name, "A", 2, n)
	}
	for i := range 5 { // each edition has some names of its own
		name := fmt.Sprintf("own%d", (n+i)%10)
		fmt.Fprintf(&b, "%s 60 A 10.0.0.%d\n", name, n)
		fmt.Fprintf(&b, sig, name, "A", 2, n)
	}
	return b.String()
}

// editions are those that a reply's records are of.
func editions(t *testing.T, reply []byte) map[int]bool {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			seen[int(rr.A.To4()[3])] = true
		case *dns.SOA:
			seen[int(rr.Serial)] = true
		case *dns.RRSIG:
			seen[int(rr.KeyTag)] = true
		}
	}
	if rcode := m.Rcode; rcode == dns.RcodeSuccess && len(m.Answer) == 1 {
		t.Errorf("without a signature: %v", &m)
	}
	return seen
}

// TestReloadByName has readers ask for names and their signatures while editions of the
// zone replace each other: what they get is of one.
func TestReloadByName(t *testing.T) {
	table := loaded(t, "test", edition(1))
	apex := wire.MustName("test")
	var ended atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			r := table.NewReader()
			defer r.Close()
			for n := 0; !ended.Load(); n++ {
				name, typ := fmt.Sprintf("n%d.test", n%20), uint16(wire.TypeA)
				switch n % 4 {
				case 1:
					name = fmt.Sprintf("own%d.test", n%10)
				case 2:
					name, typ = "test", wire.TypeSOA
				}
				packed, err := wantsDNSSEC(name+".", typ).Pack()
				var q wire.Query
				if err != nil || q.Parse(packed) != wire.Valid {
					t.Error(err)
					return
				}
				r.Enter()
				reply, _ := r.Answer(&q, append(make([]byte, 0, 4096), packed...), 4096, -1)
				r.Leave()
				if seen := editions(t, reply); len(seen) > 1 {
					t.Errorf("%s is of editions %v", name, seen)
				}
			}
		})
	}
	for n := 2; n < 200; n++ {
		if _, err := table.Load(apex, strings.NewReader(edition(n)), "zone", 0); err != nil {
			t.Fatal(err)
		}
	}
	ended.Store(true)
	readers.Wait()
	if found := strings.Count(strings.Join(records(t, table), "\n"), " RRSIG "); found != 26 {
		t.Errorf("%d signatures left, want 26", found)
	}
}

// Other sources' data of the same names stay, and are joined with the file's.
func TestReloadBesideOthers(t *testing.T) {
	table := loaded(t, "test", head+"www A 10.0.0.1\nwww TXT old\nwww AAAA ::1\ngone A 10.0.0.9\n")
	other := &Record{Name: wire.MustName("www.test"), Type: wire.TypeA, TTL: 60, Source: 7, Data: [][]byte{{10, 0, 0, 7}}}
	text := &Record{Name: wire.MustName("www.test"), Type: wire.TypeTXT, TTL: 60, Source: 7, Data: [][]byte{{1, 'x'}}}
	kept := &Record{Name: wire.MustName("gone.test"), Type: wire.TypeA, TTL: 60, Source: 7, Data: [][]byte{{10, 0, 0, 7}}}
	for _, rec := range []*Record{other, text, kept} {
		if err := table.Update(func(tx *Tx) error { _, err := tx.Put(rec); return err }); err != nil {
			t.Fatal(err)
		}
	}
	count := func(name string, typ uint16) int {
		t.Helper()
		r := table.NewReader()
		defer r.Close()
		r.Enter()
		defer r.Leave()
		var q wire.Query
		q.SetName(wire.MustName(name))
		return r.Lookup(&q, typ, -1).Set.Count
	}
	for _, tt := range []struct {
		zone                string
		a, txt, aaaa, goneA int
	}{
		{head + "www A 10.0.0.2\nwww TXT new\nwww AAAA ::1\n", 2, 2, 1, 1},
		{head + "www A 10.0.0.2\nwww A 10.0.0.3\n", 3, 1, 0, 1},
		{head + "www A 10.0.0.7\nwww AAAA ::2\n", 1, 1, 1, 1},
		{head, 1, 1, 0, 1},
		{head + "www A 10.0.0.8\ngone A 10.0.0.9\n", 2, 1, 0, 2},
	} {
		if _, err := table.Load(wire.MustName("test"), strings.NewReader(tt.zone), "zone", 0); err != nil {
			t.Fatal(err)
		}
		got := []int{count("www.test", wire.TypeA), count("www.test", wire.TypeTXT), count("www.test", wire.TypeAAAA), count("gone.test", wire.TypeA)}
		if want := []int{tt.a, tt.txt, tt.aaaa, tt.goneA}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", tt.zone, got, want)
		}
		records(t, table) // which counts them
	}
}

// TestReloadWritesNamesOnce counts the blocks that a reload puts in the place of others,
// which nobody frees as a reader stands by: one a name.
func TestReloadWritesNamesOnce(t *testing.T) {
	table := loaded(t, "test", edition(1))
	r := table.NewReader()
	defer r.Close()
	r.Enter()
	defer r.Leave()
	for n := 2; n < 5; n++ {
		before := len(table.blocks)
		for range 2 { // the second of which changes nothing
			if _, err := table.Load(wire.MustName("test"), strings.NewReader(edition(n)), "zone", 0); err != nil {
				t.Fatal(err)
			}
		}
		// The apex, 20 names, four that both editions have, and one that goes.
		if got := len(table.blocks) - before; got != 1+20+4+1 {
			t.Errorf("%d names were written %d times", 1+20+4+1, got)
		}
	}
}
