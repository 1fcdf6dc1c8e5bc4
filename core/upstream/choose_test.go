package upstream

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func withRTT(rtt ...time.Duration) []*server {
	servers := make([]*server, len(rtt))
	for i, d := range rtt {
		servers[i] = &server{}
		if d != 0 {
			servers[i].measure(d)
		}
	}
	return servers
}

func TestChooseTheNearest(t *testing.T) {
	servers := withRTT(30*time.Millisecond, 2*time.Millisecond, 100*time.Millisecond)
	var asked marks
	for _, want := range []int{1, 0, 2, 1} { // in order of distance, then again
		got := choose(servers, asked, 0, 12345)
		if got != want {
			t.Fatalf("asked %b: chose %d, want %d", asked, got, want)
		}
		asked.add(got)
	}
	servers[1].fail(second)
	if got := choose(servers, 0, 0, 1); got != 0 {
		t.Fatalf("with the nearest down: %d", got)
	}
	if got := choose(servers, 0, 1|4, 1); got != 1 {
		t.Fatalf("with the others failed: %d", got)
	}
	if got := choose(servers, 0, 7, 1); got != -1 {
		t.Fatalf("all failed: %d", got)
	}
}

func TestEqualsShareTheWork(t *testing.T) {
	servers := withRTT(1000*time.Microsecond, 1100*time.Microsecond, 1200*time.Microsecond, 9*time.Millisecond)
	counts := make([]int, 4)
	var l lots
	for range 3000 {
		counts[choose(servers, 0, 0, l.uint32())]++
	}
	for i, n := range counts[:3] {
		if n < 800 || n > 1200 {
			t.Errorf("server %d: %d of 3000", i, n)
		}
	}
	if counts[3] != 0 {
		t.Errorf("the far one: %d", counts[3])
	}
}

// TestChooseInvariants: whatever is known, an untried server that is up comes
// before all others, a failed one never.
func TestChooseInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "servers")
		servers := make([]*server, n)
		for i := range servers {
			servers[i] = withRTT(time.Duration(rapid.IntRange(0, 2000).Draw(t, "rtt")) * time.Millisecond)[0]
			if rapid.Bool().Draw(t, "down") {
				servers[i].fail(second)
			}
		}
		mask := rapid.Uint64Range(0, 1<<n-1)
		asked, failed := marks(mask.Draw(t, "asked")), marks(mask.Draw(t, "failed"))
		got := choose(servers, asked, failed, rapid.Uint32().Draw(t, "lot"))
		class := func(i int) int { // the less the better
			switch {
			case failed.has(i):
				return 4
			case !asked.has(i) && !servers[i].down():
				return 0
			case !asked.has(i):
				return 1
			case !servers[i].down():
				return 2
			}
			return 3
		}
		best := 4
		for i := range servers {
			best = min(best, class(i))
		}
		if got < 0 {
			if best < 4 {
				t.Fatalf("chose nobody of class %d", best)
			}
			return
		}
		if class(got) != best {
			t.Fatalf("chose %d of class %d, there is class %d", got, class(got), best)
		}
		for i, s := range servers {
			near := s.smoothed() + s.smoothed()/4 + time.Millisecond
			if class(i) == best && near < servers[got].smoothed() {
				t.Fatalf("chose %s, there is %s", servers[got].smoothed(), s.smoothed())
			}
		}
	})
}

func TestPausesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := withRTT(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "rtt")))[0]
		sent := rapid.IntRange(1, maxAttempts).Draw(t, "sent")
		fresh := pause(s, sent, true)
		if fresh < hedgeLeast || fresh > hedgeMost {
			t.Fatalf("hedge after %s", fresh)
		}
		if again := pause(s, sent, false); again < resendLeast || again > resendMost {
			t.Fatalf("again after %s", again)
		}
		if h := s.hedge(); s.p95() > hedgeLeast && s.p95() < hedgeMost && h != s.p95() {
			t.Fatalf("p95 %s, hedge %s", s.p95(), h)
		}
	})
}

func TestSilenceBacksOff(t *testing.T) {
	h := &health{}
	h.measure(time.Millisecond)
	now := second
	h.ask(now)
	h.overdue(now + 10*second)
	if h.down() {
		t.Fatal("down for one lost packet")
	}
	h.ask(now)
	h.ask(now)
	h.overdue(now + int64(silentLeast) - 1)
	if h.down() {
		t.Fatal("down too early")
	}
	h.reply()
	h.overdue(now + 10*second)
	if h.down() {
		t.Fatal("down though it replied")
	}
	for range silentCount {
		h.ask(now)
	}
	now += int64(silentLeast)
	h.overdue(now)
	if !h.down() {
		t.Fatal("not down after silence")
	}
	if h.probe(now) {
		t.Fatal("probed at once")
	}
	var pauses []time.Duration
	for range 8 {
		at := h.downUntil.Load()
		if !h.probe(at) || h.probe(at) {
			t.Fatal("want one probe at the end of each back-off")
		}
		pauses = append(pauses, time.Duration(h.downUntil.Load()-at))
	}
	if !slices.IsSorted(pauses) || pauses[0] != 2*backoffLeast || pauses[7] != backoffMost {
		t.Fatalf("back-offs %v", pauses)
	}
	h.good()
	if h.down() || h.probe(now+100*second) {
		t.Fatal("still down")
	}
	h.fail(now)
	if got := h.downUntil.Load() - now; got != int64(backoffLeast) {
		t.Fatalf("the next back-off begins with %d", got)
	}
}

func TestFailuresBackOff(t *testing.T) {
	h := &health{}
	for range failureCount - 1 {
		h.bad(second)
	}
	h.good()
	for range failureCount - 1 {
		h.bad(second)
	}
	if h.down() {
		t.Fatal("down too early")
	}
	if h.bad(second); !h.down() {
		t.Fatal("not down")
	}
}

// TestExploreIsRare: whatever the load, a server that is not chosen is asked
// once in exploreAfter.
func TestExploreIsRare(t *testing.T) {
	servers := withRTT(time.Millisecond, 50*time.Millisecond)
	explored := 0
	for now := int64(1); now < 60*second; now += second / 100 {
		servers[0].ask(now)
		if i := extra(servers, 1, now); i == 1 {
			explored++
		}
	}
	if want := 60 / int(exploreAfter/time.Second); explored < want-1 || explored > want+1 {
		t.Fatalf("explored %d times in a minute", explored)
	}
}

// TestPercentile compares with the exact one.
func TestPercentile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q quantile
		times := rapid.SliceOfN(rapid.Int64Range(0, int64(4*time.Second)), 1, recentTimes-1).Draw(t, "times")
		for _, d := range times {
			q.add(time.Duration(d))
		}
		slices.Sort(times)
		for _, share := range []float64{0.5, 0.95} {
			exact := time.Duration(times[int(share*float64(len(times)))])
			got := q.at(share)
			if got < exact || got > exact+exact/4+quantileUnit {
				t.Fatalf("%v: %s, exactly %s", share, got, exact)
			}
		}
	})
}

func TestPercentileFollows(t *testing.T) {
	var q quantile
	if q.at(0.95) != 0 {
		t.Fatal("out of nothing")
	}
	for range 10 * recentTimes {
		q.add(100 * time.Millisecond)
	}
	for range 4 * recentTimes {
		q.add(time.Millisecond)
	}
	if got := q.at(0.95); got > 2*time.Millisecond {
		t.Fatalf("still %s", got)
	}
	for range recentTimes {
		q.add(time.Hour)
	}
	if got := q.at(0.95); got < 4*time.Second {
		t.Fatalf("beyond the last bucket: %s", got)
	}
}

func TestSmoothedFollows(t *testing.T) {
	h := &health{}
	h.measure(100 * time.Millisecond)
	if h.smoothed() != 100*time.Millisecond {
		t.Fatalf("first: %s", h.smoothed())
	}
	for range 50 {
		h.measure(10 * time.Millisecond)
	}
	if got := h.smoothed(); got < 10*time.Millisecond || got > 11*time.Millisecond {
		t.Fatalf("got %s", got)
	}
}
