package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A network is the servers as probes find them, in a synctest bubble.
type network struct {
	mu      sync.Mutex
	dead    map[string]bool // "a1", or "a1 UDP", or "NAME"
	rtt     time.Duration
	asked   map[string][]time.Time // when each server was
	names   map[string]int
	streams map[string]int
	flying  int
	most    int
}

func newNetwork() *network {
	return &network{
		dead: map[string]bool{}, rtt: 2 * time.Millisecond,
		asked: map[string][]time.Time{}, names: map[string]int{}, streams: map[string]int{},
	}
}

func (n *network) kill(dead bool, what ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range what {
		n.dead[w] = dead
	}
}

func (n *network) probe(ctx context.Context, s Server, q Question) error {
	n.arrive(s, q)
	defer n.leave()
	over := " UDP"
	if q.Stream {
		over = " TCP"
	}
	select {
	case <-time.After(n.rtt):
	case <-ctx.Done():
		return ctx.Err()
	}
	n.mu.Lock()
	lost := n.dead[s.Address] || n.dead[s.Address+over] || n.dead[q.Name]
	n.mu.Unlock()
	if lost {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (n *network) arrive(s Server, q Question) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[s.Address] = append(n.asked[s.Address], time.Now())
	n.names[q.Name]++
	if q.Stream {
		n.streams[s.Address]++
	}
	n.flying++
	n.most = max(n.most, n.flying)
}

func (n *network) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flying--
}

var onePlan = Plan{Zones: []string{"probe.example.net"}, StreamEvery: 4}

// inBubble runs a checker while play plays, and wants it to end cleanly.
func inBubble(t *testing.T, cfg Config, plan Plan, parallel int, play func(*testing.T, *Fleet, *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fleet, err := New(cfg, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		n := newNetwork()
		checker, err := NewChecker(fleet, plan, n.probe, parallel)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- checker.Run(ctx) }()
		synctest.Wait()
		if !checker.Ready() {
			t.Error("runs and is not ready")
		}
		play(t, fleet, n)
		cancel()
		if err := <-done; err != nil || checker.Ready() {
			t.Errorf("ended with %v, ready %v", err, checker.Ready())
		}
	})
}

func everySecond() Config {
	cfg := twoSites()
	cfg.Pace.Interval = time.Second
	cfg.Jitter = nil
	return cfg
}

// until polls in the bubble's time.
func until(t *testing.T, within time.Duration, cond func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > within {
			t.Fatalf("not within %v", within)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// The promise of a one-second interval: whenever home is lost, in relation to
// its checks, and with checks alone, others serve within 1.45 s.
func TestLossIsNoticedInTime(t *testing.T) {
	var worst time.Duration
	for phase := range 20 {
		inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
			time.Sleep(10*time.Second + time.Duration(phase)*50*time.Millisecond)
			n.kill(true, "a1", "a2")
			worst = max(worst, until(t, 1450*time.Millisecond, func() bool { return f.Current().Mode == Swung }))
			if first := f.Current().Servers[0]; first.Address != "b1" || !first.Away {
				t.Errorf("first is %+v", first)
			}
		})
	}
	t.Logf("worst %v", worst)
}

func TestExchangesSpeedItUp(t *testing.T) {
	inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
		time.Sleep(10 * time.Second)
		n.kill(true, "a1", "a2")
		for _, a := range []string{"a1", "a2"} {
			f.Result(Result{Server: a, At: time.Now(), How: Passive, Err: errSilent})
		}
		until(t, 410*time.Millisecond, func() bool { return f.Current().Mode == Swung })
	})
}

// Resolvers that need a quarter of a second for what no cache holds, or a machine that
// is so busy, are given more time, yet others serve in time.
func TestLossOfSlowServers(t *testing.T) {
	for phase := range 20 {
		inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
			n.mu.Lock()
			n.rtt = 250 * time.Millisecond
			n.mu.Unlock()
			time.Sleep(2 * time.Minute) // who grows slow goes down, and is measured anew
			before := len(f.History())
			time.Sleep(time.Minute + time.Duration(phase)*50*time.Millisecond)
			if moves := f.History()[before:]; len(moves) > 0 || f.Current().Mode != Home {
				t.Fatalf("slow servers cause %v", moves)
			}
			lost := time.Now()
			n.kill(true, "a1", "a2")
			time.Sleep(400 * time.Millisecond) // in which clients notice
			for _, a := range []string{"a1", "a2"} {
				f.Hint(a, time.Now())
			}
			until(t, 1050*time.Millisecond, func() bool { return f.Current().Mode == Swung })
			if took := time.Since(lost); took > 1450*time.Millisecond {
				t.Errorf("%d ms behind a check, others serve after %s", phase*50, took)
			}
		})
	}
}

// With hints, how long a loss takes to notice does not go by the interval, but by
// the checks' own time; and a check in the air when servers fall silent is no hindrance.
func TestHintsSpeedItUp(t *testing.T) {
	cfg := everySecond()
	cfg.Pace.Interval, cfg.Pace.Timeout = 20*time.Second, 300*time.Millisecond
	for phase := range 21 {
		inBubble(t, cfg, onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
			time.Sleep(time.Minute + time.Duration(phase)*time.Second)
			n.kill(true, "a1", "a2")
			for _, a := range []string{"a1", "a2", "a9"} {
				f.Hint(a, time.Now())
			}
			// Two checks, half a second from the beginning of one to that of the other.
			until(t, 1100*time.Millisecond, func() bool { return f.Current().Mode == Swung })
		})
	}
}

func TestHomeComesBack(t *testing.T) {
	inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
		n.kill(true, "a1", "a2")
		until(t, 3*time.Second, func() bool { return f.Current().Mode == Swung })
		time.Sleep(5 * time.Second)
		n.kill(false, "a1", "a2")
		until(t, 3*time.Second, func() bool { return f.Current().Fit == 3 })
		left := until(t, 30*time.Second, func() bool { return f.Current().Mode == Home })
		if left < 20*time.Second {
			t.Errorf("home %v after its servers, the hold-down being 30 s", left)
		}
		n.kill(true, "a1", "a2", "b1")
		until(t, 3*time.Second, func() bool { return f.Current().Mode == AllDown })
		time.Sleep(time.Minute)
		n.kill(false, "b1")
		until(t, 8*time.Second, func() bool { return f.Current().Fit > 0 })
	})
}

func TestChecksAreSpread(t *testing.T) {
	inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
		time.Sleep(time.Minute)
		n.mu.Lock()
		defer n.mu.Unlock()
		gaps := map[time.Duration]bool{}
		for i, at := range n.asked["a1"][1:] {
			gap := at.Sub(n.asked["a1"][i])
			if gap < 900*time.Millisecond || gap > time.Second {
				t.Errorf("%v between two checks", gap)
			}
			gaps[gap] = true
		}
		if len(gaps) < 10 {
			t.Errorf("only %d different gaps: no jitter", len(gaps))
		}
		if got, all := n.streams["a1"], len(n.asked["a1"]); got != all/4 {
			t.Errorf("%d checks of %d over TCP, want a quarter", got, all)
		}
		for name, times := range n.names {
			if times > 1 || !strings.HasSuffix(name, ".probe.example.net") {
				t.Errorf("asked %s %d times", name, times)
			}
		}
	})
}

// A server that lost only one way in is found out, and stays out while it is so.
func TestOneTransportLost(t *testing.T) {
	expect := Plan{Expect: []Question{{Name: "dns.example.net", Type: "A", Data: "192.0.2.8"}}, StreamEvery: 4}
	for what, plan := range map[string]Plan{"zone": onePlan, "expect": expect} {
		for _, over := range []string{"UDP", "TCP"} {
			t.Run(what+" "+over, func(t *testing.T) { loseTransport(t, plan, over) })
		}
	}
}

func loseTransport(t *testing.T, plan Plan, over string) {
	inBubble(t, everySecond(), plan, 0, func(t *testing.T, f *Fleet, n *network) {
		time.Sleep(3 * time.Second)
		n.kill(true, "a1 "+over)
		last := func() Server { return f.Current().Servers[1] }
		until(t, 5*time.Second, func() bool { return last() == Server{"dc1", "a1", false, Down} })
		time.Sleep(time.Minute)
		if last().State != Down {
			t.Errorf("%s is dead, and the server is %v", over, last().State)
		}
		n.kill(false, "a1 "+over)
		until(t, 5*time.Second, func() bool { return f.Current().Fit == 2 })
	})
}

func TestOneDeadNameHurtsNobody(t *testing.T) {
	plan := Plan{Zones: []string{"probe.example.net"}, Expect: []Question{{Name: "dns.example.net", Type: "A", Data: "192.0.2.8"}}}
	inBubble(t, everySecond(), plan, 0, func(t *testing.T, f *Fleet, n *network) {
		n.kill(true, "dns.example.net")
		time.Sleep(time.Minute)
		if got := f.History(); len(got) != 0 {
			t.Errorf("one of two names is dead, and there were %v", got)
		}
	})
}

func TestChecksAreBounded(t *testing.T) {
	cfg := everySecond()
	for i := range 40 {
		cfg.Sites[0].Servers = append(cfg.Sites[0].Servers, fmt.Sprintf("c%d", i))
	}
	inBubble(t, cfg, Plan{Zones: []string{"probe.example.net"}}, 3, func(t *testing.T, f *Fleet, n *network) {
		n.mu.Lock()
		n.rtt = 20 * time.Millisecond
		n.mu.Unlock()
		time.Sleep(30 * time.Second)
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.most > 3 {
			t.Errorf("%d checks at a time, want at most 3", n.most)
		}
		for _, s := range cfg.Sites[0].Servers {
			if len(n.asked[s]) < 29 {
				t.Errorf("%s was checked %d times in 30 s", s, len(n.asked[s]))
			}
		}
	})
}

// A stop cuts checks short; that says nothing about their servers.
func TestStopIsNoFailure(t *testing.T) {
	var fleet *Fleet
	inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
		fleet = f
		n.kill(true, "a1", "a2", "b1")
		time.Sleep(500 * time.Millisecond) // first checks are in flight
	})
	if got := fleet.History(); len(got) != 0 {
		t.Errorf("stopping caused %v", got)
	}
}

func TestReconfigureIsFollowed(t *testing.T) {
	inBubble(t, everySecond(), onePlan, 0, func(t *testing.T, f *Fleet, n *network) {
		time.Sleep(10*time.Second + 300*time.Millisecond)
		cfg := everySecond()
		cfg.Sites[0].Servers = []string{"a2", "a9"}
		if err := f.Reconfigure(cfg, time.Now()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.asked["a9"]) != 1 {
			t.Errorf("the new server was checked %d times at once", len(n.asked["a9"]))
		}
	})
}

func TestVerdict(t *testing.T) {
	cacheable := fmt.Errorf("TTL 60: %w", ErrCacheable)
	wrong := fmt.Errorf("192.0.2.9: %w", ErrWrong)
	for _, c := range []struct {
		answers []error
		want    error
	}{
		{[]error{nil}, nil},
		{[]error{errSilent}, errSilent},
		{[]error{errSilent, nil}, nil},
		{[]error{nil, wrong}, wrong},
		{[]error{errSilent, wrong}, wrong},
		{[]error{cacheable, errSilent}, errSilent},
		{[]error{cacheable, nil}, nil},
		{[]error{cacheable, cacheable}, nil},
	} {
		if got := verdict(c.answers); !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%v: %v, want %v", c.answers, got, c.want)
		}
	}
}

func TestPlanCheck(t *testing.T) {
	for _, p := range []Plan{
		{},
		{Expect: []Question{{Type: "A", Data: "192.0.2.8"}}},
		{Expect: []Question{{Name: "dns.example.net"}}},
		{Zones: []string{"probe.example.net"}, StreamEvery: -1},
	} {
		if _, err := NewChecker(nil, p, nil, 0); err == nil {
			t.Errorf("%+v passed", p)
		}
	}
}

func TestFailureNamesServerAndQuestion(t *testing.T) {
	inBubble(t, everySecond(), Plan{Expect: []Question{{Name: "dns.example.net", Type: "A"}}}, 0, func(t *testing.T, f *Fleet, n *network) {
		n.kill(true, "a1")
		time.Sleep(10 * time.Second)
		st := f.Status().Sites[0].Servers[0]
		if want := "ask a1 for dns.example.net A over UDP: no answer within 1s"; st.LastError != want || st.State != Down {
			t.Errorf("%v, last error %q, want %q", st.State, st.LastError, want)
		}
	})
}
