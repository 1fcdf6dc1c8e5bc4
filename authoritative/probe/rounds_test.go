package probe

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

var (
	errRefused = errors.New("refused")
	webCheck   = Check{Kind: TCP, Port: 80}
	gateway    = Target{netip.MustParseAddr("192.0.2.1"), Check{Kind: ICMP}}
)

func testOptions() Options {
	return Options{Name: "me", Interval: 15 * time.Second, Timeout: 2 * time.Second, Tries: 3, Sockets: 1000, Brake: 0.5, Lease: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
}

// A simulation runs rounds against a world that is told what answers, and an etcd
// that takes all that is written. Time goes as fast as there is something to do.
type simulation struct {
	t       *testing.T
	r       *rounds
	now     time.Time
	world   func(Target) error
	flying  []flight
	etcd    map[netip.Addr]store.Health
	writes  []string
	most    int   // checks in flight at once
	tries   int   // checks made of wards
	current start // what the world is asked for
	rev     int64
}

type flight struct {
	s   start
	err error
	at  time.Time
}

func simulate(t *testing.T, opts Options, addrs []netip.Addr) *simulation {
	t.Helper()
	s := &simulation{t: t, r: newRounds(opts), now: time.Unix(1_700_000_000, 0), etcd: map[netip.Addr]store.Health{}, rev: 1}
	s.world = func(Target) error { return nil }
	s.assign(addrs, "me")
	return s
}

func (s *simulation) assign(addrs []netip.Addr, probers ...string) {
	needed := map[netip.Addr][]Check{}
	for _, addr := range addrs {
		needed[addr] = []Check{webCheck}
	}
	s.r.assign(s.now, needed, probers, true)
}

// put is another's write.
func (s *simulation) put(h store.Health) {
	s.rev++
	if h.Revision = s.rev; h.State == store.Unknown {
		h.Revision = 0
		delete(s.etcd, h.Address)
	} else {
		s.etcd[h.Address] = h
	}
	s.r.hear(h)
}

func (s *simulation) write() {
	for _, e := range s.r.edits(1000) {
		if e.Revision != s.etcd[e.Address].Revision {
			s.t.Errorf("an edit of %s is bound to revision %d, which is %d", e.Address, e.Revision, s.etcd[e.Address].Revision)
		}
		s.writes = append(s.writes, fmt.Sprintf("%s %s %s", e.Address, e.State, e.By))
		s.put(e.Health)
	}
}

// run goes on for a while.
func (s *simulation) run(d time.Duration) {
	end := s.now.Add(d)
	for {
		for _, st := range s.r.starts(s.now) {
			s.current = st
			err, took := s.world(st.Target), time.Millisecond
			if err != nil {
				took = s.r.opts.Timeout
			}
			if st.jury == 0 {
				s.tries++
			}
			s.flying = append(s.flying, flight{st, err, s.now.Add(took)})
		}
		s.most = max(s.most, len(s.flying))
		s.write()
		next := s.r.next()
		for _, f := range s.flying {
			if next.IsZero() || f.at.Before(next) {
				next = f.at
			}
		}
		if half := s.now.Add(s.r.opts.Interval / 2); next.IsZero() || next.After(half) {
			next = half
		}
		if next.After(end) {
			s.now = end
			return
		}
		if next.After(s.now) {
			s.now = next
		}
		s.land()
		s.write()
	}
}

func (s *simulation) land() {
	var still []flight
	for _, f := range s.flying {
		if f.at.After(s.now) {
			still = append(still, f)
		} else {
			s.r.result(s.now, f.s, f.err)
		}
	}
	s.flying = still
}

func (s *simulation) states() (up, down int) {
	for _, h := range s.etcd {
		if h.State == store.Down {
			down++
		} else {
			up++
		}
	}
	return up, down
}

func (s *simulation) expect(what string, up, down, writes int) {
	s.t.Helper()
	gotUp, gotDown := s.states()
	if gotUp != up || gotDown != down || len(s.writes) != writes {
		s.t.Errorf("%s: %d up, %d down, %d writes; want %d, %d, %d", what, gotUp, gotDown, len(s.writes), up, down, writes)
	}
	s.writes = nil
}

// gone makes a world in which these do not answer.
func gone(addrs ...netip.Addr) func(Target) error {
	dead := map[netip.Addr]bool{}
	for _, addr := range addrs {
		dead[addr] = true
	}
	return func(t Target) error {
		if dead[t.Address] {
			return errRefused
		}
		return nil
	}
}

// What changes is written, once, and within an interval and the tries.
func TestRounds(t *testing.T) {
	t.Parallel()
	addrs := someAddresses(200)
	opts := testOptions()
	s := simulate(t, opts, addrs)
	s.run(opts.Interval + time.Second)
	s.expect("all answer", 200, 0, 200)
	s.tries = 0
	s.run(20 * opts.Interval)
	s.expect("nothing changes", 200, 0, 0)
	if s.tries < 200*19 || s.tries > 200*22 {
		t.Errorf("%d tries in 20 intervals of 200 addresses", s.tries)
	}

	// Half an interval holds half of the addresses: they are spread.
	s.tries = 0
	s.run(opts.Interval / 2)
	if s.tries < 60 || s.tries > 140 {
		t.Errorf("%d of 200 in half an interval", s.tries)
	}

	began := s.now
	s.world = gone(addrs[:20]...)
	s.run(opts.Interval*21/20 + 3*opts.Timeout + 2*opts.Timeout) // the jury's patience
	s.expect("a tenth is gone", 180, 20, 20)
	for _, addr := range addrs[:20] {
		if h := s.etcd[addr]; h.By != "me" || h.Since.Before(began) || h.Since.After(began.Add(opts.Interval*21/20+opts.Timeout)) {
			t.Errorf("%+v, since %s of the beginning", h, h.Since.Sub(began))
		}
	}
	s.tries = 0
	s.run(10 * opts.Interval)
	s.expect("still gone", 180, 20, 0)
	if s.tries > 200*11 {
		t.Errorf("%d tries: what is down is tried once an interval", s.tries)
	}
	s.world = gone(addrs[1:20]...)
	s.run(opts.Interval * 21 / 20)
	s.expect("one is back", 181, 19, 1)
}

// One try that fails is not enough, nor is one of two checks that answers.
func TestTries(t *testing.T) {
	t.Parallel()
	addrs := someAddresses(10)
	opts := testOptions()
	s := simulate(t, opts, addrs)
	s.run(2 * opts.Interval)
	failed := map[netip.Addr]int{}
	s.world = func(t Target) error {
		if s.current.juror {
			return nil
		}
		if failed[t.Address]++; failed[t.Address]%3 != 0 {
			return errRefused
		}
		return nil
	}
	s.writes = nil
	s.run(10 * opts.Interval)
	s.expect("two of three tries fail", 10, 0, 0)

	s.world = func(t Target) error {
		if t.Check.Kind == UDP && t.Address == addrs[0] {
			return errRefused
		}
		return nil
	}
	needed := map[netip.Addr][]Check{}
	for _, addr := range addrs {
		needed[addr] = []Check{{Kind: UDP, Port: 53}, webCheck}
	}
	s.r.assign(s.now, needed, []string{"me"}, true)
	s.run(3 * opts.Interval)
	s.expect("one of two checks fails", 9, 1, 1)
}

// An address is down after exactly as many tries as were asked for.
func TestAsManyTries(t *testing.T) {
	t.Parallel()
	for tries := 1; tries <= 4; tries++ {
		for _, n := range []int{1, 10} { // alone there is no jury
			t.Run(fmt.Sprintf("%d of %d", tries, n), func(t *testing.T) {
				t.Parallel()
				addrs := someAddresses(n)
				opts := testOptions()
				opts.Tries = tries
				s := simulate(t, opts, addrs)
				s.run(2 * opts.Interval)
				s.expect("all answer", n, 0, n)
				failures, lost := 0, tries-1
				s.world = func(t Target) error {
					if t.Address == addrs[0] && !s.current.juror && failures < lost {
						failures++
						return errRefused
					}
					return nil
				}
				s.run(3 * opts.Interval)
				s.expect(fmt.Sprintf("%d tries fail, one does not", lost), n, 0, 0)
				failures, lost = 0, tries
				began := s.now
				for s.etcd[addrs[0]].State == store.Up && s.now.Before(began.Add(time.Hour)) {
					s.run(100 * time.Millisecond)
				}
				s.expect(fmt.Sprintf("%d tries fail", lost), n-1, 1, 1)
				if took := s.now.Sub(began); failures != tries || took > opts.Interval*21/20+time.Duration(tries)*opts.Timeout+time.Second {
					t.Errorf("down after %s and %d tries", took, failures)
				}
			})
		}
	}
}

// A single try of a prober that is cut off is no evidence, neither then nor later.
func TestBrakeOfOneTry(t *testing.T) {
	t.Parallel()
	addrs := someAddresses(3000) // more than one jury tries
	opts := testOptions()
	opts.Tries, opts.Sockets = 1, 10_000
	s := simulate(t, opts, addrs)
	s.run(2 * opts.Interval)
	s.expect("before", 3000, 0, 3000)
	s.world = func(Target) error { return errRefused }
	s.run(5 * opts.Interval)
	s.expect("cut off", 3000, 0, 0)
	if !s.r.brake.on {
		t.Error("no brake")
	}
	s.world = func(Target) error { return nil }
	s.run(5 * opts.Interval)
	s.expect("back", 3000, 0, 0)
	s.world = gone(addrs[:100]...)
	s.run(3 * opts.Interval)
	s.expect("some are gone", 2900, 100, 100)
}

// What could not be probed is no verdict.
func TestVerdictless(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	s := simulate(t, opts, someAddresses(10))
	s.world = func(Target) error { return fmt.Errorf("%w: too many open files", ErrLocal) }
	s.run(5 * opts.Interval)
	s.expect("no sockets", 0, 0, 0)
	if s.r.inFlight != len(s.flying) {
		t.Errorf("%d in flight", s.r.inFlight)
	}
}

// A prober that is cut off writes nothing and says so, until it is not.
func TestBrake(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4, 7, 31, 500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			addrs := someAddresses(n)
			opts := testOptions()
			s := simulate(t, opts, addrs)
			s.run(2 * opts.Interval)
			s.expect("before", n, 0, n)
			s.world = func(Target) error { return errRefused }
			s.run(20 * opts.Interval)
			s.expect("cut off", n, 0, 0)
			if !s.r.brake.on || s.r.brake.share < 0.99 || len(s.r.accused) != n {
				t.Errorf("%+v, %d accused", s.r.brake, len(s.r.accused))
			}
			s.world = func(Target) error { return nil }
			s.run(2 * opts.Interval)
			s.expect("back", n, 0, 0)
			if s.r.brake.on || len(s.r.accused) != 0 {
				t.Errorf("%+v, %d accused", s.r.brake, len(s.r.accused))
			}
			// Back, and some are really gone: a quarter, which the brake is not for.
			s.world = gone(addrs[:n/4]...)
			s.run(3 * opts.Interval)
			s.expect("a quarter is gone", n-n/4, n/4, n/4)
		})
	}
}

// Just started, and cut off from the first moment on.
func TestBrakeAtStart(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	s := simulate(t, opts, someAddresses(50))
	s.world = func(Target) error { return errRefused }
	s.run(10 * opts.Interval)
	s.expect("cut off", 0, 0, 0)
}

// A reference that answers says that it is they, not we.
func TestBrakeReference(t *testing.T) {
	t.Parallel()
	addrs := someAddresses(40)
	opts := testOptions()
	opts.Reference = []Target{{netip.MustParseAddr("192.0.2.2"), Check{Kind: ICMP}}, gateway}
	s := simulate(t, opts, addrs)
	s.run(2 * opts.Interval)
	s.expect("before", 40, 0, 40)
	s.world = func(Target) error { return errRefused }
	s.run(5 * opts.Interval)
	s.expect("cut off", 40, 0, 0)
	s.world = func(t Target) error {
		if t == gateway {
			return nil
		}
		return errRefused
	}
	s.run(opts.Interval)
	s.expect("the gateway answers", 0, 40, 40)
}

// Fewer than four may go at any time, and so may all where the brake is off.
func TestBrakeFew(t *testing.T) {
	t.Parallel()
	for n, brake := range map[int]float64{3: 0.5, 40: 1} {
		opts := testOptions()
		opts.Brake = brake
		s := simulate(t, opts, someAddresses(n))
		s.run(2 * opts.Interval)
		s.writes = nil
		s.world = func(Target) error { return errRefused }
		s.run(5 * opts.Interval)
		s.expect("all gone", 0, n, n)
	}
}

// A process that was stopped for long does not take the pause for anything.
func TestStopped(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	addrs := someAddresses(500)
	s := simulate(t, opts, addrs)
	s.run(2 * opts.Interval)
	s.expect("before", 500, 0, 500)
	s.now = s.now.Add(time.Hour)
	s.most, s.tries = 0, 0
	s.run(opts.Interval / 2)
	if s.tries > 350 {
		t.Errorf("%d tries in half an interval: a rush", s.tries)
	}
	s.run(2 * opts.Interval)
	s.expect("after", 500, 0, 0)
}

// No more checks are under way than there are sockets for, and they still all get
// their turn.
func TestSockets(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	opts.Sockets, opts.Brake = 20, 1
	s := simulate(t, opts, someAddresses(300))
	s.world = func(Target) error { return errRefused } // 2 s each: 10 a second
	s.run(5 * time.Minute)
	if up, down := s.states(); up != 0 || down != 300 {
		t.Errorf("%d up, %d down", up, down)
	}
	if s.most > 20+jurors+1 {
		t.Errorf("%d at once", s.most)
	}
	if s.r.late == 0 {
		t.Error("nobody says that it is late")
	}
}

// A share that comes from a prober which is gone: what it said stays until found
// otherwise, and what is down is vouched for by who finds it down.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	addrs := someAddresses(20)
	s := simulate(t, opts, nil)
	long := time.Unix(1_600_000_000, 0)
	for i, addr := range addrs {
		s.put(store.Health{Address: addr, State: []store.State{store.Up, store.Down}[i%2], Since: long, By: "other"})
	}
	s.assign(addrs, "me")
	s.world = gone(addrs[1], addrs[3])
	s.run(2 * opts.Interval)
	s.expect("taken over", 18, 2, 2+8)
	if h := s.etcd[addrs[1]]; h.By != "me" || !h.Since.Equal(long) {
		t.Errorf("still down: %+v", h)
	}
	if h := s.etcd[addrs[5]]; h.By != "me" || h.Since.Equal(long) {
		t.Errorf("up again: %+v", h)
	}
	if h := s.etcd[addrs[0]]; h.By != "other" {
		t.Errorf("as it was: %+v", h)
	}
}

// Two that disagree: whose address it is has the last word, and the other one is
// silent.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	addrs := someAddresses(40)
	s := simulate(t, opts, nil)
	s.assign(addrs, "me", "other")
	s.run(2 * opts.Interval)
	mine := 0
	for _, addr := range addrs {
		if Owner([]string{"me", "other"}, addr) == "me" {
			mine++
		}
	}
	if mine == 0 || mine == 40 {
		t.Fatal(mine)
	}
	s.expect("one's share", mine, 0, mine)
	for _, addr := range addrs { // the other one says that all are down
		s.put(store.Health{Address: addr, State: store.Down, Since: s.now, By: "other"})
	}
	s.run(2 * opts.Interval)
	s.expect("one's share is up", mine, 40-mine, mine)

	// A key that is gone, or that nobody can read, is written anew.
	for addr := range s.etcd {
		if Owner([]string{"me", "other"}, addr) == "me" {
			s.put(store.Health{Address: addr})
			break
		}
	}
	s.run(opts.Interval / 100)
	if len(s.writes) != 1 {
		t.Errorf("%q", s.writes)
	}
}

// Addresses that no record has any more lose their keys, by the one whose they
// are; before all records were seen nobody loses anything.
func TestOrphans(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	addrs := someAddresses(30)
	s := simulate(t, opts, addrs)
	s.run(2 * opts.Interval)
	s.writes = nil
	s.r.assign(s.now, nil, []string{"me"}, true)
	s.run(time.Second)
	s.expect("nothing known of records", 30, 0, 0)
	s.assign(addrs[:10], "me", "other")
	s.run(time.Second)
	orphans := 0
	for _, addr := range addrs[10:] {
		if Owner([]string{"me", "other"}, addr) == "me" {
			orphans++
		}
	}
	s.expect("two thirds are needed no more", 30-orphans, 0, orphans)
	s.r.assign(s.now, map[netip.Addr][]Check{}, []string{"me"}, false)
	s.put(store.Health{Address: addrs[0], State: store.Up})
	s.run(time.Second)
	if len(s.writes) != 0 || len(s.r.wards) != 0 {
		t.Errorf("who is not registered writes %q", s.writes)
	}
	s.assign(nil, "me")
	s.run(time.Second)
	s.expect("nothing needed", 0, 0, 30-orphans)
}

// A check that ends after its address was given away is not heard.
func TestDismissed(t *testing.T) {
	t.Parallel()
	opts := testOptions()
	addrs := someAddresses(5)
	s := simulate(t, opts, addrs)
	s.world = func(Target) error { return errRefused }
	for len(s.flying) == 0 { // each takes two seconds
		s.run(10 * time.Millisecond)
	}
	s.assign(nil, "me")
	s.assign(addrs, "me")
	s.world = func(Target) error { return nil }
	s.run(2 * opts.Interval)
	s.expect("those that came back", 5, 0, 5)
	if s.r.inFlight != len(s.flying) || len(s.r.queue) > 5 {
		t.Errorf("%d in flight, %d in the queue", s.r.inFlight, len(s.r.queue))
	}
}
