package probe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/e2e/stack"
)

// etcd starts a member of the test's own.
func etcd(t *testing.T) (endpoints []string) {
	t.Helper()
	m, err := store.Embed(t.Context(), store.EmbedOptions{Dir: t.TempDir(), ClientURL: "http://127.0.0.1:0", PeerURL: "http://127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := m.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return m.Endpoints()
}

func client(t *testing.T, endpoints []string, log *slog.Logger) *store.Client {
	t.Helper()
	c, err := store.Open(store.Options{Endpoints: endpoints, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A running is a Prober at work.
type running struct {
	*Prober
	log  *stack.Text
	stop func()
}

func prober(t *testing.T, endpoints []string, name string) *running {
	t.Helper()
	log := &stack.Text{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	p, err := New(Options{
		Client: client(t, endpoints, logger), Name: name, Lease: 2 * time.Second, Interval: 300 * time.Millisecond, Timeout: 100 * time.Millisecond,
		Tries: 3, Sockets: 100, Brake: 0.5, Log: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if stop(); t.Failed() {
			t.Logf("log of %s:\n%s", name, log)
		}
	})
	return &running{p, log, stop}
}

// hosts are addresses of loopback that take connections at one port, or don't.
type hosts struct {
	t     *testing.T
	port  int
	mu    sync.Mutex
	there map[string]net.Listener
}

func (h *hosts) open(addrs ...string) {
	h.t.Helper()
	for _, addr := range addrs {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addr, h.port))
		if err != nil {
			h.t.Fatal(err)
		}
		h.port = l.Addr().(*net.TCPAddr).Port
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		}()
		h.mu.Lock()
		h.there[addr] = l
		h.mu.Unlock()
	}
}

func (h *hosts) shut(addrs ...string) {
	for _, addr := range addrs {
		h.mu.Lock()
		h.there[addr].Close()
		h.mu.Unlock()
	}
}

// A follower knows what etcd has.
type follower struct {
	mu    sync.Mutex
	known map[netip.Addr]store.Health
	count int // changes told of
}

func (f *follower) ReplaceHealth(all []store.Health) {
	f.mu.Lock()
	f.known = map[netip.Addr]store.Health{}
	f.mu.Unlock()
	f.ApplyHealth(all)
}

func (f *follower) ApplyHealth(changed []store.Health) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range changed {
		f.count++
		if f.known[h.Address] = h; h.Revision == 0 {
			delete(f.known, h.Address)
		}
	}
}

func (f *follower) states() (up, down int, by map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by = map[string]int{}
	for _, h := range f.known {
		if by[h.By]++; h.State == store.Down {
			down++
		} else {
			up++
		}
	}
	return up, down, by
}

func follow(t *testing.T, c *store.Client) *follower {
	t.Helper()
	f := &follower{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.FollowHealth(ctx, f) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30s", what)
		}
	}
}

// Two probers with a real etcd and real sockets: they share, one goes and the other
// has all, and what nobody needs is gone.
func TestProbers(t *testing.T) {
	t.Parallel()
	endpoints := etcd(t)
	c := client(t, endpoints, slog.New(slog.DiscardHandler))
	f := follow(t, c)
	h := &hosts{t: t, there: map[string]net.Listener{}}
	var addrs []string
	for i := range 20 {
		addrs = append(addrs, fmt.Sprintf("127.77.%d.%d", i/10, i%10+1))
	}
	h.open(addrs...)
	rec, err := store.NewRecord("app.example.org", "A", "static", 30, addrs...)
	if err != nil {
		t.Fatal(err)
	}
	rec.Probe = fmt.Sprint("tcp:", h.port)
	if _, err := c.Add(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	are := func(wantUp, wantDown int) func() bool {
		return func() bool { up, down, _ := f.states(); return up == wantUp && down == wantDown }
	}
	one, two := prober(t, endpoints, "one"), prober(t, endpoints, "two")
	until(t, "all are up", are(20, 0))
	until(t, "both have a share", func() bool {
		a, b := one.Status(), two.Status()
		return one.Ready() && two.Ready() && a.Own > 0 && b.Own > 0 && a.Own+b.Own == 20 && a.Up+b.Up == 20
	})

	// Five go, of twenty; each is written by whose it is.
	dead := addrs[:5]
	h.shut(dead...)
	until(t, "five are down", are(15, 5))
	for _, addr := range dead {
		f.mu.Lock()
		got := f.known[netip.MustParseAddr(addr)]
		f.mu.Unlock()
		if want := Owner([]string{"one", "two"}, got.Address); got.By != want || time.Since(got.Since) > time.Minute || time.Since(got.Since) < 0 {
			t.Errorf("%+v, and it is %s's", got, want)
		}
	}

	// One ends: its share moves, and the other vouches for what is down of it.
	one.stop()
	until(t, "the other has all", func() bool { return two.Status().Own == 20 })
	until(t, "and vouches for it", func() bool {
		for _, addr := range dead {
			f.mu.Lock()
			by := f.known[netip.MustParseAddr(addr)].By
			f.mu.Unlock()
			if by != "two" {
				return false
			}
		}
		return true
	})
	h.open(dead...)
	until(t, "all are up again", are(20, 0))
	f.mu.Lock()
	f.count = 0
	f.mu.Unlock()
	probed := two.counters.probes[TCP][foundUp].Load()
	until(t, "some rounds", func() bool { return two.counters.probes[TCP][foundUp].Load() > probed+100 })
	if f.mu.Lock(); f.count != 0 {
		t.Errorf("%d writes though nothing changed", f.count)
	}
	f.mu.Unlock()

	// Cut off: all go at once.
	h.shut(addrs...)
	until(t, "the brake", func() bool { s := two.Status(); return s.Braked && s.Withheld > 10 })
	if !strings.Contains(two.Reason(), "the brake withholds that ") || !two.Ready() || !strings.Contains(two.log.String(), "most addresses seem to have gone at once") {
		t.Errorf("%q\n%s", two.Reason(), two.log)
	}
	if !are(20, 0)() {
		t.Error("something was written")
	}
	h.open(addrs...)
	until(t, "the brake is off", func() bool { return !two.Status().Braked })
	if !are(20, 0)() || !strings.Contains(two.log.String(), "the brake is off") {
		t.Error("something was written")
	}

	// Records go, and with them what is known of their addresses.
	rec.Data = rec.Data[:15]
	if _, err := c.Remove(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	until(t, "five are left", are(5, 0))
	if _, err := c.Remove(t.Context(), store.Record{Name: rec.Name, Type: rec.Type, Owner: "static"}); err != nil {
		t.Fatal(err)
	}
	until(t, "none is", are(0, 0))
	two.stop()
}

// Two by one name: the one that was there waits and says so, and goes on when the
// other has gone.
func TestSameName(t *testing.T) {
	t.Parallel()
	endpoints := etcd(t)
	first := prober(t, endpoints, "host")
	until(t, "the first is there", first.Ready)
	second := prober(t, endpoints, "host")
	until(t, "the first stands back", func() bool { return !first.Ready() && strings.Contains(first.log.String(), "set probe.name") })
	until(t, "the second is there", second.Ready)
	second.stop()
	until(t, "the first is back", first.Ready)
}

// Records that cannot be probed are named.
func TestTargets(t *testing.T) {
	t.Parallel()
	log := &stack.Text{}
	targets := NewTargets(slog.New(slog.NewTextHandler(log, nil)))
	rec := func(typ, probe string, data ...string) store.Change {
		r, err := store.NewRecord("a.example.org", typ, probe+typ, 30, data...)
		if err != nil {
			t.Fatal(err)
		}
		r.Probe = probe
		return store.Change{Record: r}
	}
	for _, change := range []store.Change{
		rec("A", "tcp:80", "10.0.0.1", "0.0.0.0", "224.0.0.1"), rec("AAAA", "tcp:81", "fd00::1", "::ffff:10.0.0.9"), rec("A", "udp:53", "10.0.0.1"),
		rec("TXT", "tcp:80", "x"), rec("A", "ping", "10.0.0.2"),
	} {
		if err := targets.Apply([]store.Change{change}, 1); err != nil {
			t.Fatal(err)
		}
	}
	checks, synced := targets.all()
	if got := checks[netip.MustParseAddr("10.0.0.1")]; synced || len(checks) != 2 || len(got) != 2 {
		t.Errorf("%v, synced %v", checks, synced)
	}
	for _, want := range []string{"TXT records have no addresses", `"ping`, "address=224.0.0.1", "address=0.0.0.0", "10.0.0.9"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
	<-targets.changed
	if err := targets.Apply([]store.Change{{Record: rec("A", "tcp:80").Record, Deleted: true}}, 2); err != nil {
		t.Fatal(err)
	}
	<-targets.changed
	if checks, _ := targets.all(); len(checks[netip.MustParseAddr("10.0.0.1")]) != 1 {
		t.Errorf("%v", checks)
	}
	if err := targets.Replace(func(yield func(store.Record, error) bool) { yield(rec("A", "udp:53", "10.0.0.1").Record, nil) }, 3); err != nil {
		t.Fatal(err)
	}
	<-targets.changed
	if checks, synced := targets.all(); len(checks) != 1 || !synced {
		t.Errorf("%v", checks)
	}
}

// 50,000 addresses every 15 s from one prober, with a real etcd: all are known after
// the first round. Processor and memory are logged: the machine may be busy.
func TestFiftyThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute: -short")
	}
	const names, each = 500, 100
	endpoints := etcd(t)
	c := client(t, endpoints, slog.New(slog.DiscardHandler))
	f := follow(t, c)
	port := listening(t, "0.0.0.0:0")
	var edits []store.Edit
	for i := range names {
		var addrs []string
		for j := range each {
			n := i*each + j
			addrs = append(addrs, fmt.Sprintf("127.%d.%d.%d", 100+n>>16, n>>8&255, n&255))
		}
		rec, err := store.NewRecord(fmt.Sprintf("h%d.example.org", i), "A", "static", 30, addrs...)
		if err != nil {
			t.Fatal(err)
		}
		rec.Probe = fmt.Sprint("tcp:", port)
		edits = append(edits, store.Edit{Op: store.Add, Record: rec})
	}
	if _, err := c.Write(t.Context(), edits...); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p, err := New(Options{Client: client(t, endpoints, log), Name: "one", Lease: 10 * time.Second, Interval: 15 * time.Second, Timeout: 2 * time.Second,
		Tries: 3, Sockets: Sockets(8192, log), Brake: 0.5, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	began := time.Now()
	states := func() (up, down int) { up, down, _ = f.states(); return up, down }
	for up, down := states(); up < names*each; up, down = states() {
		if down > 0 || time.Since(began) > 2*time.Minute {
			t.Fatalf("%d up, %d down after %s", up, down, time.Since(began))
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("all %d are known after %s", names*each, time.Since(began).Round(100*time.Millisecond))

	// A round in which nothing changes.
	processor := func() time.Duration {
		var used unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
			t.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	var memory runtime.MemStats
	probed := func() uint64 { return p.counters.probes[TCP][foundUp].Load() }
	before, spent, since := probed(), processor(), time.Now()
	for probed() < before+names*each && time.Since(since) < time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	took, checks := time.Since(since), probed()-before
	runtime.ReadMemStats(&memory)
	t.Logf("%d checks in %s: %.0f %% of a processor, the listener's and etcd's part in it; heap %d MiB, etcd's in it; %.3f s late",
		checks, took.Round(time.Millisecond), 100*(processor()-spent).Seconds()/took.Seconds(), memory.HeapAlloc>>20, p.Status().Late)
	if up, down := states(); up != names*each || down != 0 {
		t.Errorf("%d up, %d down", up, down)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
