package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// orderTable makes a zone with one name, w, of addresses 10.0.0.1 to 10.0.0.n, and what is
// said of their order, if anything.
func orderTable(t testing.TB, n int, said string) *Table {
	t.Helper()
	var b strings.Builder
	b.WriteString("$TTL 60\n@ SOA ns h 1 2 3 4 60\n@ NS ns\nns A 10.9.9.9\n")
	for i := range n {
		fmt.Fprintf(&b, "w A 10.0.%d.%d\n", (i+1)>>8, (i+1)&255)
	}
	if said != "" {
		fmt.Fprintf(&b, "w ORDER %s\n", said)
	}
	return loaded(t, "test", b.String())
}

// askFrom gives the last octets of the addresses that a client is answered with.
func askFrom(t testing.TB, r *Reader, client string) (got []int) {
	t.Helper()
	from := netip.AddrPortFrom(netip.MustParseAddr(client), 53)
	data := append(make([]byte, 0, 512), plainOrderQuestion...)
	var q wire.Query
	q.Parse(data)
	r.From(&from)
	r.Enter()
	defer r.Leave()
	reply, o := r.Answer(&q, data, wire.MaxMessage, -1)
	if o != Hit {
		t.Fatalf("w.test was a %s", o)
	}
	for rest := reply[len(plainOrderQuestion):]; len(rest) > 0; rest = rest[16:] { // pointer, head, address
		got = append(got, int(rest[14])<<8|int(rest[15]))
	}
	if len(got) != int(binary.BigEndian.Uint16(reply[6:])) {
		t.Fatalf("%d addresses, the header says otherwise: %x", len(got), reply)
	}
	return got
}

var plainOrderQuestion = wire.AppendQuery(nil, 1, 0, wire.MustName("w.test"), wire.TypeA, wire.ClassIN, nil)

func client(i int) string { return fmt.Sprintf("192.%d.%d.%d", 1+i>>16, i>>8&255, i&255) }

// fits tells by Pearson's test whether counts are as expected: above the mean by twelve
// standard deviations of the distribution chance would give is not.
func fitsShares(t *testing.T, what string, counts []int, shares []float64) {
	t.Helper()
	total, sum := 0, 0.0
	for i := range counts {
		total += counts[i]
		sum += shares[i]
	}
	chi := 0.0
	for i, n := range counts {
		want := float64(total) * shares[i] / sum
		chi += (float64(n) - want) * (float64(n) - want) / want
	}
	free := float64(len(counts) - 1)
	if chi > free+12*math.Sqrt(2*free) {
		t.Errorf("%s: %v of %d, want shares as %v: chi-squared %.1f of %.0f", what, counts, total, shares, chi, free)
	}
}

func TestOrders(t *testing.T) {
	const n = 5
	equal := []float64{1, 1, 1, 1, 1}
	for _, row := range []struct {
		said   string
		shares []float64 // of being first; nil: it is always the same one
		second []float64 // of being second; nil: not looked at
		oneAsk bool      // one client asks all
	}{
		{"", equal, equal, true},
		{"rotate", equal, equal, true},
		{"shuffle", equal, equal, true},
		{"weighted", equal, equal, true},
		{"weighted 10.0.0.1=5 10.0.0.2=3 10.0.0.5=0 10.7.7.7=9", []float64{5, 3, 1, 1}, nil, true},
		{"10.0.0.1=10 10.0.0.2=10 10.0.0.3=20 10.0.0.4=40 10.0.0.5=20", []float64{10, 10, 20, 40, 20}, nil, true},
		{"source-hash", equal, equal, false},
		{"source-hash 10.0.0.3=6", []float64{1, 1, 6, 1, 1}, nil, false},
		{"sticky", equal, equal, false},
		{"sticky 10.0.0.3=6", []float64{1, 1, 6, 1, 1}, nil, false},
		{"source-hash", nil, nil, true},
		{"sticky", nil, nil, true},
		{"fixed", nil, nil, true},
	} {
		table := orderTable(t, n, row.said)
		r := table.NewReader()
		first, second := make([]int, n), make([]int, n)
		for i := range 6000 {
			from := client(0)
			if !row.oneAsk {
				from = client(i)
			}
			got := askFrom(t, r, from)
			if sorted := slices.Sorted(slices.Values(got)); len(slices.Compact(sorted)) != n || len(got) != n {
				t.Fatalf("%s: %v, not all %d", row.said, got, n)
			}
			first[got[0]-1]++
			second[got[1]-1]++
		}
		r.Close()
		if row.shares == nil {
			if slices.Max(first) != 6000 {
				t.Errorf("%s: one asker had %v first", row.said, first)
			}
			continue
		}
		if len(row.shares) < n && first[n-1] != 0 {
			t.Errorf("%s: weight 0 was first %d times", row.said, first[n-1])
		}
		fitsShares(t, row.said+", first", first[:len(row.shares)], row.shares)
		if row.second != nil {
			fitsShares(t, row.said+", second", second, row.second)
		}
	}
}

// An answer has no more addresses than wanted, and over many all of them.
func TestMostAnswers(t *testing.T) {
	for _, row := range []struct {
		said        string
		n, most     int
		differ, all bool // from answer to answer; in the end all are seen
	}{
		{"max=2", 7, 2, true, true},
		{"rotate max=3", 7, 3, true, true},
		{"shuffle max=3", 7, 3, true, true},
		{"shuffle max=8", 1500, 8, true, false},
		{"weighted max=1 10.0.0.1=3", 7, 1, true, true},
		{"source-hash max=3", 7, 3, false, false},
		{"sticky max=3", 7, 3, false, false},
		{"fixed max=3", 7, 3, false, false},
		{"fixed max=9", 7, 7, false, true},
		{"rotate max=4", maxSorted + 100, 4, true, false},
		{"shuffle max=4", maxSorted + 100, 4, true, false},
	} {
		table := orderTable(t, row.n, row.said)
		r := table.NewReader()
		seen, kinds := map[int]bool{}, map[string]bool{}
		for range 200 {
			got := askFrom(t, r, client(7))
			if len(got) != row.most || len(slices.Compact(slices.Sorted(slices.Values(got)))) != row.most {
				t.Fatalf("%s of %d: %v", row.said, row.n, got)
			}
			kinds[fmt.Sprint(got)] = true
			for _, a := range got {
				seen[a] = true
			}
		}
		r.Close()
		if (len(kinds) > 1) != row.differ || row.all != (len(seen) == row.n) {
			t.Errorf("%s of %d: %d different answers with %d addresses", row.said, row.n, len(kinds), len(seen))
		}
	}
}

// The few that are taken of many are those that sorting all would give.
func TestLowest(t *testing.T) {
	s := &sorter{}
	for _, count := range []int{1, 2, 17, 100, maxSorted} {
		for _, n := range []int{1, 2, 8, count / 5, count} {
			n = max(1, min(n, count))
			for i := range count {
				s.keys[i] = scatter(uint64(i*n))&^(maxSorted-1) | uint64(i)
			}
			want := slices.Sorted(slices.Values(s.keys[:count]))
			s.lowest(count, n)
			if !slices.Equal(s.keys[:n], want[:n]) {
				t.Errorf("%d of %d: %v, want %v", n, count, s.keys[:n], want[:n])
			}
			if got := slices.Sorted(slices.Values(s.keys[:count])); !slices.Equal(got, want) {
				t.Errorf("%d of %d: some were lost", n, count)
			}
		}
	}
}

// setAddresses makes w's addresses these.
func setAddresses(t *testing.T, table *Table, last ...byte) {
	t.Helper()
	rec := &Record{Name: wire.MustName("w.test"), Type: wire.TypeA, TTL: 60, Source: 0}
	for _, b := range last {
		rec.Data = append(rec.Data, []byte{10, 0, 0, b})
	}
	put(t, table, rec)
}

// Where an address comes or goes, source-hash sends only those elsewhere who must go, and
// sticky only those whose address is gone. Both begin alike at all servers.
func TestOrderConsistent(t *testing.T) {
	const askers = 4000
	firsts := func(r *Reader) (all []int) {
		for i := range askers {
			all = append(all, askFrom(t, r, client(i))[0])
		}
		return all
	}
	moved := func(a, b []int) (n int) {
		for i := range a {
			if a[i] != b[i] {
				n++
			}
		}
		return n
	}
	near := func(what string, got, want int) {
		t.Helper()
		if d := 6 * math.Sqrt(float64(max(want, 1))); math.Abs(float64(got-want)) > d {
			t.Errorf("%s: %d moved, want near %d", what, got, want)
		}
	}
	var begin []int
	for _, said := range []string{"source-hash", "sticky"} {
		table := orderTable(t, 4, said)
		r, other := table.NewReader(), table.NewReader()
		four := firsts(r)
		if begin == nil {
			begin = four
		}
		if n := moved(begin, four); n != 0 {
			t.Errorf("%s begins otherwise for %d", said, n)
		}
		setAddresses(t, table, 1, 2, 3, 4, 5)
		five := firsts(other) // another worker
		setAddresses(t, table, 1, 2, 3, 5)
		less := firsts(r)
		for i := range five {
			if five[i] != 4 && less[i] != five[i] {
				t.Fatalf("%s: %s went from %d to %d as 4 was gone", said, client(i), five[i], less[i])
			}
		}
		setAddresses(t, table, 1, 2, 3, 4, 5)
		again := firsts(other)
		if said == "sticky" {
			near("sticky: one more", moved(four, five), 0)
			near("sticky: one back", moved(less, again), 0)
		} else {
			near("source-hash: one more", moved(four, five), askers/5)
			near("source-hash: one back", moved(five, again), 0)
		}
		r.Close()
		other.Close()
	}
}

// One asker is the same by IPv4 and by the IPv6 form of it; IPv6 addresses are askers of
// their own.
func TestOrderFamilies(t *testing.T) {
	table := orderTable(t, 8, "source-hash")
	r := table.NewReader()
	defer r.Close()
	if a, b := askFrom(t, r, "192.0.2.1"), askFrom(t, r, "::ffff:192.0.2.1"); !slices.Equal(a, b) {
		t.Errorf("mapped: %v and %v", a, b)
	}
	counts := make([]int, 8)
	for i := range 4000 {
		counts[askFrom(t, r, fmt.Sprintf("2001:db8::%x:%x", i>>8, i))[0]-1]++
	}
	fitsShares(t, "IPv6", counts, []float64{1, 1, 1, 1, 1, 1, 1, 1})
}

// The zone's order is for names that say nothing, the name's before it; types that are no
// addresses are whole in any case.
func TestZoneOrder(t *testing.T) {
	table := loaded(t, "test", `$TTL 60
@ SOA ns h 1 2 3 4 60
@ NS ns
ns A 10.9.9.9
w A 10.0.0.1
w A 10.0.0.2
w A 10.0.0.3
x A 10.0.0.1
x A 10.0.0.2
x A 10.0.0.3
x ORDER rotate max=all
x AAAA 2001:db8::1
x AAAA 2001:db8::2
m MX 1 a
m MX 2 b
m MX 3 c
*.wild A 10.0.0.1
*.wild A 10.0.0.2
*.wild ORDER max=1
`)
	err := table.Update(func(tx *Tx) error { return tx.SetOrder(wire.MustName("test"), Fixed, 2) })
	if err != nil {
		t.Fatal(err)
	}
	r := table.NewReader()
	defer r.Close()
	kinds := func(name string, typ uint16) (all []string) {
		for range 12 {
			m := new(dns.Msg)
			m.SetQuestion(name, typ)
			line := ""
			for _, rr := range askReader(t, r, m, 4096).Answer {
				line += " " + strings.Join(strings.Fields(rr.String())[4:], "/")
			}
			if !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
		slices.Sort(all)
		return all
	}
	for _, row := range []struct {
		name string
		typ  uint16
		want []string
	}{
		{"w.test.", dns.TypeA, []string{" 10.0.0.1 10.0.0.2"}},
		{"x.test.", dns.TypeA, []string{" 10.0.0.1 10.0.0.2 10.0.0.3", " 10.0.0.2 10.0.0.3 10.0.0.1", " 10.0.0.3 10.0.0.1 10.0.0.2"}},
		{"x.test.", dns.TypeAAAA, []string{" 2001:db8::1 2001:db8::2", " 2001:db8::2 2001:db8::1"}},
		{"m.test.", dns.TypeMX, []string{" 1/a.test. 2/b.test. 3/c.test."}},
		{"y.wild.test.", dns.TypeA, []string{" 10.0.0.1"}},
		{"x.test.", TypeOrder, []string{" rotate/max=all"}},
	} {
		if got := kinds(row.name, row.typ); !slices.Equal(got, row.want) {
			t.Errorf("%s %s: %q, want %q", row.name, dns.Type(row.typ), got, row.want)
		}
	}
	if got := kinds("x.test.", dns.TypeANY); len(got) != 3 {
		t.Errorf("ANY: %q, want the addresses", got)
	}
	if err := table.Update(func(tx *Tx) error { return tx.SetOrder(wire.MustName("elsewhere"), Fixed, 2) }); !errors.Is(err, ErrZone) {
		t.Errorf("the order of no zone: %v", err)
	}
}

// What is signed is signed whole.
func TestOrderSigned(t *testing.T) {
	table := loaded(t, "test", chained(false, 1, "w"))
	put(t, table, &Record{Name: wire.MustName("w.test"), Type: wire.TypeA, TTL: 60, Source: 9, Data: [][]byte{{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 3}}})
	err := table.Update(func(tx *Tx) error { return tx.SetOrder(wire.MustName("test"), Shuffle, 1) })
	if err != nil {
		t.Fatal(err)
	}
	r := table.NewReader()
	defer r.Close()
	if got := askFrom(t, r, client(0)); len(got) < 3 {
		t.Errorf("%v of a signed zone", got)
	}
}

// Two owners' weights add up, as their addresses do.
func TestOrderOwners(t *testing.T) {
	table := orderTable(t, 2, "weighted 10.0.0.1=4")
	o, err := ParseOrdering("weighted 10.0.0.3=4")
	if err != nil {
		t.Fatal(err)
	}
	name := wire.MustName("w.test")
	put(t, table, &Record{Name: name, Type: wire.TypeA, TTL: 60, Source: 9, Data: [][]byte{{10, 0, 0, 3}}},
		&Record{Name: name, Type: TypeOrder, Source: 9, Data: [][]byte{o.Append(nil)}})
	r := table.NewReader()
	defer r.Close()
	counts := make([]int, 3)
	for range 6000 {
		counts[askFrom(t, r, client(0))[0]-1]++
	}
	fitsShares(t, "two owners", counts, []float64{4, 1, 4})
}

func TestParseOrdering(t *testing.T) {
	for text, want := range map[string]string{
		"rotate": "", "Shuffle max=3": "shuffle max=3", "max=all": "", "sticky max=1": "",
		"10.0.0.1=2": "weighted 10.0.0.1=2",
		"weighted 2001:db8::1=1 10.0.0.2=65535 10.0.0.1=0": "weighted 10.0.0.1=0 10.0.0.2=65535 2001:db8::1=1",
		"": "!", "max=0": "!", "max=65535": "!", "max=x": "!", "any": "!", "rotate shuffle": "!", "10.0.0.1=65536": "!", "10.0.0.1=-1": "!",
		"weighted 10.0.0.1=1 10.0.0.1=2": "!", "host=1": "!", "unsaid": "!", "weighted ::ffff:1.2.3.4=1": "!", "max=1 max=2": "!",
	} {
		o, err := ParseOrdering(text)
		if want == "!" {
			if !errors.Is(err, ErrOrder) {
				t.Errorf("%q: %v, %v", text, o, err)
			}
			continue
		}
		if want == "" {
			want = text
		}
		if err != nil || o.String() != want {
			t.Errorf("%q: %q, %v, want %q", text, o, err, want)
		}
		back, n, err := readOrdering(append(o.Append(nil), 1, 2, 3))
		if err != nil || back.String() != want || n != len(o.Append(nil)) {
			t.Errorf("%q: read back %q, %d octets, %v", text, back, n, err)
		}
	}
}

// A master file's line that is no order is named.
func TestOrderInFile(t *testing.T) {
	table := newTable(t)
	defer table.Close()
	addZone(t, table, "test")
	_, err := table.Load(wire.MustName("test"), strings.NewReader("$TTL 60\n@ SOA ns h 1 2 3 4 60\nw A 10.0.0.1\nw ORDER best\n"), "f.zone", 0)
	if !errors.Is(err, ErrMaster) || !errors.Is(err, ErrOrder) || !strings.HasPrefix(err.Error(), "f.zone:4: ") {
		t.Errorf("%v", err)
	}
}

func FuzzOrdering(f *testing.F) {
	f.Add([]byte{3, 0, 2, 0, 1, 4, 10, 0, 0, 1, 0, 9})
	f.Add([]byte{0, 0, 2, 0, 0})
	f.Add([]byte("weighted max=2 10.0.0.1=3 2001:db8::1=0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, n, err := readOrdering(b); err == nil {
			if back := o.Append(nil); string(back) != string(b[:n]) {
				t.Fatalf("%x was written back as %x", b[:n], back)
			}
			if text, err := ParseOrdering(o.String()); err != nil || text.String() != o.String() {
				t.Fatalf("%q was read back as %q: %v", o, text, err)
			}
		}
		if o, err := ParseOrdering(string(b)); err == nil {
			if d := o.Append(nil); orderingLen(d) != len(d) {
				t.Fatalf("%q: its data %x are none", o, d)
			}
		}
	})
}

// BenchmarkOrders answers with ten addresses in each order.
func BenchmarkOrders(b *testing.B) {
	for _, said := range []string{"", "rotate", "shuffle", "weighted 10.0.0.1=5", "source-hash", "sticky", "fixed", "shuffle max=2"} {
		b.Run(strings.ReplaceAll("order="+said, " ", ","), func(b *testing.B) {
			r := orderTable(b, 10, said).NewReader()
			defer r.Close()
			b.ReportAllocs()
			asked, data := orderQuestion(), make([]byte, 0, 1232)
			from := netip.MustParseAddrPort("192.0.2.1:53")
			var q wire.Query
			for b.Loop() {
				answerOrdered(r, &q, append(data, asked...), &from)
			}
		})
	}
}

func orderQuestion() []byte {
	return wire.AppendQuery(nil, 1, 0, wire.MustName("w.test"), wire.TypeA, wire.ClassIN, &wire.EDNS{UDPSize: 1232})
}

func answerOrdered(r *Reader, q *wire.Query, data []byte, from *netip.AddrPort) {
	q.Parse(data)
	r.From(from)
	r.Enter()
	r.Answer(q, data, 1232, -1)
	r.Leave()
}

// No order costs memory.
func TestOrdersAllocate(t *testing.T) {
	asked, data := orderQuestion(), make([]byte, 0, 1232)
	from := netip.MustParseAddrPort("192.0.2.1:53")
	var q wire.Query
	for _, said := range []string{"rotate", "shuffle", "weighted 10.0.0.1=5", "source-hash", "sticky", "fixed"} {
		r := orderTable(t, 40, said).NewReader()
		if n := testing.AllocsPerRun(100, func() { answerOrdered(r, &q, append(data, asked...), &from) }); n != 0 {
			t.Errorf("%s: %v allocations", said, n)
		}
		r.Close()
	}
}
