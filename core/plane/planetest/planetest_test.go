package planetest

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestQueue holds the plane in memory to what it helps to check.
func TestQueue(t *testing.T) {
	for _, c := range []struct {
		name   string
		open   func() *Queue
		stream bool
		room   int
	}{
		{"datagrams", NewQueue, false, Room},
		{"stream", NewStreamQueue, true, 65535},
	} {
		t.Run(c.name, func(t *testing.T) {
			Run(t, func(t *testing.T) Subject {
				q, next := c.open(), uint16(1000)
				return Subject{Queue: q, Stream: c.stream, Room: c.room, Allocates: true, Dial: func(*testing.T) Asker {
					next++
					return q.Client(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), next))
				}}
			})
		})
	}
}

// TestFull checks that what nobody receives is dropped, not kept for ever.
func TestFull(t *testing.T) {
	_, c := Pair()
	for range depth {
		if err := c.Ask([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ask([]byte{1}); err != ErrFull {
		t.Fatalf("query %d: %v, want ErrFull", depth+1, err)
	}
	if err := c.Ask(make([]byte, Room+1)); err != nil {
		t.Fatalf("too large a query: %v, want it dropped", err)
	}
}
