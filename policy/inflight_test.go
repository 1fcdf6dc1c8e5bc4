package policy

import (
	"net/netip"
	"sync"
	"testing"
)

func inFlight(t testing.TB, c Rate) *InFlight {
	t.Helper()
	f, err := NewInFlight(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// fill takes all that a client gets, at most n.
func fill(f *InFlight, client netip.Addr, n int) (got []Place) {
	for range n {
		p, ok := f.Take(client)
		if !ok {
			break
		}
		got = append(got, p)
	}
	return got
}

func TestInFlight(t *testing.T) {
	f := inFlight(t, Rate{InFlight: 10, IPv6: 56, Exempt: []string{"127.0.0.0/8"}})
	a := fill(f, clientNo(1), 20)
	if len(a) != 10 {
		t.Errorf("%d wait", len(a))
	}
	if b := fill(f, clientNo(2), 20); len(b) != 10 {
		t.Errorf("%d of another client", len(b))
	}
	for _, c := range []struct {
		client string
		want   int
	}{
		{"2001:db8:0:1::1", 10}, {"2001:db8:0:2::1", 0}, {"2001:db8:0:100::1", 10},
		{"::ffff:10.0.0.1", 0}, {"127.0.0.1", 20},
	} {
		if got := fill(f, netip.MustParseAddr(c.client), 20); len(got) != c.want {
			t.Errorf("%s: %d, want %d", c.client, len(got), c.want)
		}
	}
	for _, p := range a[:3] {
		f.Leave(p)
	}
	if again := fill(f, clientNo(1), 20); len(again) != 3 {
		t.Errorf("%d after three left", len(again))
	}
	if n := f.Refused(); n != 7 {
		t.Errorf("%d refused, want one a client, but for the exempt, and one more", n)
	}
	var off *InFlight = inFlight(t, Rate{PerSecond: 1})
	if _, ok := off.Take(clientNo(1)); off != nil || !ok || off.Refused() != 0 {
		t.Error("a limit that is off limits")
	}
	if _, err := NewInFlight(Rate{InFlight: -1}); err == nil {
		t.Error("-1 is a limit")
	}
}

// Whatever number of clients takes all it can get, there is room for one who asks for
// little, and all of it is free again when they have left.
func TestInFlightFair(t *testing.T) {
	for _, greedy := range []int{1, 100, 1000, 10_000} {
		f := inFlight(t, Rate{InFlight: 1000})
		var held []Place
		for i := range greedy {
			held = append(held, fill(f, clientNo(1+i), 1000)...)
		}
		for range 3 { // those who came first let some go, and try again with all others
			keep := held[:0]
			for i, p := range held {
				if i%3 == 0 {
					f.Leave(p)
				} else {
					keep = append(keep, p)
				}
			}
			held = keep
			for i := range greedy {
				held = append(held, fill(f, clientNo(1+i), 1000)...)
			}
		}
		// One in fifty shares both its counts with one of ten thousand others: the hashes'
		// seeds are drawn, so that now and then one in a handful would.
		const modestOnes = 50
		var modest []Place
		served := 0
		for i := range modestOnes {
			places := fill(f, clientNo(greedy+1+i), 5)
			if modest = append(modest, places...); len(places) >= 4 {
				served++
			}
		}
		t.Logf("%d greedy clients have %d waiting; of %d modest ones %d get what they ask for", greedy, len(held), modestOnes, served)
		if served < modestOnes*3/4 {
			t.Errorf("beside %d greedy clients with %d waiting only %d modest ones of %d get what they ask for", greedy, len(held), served, modestOnes)
		}
		for _, p := range append(held, modest...) {
			f.Leave(p)
		}
		if n := f.waiting.Load(); n != 0 {
			t.Errorf("%d wait when all have left", n)
		}
		for i := range f.rows {
			for at := range f.rows[i] {
				if n := f.rows[i][at].Load(); n != 0 {
					t.Fatalf("row %d counts %d at %d when all have left", i, n, at)
				}
			}
		}
	}
}

// Who takes ahead gets it while the client has less than half of what it may have, and
// from then on what there is one by one, to the last.
func TestInFlightAhead(t *testing.T) {
	const most = 100
	f := inFlight(t, Rate{InFlight: most, Exempt: []string{"127.0.0.0/8"}})
	client := clientNo(1)
	var held []Place
	got := 0
	for {
		p, n := f.TakeSome(client, 17)
		if n == 0 {
			break
		}
		if want := 1; got+17 <= most/2 && n != 17 || got+17 > most/2 && n != want {
			t.Fatalf("%d behind %d", n, got)
		}
		for got += n; n > 0; n-- {
			held = append(held, p)
		}
	}
	if got != most {
		t.Errorf("%d of %d wait", got, most)
	}
	f.LeaveAll(held[0], 34)
	if again := fill(f, client, most); len(again) != 34 {
		t.Errorf("%d after 34 left", len(again))
	}
	f.LeaveAll(held[0], most)
	if n := f.waiting.Load(); n != 0 || f.least(held[0]) != 0 {
		t.Errorf("%d wait when all have left", n)
	}
	if p, n := f.TakeSome(netip.MustParseAddr("127.0.0.1"), 17); n != 17 || p != (Place{}) {
		t.Errorf("%d of an exempt client at %v", n, p)
	}
}

func TestInFlightRace(t *testing.T) {
	f := inFlight(t, Rate{InFlight: 50})
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 2000 {
				for _, p := range fill(f, clientNo((i+w)%3), 20) {
					f.Leave(p)
				}
				p, n := f.TakeSome(clientNo((i+w)%3), 5)
				f.LeaveAll(p, n)
			}
		})
	}
	all.Wait()
	if n := f.waiting.Load(); n != 0 {
		t.Errorf("%d wait", n)
	}
}

func BenchmarkInFlight(b *testing.B) {
	f := inFlight(b, Rate{InFlight: 1000})
	client := clientNo(1)
	b.ReportAllocs()
	for b.Loop() {
		p, _ := f.Take(client)
		f.Leave(p)
	}
}
