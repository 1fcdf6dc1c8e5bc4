package planetest

import (
	"math"
	"testing"

	"github.com/strata-dns/strata/core/plane"
)

// noAllocations measures Receive, Answer and Send, and Deliver.
func noAllocations(t *testing.T, s Subject) {
	if s.Allocates {
		return
	}
	c := s.dial(t)
	batch := make([]plane.Packet, 8)
	q := query(1, 40)
	asked := 0
	fewest(t, "Receive, Answer and Send", func() { // so that only the queue is measured
		for ; asked > 0; asked-- {
			want(t, c, flip(q))
		}
		for ; asked <= measured; asked++ {
			ask(t, c, q)
		}
	}, func() {
		n, err := s.Queue.Receive(batch[:1])
		if err != nil {
			t.Fatalf("Receive: %v", err)
		}
		handle(invert).Answer(batch[:n], s.Queue)
		if err := s.Queue.Send(batch[:n]); err != nil {
			t.Fatalf("Send: %v", err)
		}
	})
	reply := query(2, 40)
	fewest(t, "Deliver", func() {}, func() { s.Queue.Deliver(batch[0].Return, reply) })
}

// measured is how many turns are measured at once. Replies to this many fit the client's
// buffer.
const measured = 50

// fewest wants no allocations. They are counted of the whole process, and what a test
// before this one left may still be ending: so the least of a few rounds counts.
func fewest(t *testing.T, what string, before, turn func()) {
	t.Helper()
	least := math.Inf(1)
	for range 5 {
		before()
		if least = min(least, testing.AllocsPerRun(measured, turn)); least == 0 {
			return
		}
	}
	t.Errorf("%v allocations for %s, want 0", least, what)
}
