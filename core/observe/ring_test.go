package observe

import (
	"bytes"
	"net/netip"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func drawEvent(t *rapid.T) Event {
	octets := func(what string, most int) []byte { return rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, what) }
	addr := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
	if rapid.Bool().Draw(t, "IPv4") {
		addr = netip.AddrFrom4([4]byte(octetsOf(addr)[:4]))
	}
	return Event{
		Time: rapid.Int64().Draw(t, "time"), Took: rapid.Int64().Draw(t, "took"),
		Client: netip.AddrPortFrom(addr, rapid.Uint16().Draw(t, "port")), Tap: rapid.Uint16().Draw(t, "tap"),
		Source: rapid.Uint16().Draw(t, "source"), Type: rapid.Uint16().Draw(t, "type"), Flags: rapid.Uint16().Draw(t, "flags"),
		Rcode: rapid.Byte().Draw(t, "rcode"), Size: rapid.Uint32().Draw(t, "size"),
		DO: rapid.Bool().Draw(t, "DO"), Stream: rapid.Bool().Draw(t, "stream"), Late: rapid.Bool().Draw(t, "late"),
		Name: octets("name", 255), Query: octets("query", 300), Reply: octets("reply", 600),
	}
}

func octetsOf(a netip.Addr) []byte { return a.AsSlice() }

// What comes out of a ring is what went in, in order, but for what found no room,
// which is counted.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wake := make(chan struct{}, 1)
		r := newRing(4096, wake)
		var in []Event // that had room and were not read yet
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "read") > 0 {
				e := drawEvent(t)
				before := r.dropped.Load()
				r.put(&e)
				if r.dropped.Load() == before {
					in = append(in, e)
				} else if len(in) == 0 {
					t.Fatal("no room in an empty ring")
				}
				continue
			}
			r.show()
			r.drain(func(e *Event) bool {
				if len(in) == 0 {
					t.Fatal("more came out than went in")
				}
				equal(t, e, &in[0])
				in = in[1:]
				return true
			})
			if len(in) > 0 {
				t.Fatalf("%d did not come out", len(in))
			}
		}
	})
}

func equal(t *rapid.T, got, want *Event) {
	a, b := *got, *want
	if !bytes.Equal(a.Name, b.Name) || !bytes.Equal(a.Query, b.Query) || !bytes.Equal(a.Reply, b.Reply) {
		t.Fatalf("got %+v, want %+v", a, b)
	}
	a.Name, a.Query, a.Reply, b.Name, b.Query, b.Reply = nil, nil, nil, nil, nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("got %+v, want %+v", a, b)
	}
}

// A writer and a reader at once: nothing is lost without being counted, nothing is
// torn.
func TestRingOfTwo(t *testing.T) {
	wake := make(chan struct{}, 1)
	r := newRing(8192, wake)
	const n = 50_000
	var both sync.WaitGroup
	var read uint64
	last := int64(-1)
	see := func(e *Event) bool {
		if e.Time <= last || e.Took != e.Time*3 || len(e.Name) != int(e.Time%200) {
			t.Errorf("after %d: %+v", last, e)
		}
		last = e.Time
		read++
		return true
	}
	done := make(chan struct{})
	both.Go(func() {
		defer close(done)
		name := make([]byte, 256)
		for i := range int64(n) {
			r.put(&Event{Time: i, Took: i * 3, Client: netip.MustParseAddrPort("[::1]:5"), Name: name[:i%200]})
			if i%8 == 0 {
				r.show()
			}
		}
		r.show()
	})
	both.Go(func() {
		for over := false; !over; {
			select {
			case <-wake:
			case <-done:
				over = true
			}
			r.drain(see)
		}
	})
	both.Wait()
	if read+r.dropped.Load() != n || read == 0 {
		t.Errorf("%d read and %d dropped of %d", read, r.dropped.Load(), n)
	}
}
