package socket

import "time"

// A gather decides when a short wait pays. Each receive of an almost empty
// socket costs a wake-up of the thread, by far more than a datagram does; when
// many are known to come, sleeping a moment and taking them together is cheaper
// for us, and for senders that no longer have to wake us. A lone query never
// waits: only a rate seen over the last millisecond turns it on, and a wait that
// brought next to nothing (clients that wait for us before they ask again) turns
// it off for a while.
type gather struct {
	limit time.Duration // longest wait; 0: never
	wait  time.Duration // the wait in force
	small bool          // the last batch was not worth it yet
	slept bool          // a wait came before the receive now under way
	pause int           // windows without waits to come
	often bool          // the last window had enough datagrams

	since time.Duration // start of the window
	seen  int           // datagrams in it
}

const (
	window      = time.Millisecond
	gatherMin   = 20 // datagrams in a window, from which on it pays
	gatherFor   = 32 // datagrams worth waiting for
	gatherWorth = 4  // datagrams a wait must bring
	gatherPause = 50 // windows to leave it when it did not
	gatherRest  = 45 * time.Microsecond
)

// started is what the clock of the hot path counts from: reading the monotonic
// clock alone is half the price of time.Now.
var started = time.Now()

// nap waits when it pays, and tells whether it did. What other has ends it: those who
// wait for that have waited before.
func (g *gather) nap(other int) bool {
	if g.wait == 0 || !g.small {
		return false
	}
	g.small, g.slept = false, true
	nap(g.wait.Nanoseconds(), other)
	return true
}

// rest is for who was woken while replies are awaited, and tells whether it took a moment.
// What wakes a worker that is quicker than who asks and who replies is the first of
// several datagrams; without the moment it would go back to sleep, and be woken, for
// nearly each of them, and hand on so few at a time that the others, too, are woken often.
func (g *gather) rest() bool {
	if !g.often || g.limit == 0 {
		return false
	}
	nap(min(g.limit, gatherRest).Nanoseconds(), -1)
	return true
}

// took notes n datagrams received.
func (g *gather) took(n int) {
	if g.limit == 0 {
		return
	}
	g.note(n, time.Since(started))
}

func (g *gather) note(n int, now time.Duration) {
	if g.slept && n < gatherWorth {
		g.wait, g.pause = 0, gatherPause
	}
	g.small, g.slept = n < gatherFor, false
	g.seen += n
	elapsed := now - g.since
	if elapsed < window {
		return
	}
	g.wait = 0
	g.often = time.Duration(g.seen)*window >= gatherMin*elapsed
	if g.pause > 0 {
		g.pause--
	} else if g.often {
		g.wait = min(g.limit, gatherFor*elapsed/time.Duration(g.seen))
	}
	g.since, g.seen = now, 0
}

// idle notes that there was nothing: the load has ended, the next query is alone.
func (g *gather) idle() { g.wait, g.slept = 0, false }
