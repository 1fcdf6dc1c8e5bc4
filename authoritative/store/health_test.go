package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// A healthTable is a HealthSink that remembers.
type healthTable struct {
	mu       sync.Mutex
	held     map[netip.Addr]Health
	replaced int
}

func (s *healthTable) ReplaceHealth(all []Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = map[netip.Addr]Health{}
	s.replaced++
	s.take(all)
}

func (s *healthTable) ApplyHealth(changed []Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(changed)
}

func (s *healthTable) take(all []Health) {
	for _, h := range all {
		if h.Revision == 0 {
			delete(s.held, h.Address)
		} else {
			s.held[h.Address] = h
		}
	}
}

func (s *healthTable) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, h := range s.held {
		all = append(all, fmt.Sprintf("%s %s %s", h.Address, h.State, h.By))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (s *healthTable) of(addr string) Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[netip.MustParseAddr(addr)]
}

func followHealth(t testing.TB, c *Client) *healthTable {
	t.Helper()
	sink := &healthTable{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.FollowHealth(ctx, sink) })
	t.Cleanup(func() { cancel(); running.Wait() })
	until(t, "health was read", func() bool { sink.mu.Lock(); defer sink.mu.Unlock(); return sink.replaced > 0 })
	return sink
}

func register(t testing.TB, c *Client, name string) *Registration {
	t.Helper()
	r, err := c.Register(t.Context(), name, 2*time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Release(context.Background()) })
	return r
}

func edit(addr string, state State, by string, revision int64) HealthEdit {
	return HealthEdit{Health{Address: netip.MustParseAddr(addr), State: state, Since: time.Unix(1700000000, 0), By: by, Revision: revision}}
}

// Keys that are none of ours are named and passed over, and an address whose value
// cannot be read is known to have one.
func TestFollowHealth(t *testing.T) {
	t.Parallel()
	m := member(t)
	var mu sync.Mutex
	var skipped []string
	c, err := Open(Options{Endpoints: m.Endpoints(), Log: testLog(t), Skip: func(key string, err error) {
		mu.Lock()
		defer mu.Unlock()
		skipped = append(skipped, key+": "+err.Error())
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	raw(t, c, "/strata/v1/health/10.0.0.1", `{"state":"down","since":"2026-01-02T15:04:05Z","by":"a","more":1}`)
	raw(t, c, "/strata/v1/health/fd00::1", `{"state":"up"}`)
	for key, value := range map[string]string{
		"010.0.0.1": `{"state":"down"}`, "fd00:0::1": `{"state":"down"}`, "::ffff:10.0.0.1": `{"state":"down"}`, "fe80::1%eth0": `{"state":"down"}`, "x/y": "", "": "x",
		"10.0.0.2": `{"state":"sideways"}`, "10.0.0.3": "not json", "10.0.0.4": `{"state":"down","since":"yesterday"}`,
	} {
		raw(t, c, "/strata/v1/health/"+key, value)
	}
	sink := followHealth(t, c)
	const bad = "10.0.0.2 unknown , 10.0.0.3 unknown , 10.0.0.4 unknown "
	want := "10.0.0.1 down a, " + bad + ", fd00::1 up "
	if got := sink.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if h := sink.of("10.0.0.1"); h.Since.Unix() != 1767366245 {
		t.Error(h)
	}
	mu.Lock()
	if len(skipped) != 9 || !strings.Contains(strings.Join(skipped, "\n"), `/strata/v1/health/10.0.0.2: not the health of an address: state "sideways"`) {
		t.Errorf("%q", skipped)
	}
	mu.Unlock()
	raw(t, c, "/strata/v1/health/10.0.0.2", `{"state":"down","by":"b"}`)
	raw(t, c, "/strata/v1/health/10.0.0.1", `{}`)
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Delete(t.Context(), "/strata/v1/health/fd00::1"); err != nil {
		t.Fatal(err)
	}
	want = "10.0.0.1 unknown , 10.0.0.2 down b, 10.0.0.3 unknown , 10.0.0.4 unknown "
	until(t, want, func() bool { return sink.String() == want })
}

// A sink that was cut off while history was compacted is told of all there is.
func TestFollowHealthCompacted(t *testing.T) {
	t.Parallel()
	m := member(t)
	direct := client(t, m.Endpoints()...)
	r := newRelay(t, m.Endpoints()[0])
	raw(t, direct, "/strata/v1/health/10.0.0.1", `{"state":"down"}`)
	sink := followHealth(t, client(t, r.url()))
	r.set(true)
	raw(t, direct, "/strata/v1/health/10.0.0.2", `{"state":"down"}`)
	etcd, err := direct.conn()
	if err != nil {
		t.Fatal(err)
	}
	last, err := etcd.Delete(t.Context(), "/strata/v1/health/10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Compact(t.Context(), last.Header.Revision); err != nil {
		t.Fatal(err)
	}
	r.set(false)
	untilWithin(t, 30*time.Second, "what there is", func() bool { return sink.String() == "10.0.0.2 down " })
}

func TestWriteHealth(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	sink := followHealth(t, c)
	a := register(t, c, "a")
	var all []HealthEdit
	for i := range 2*healthKeys + 1 {
		all = append(all, edit(fmt.Sprintf("10.0.%d.%d", i/250, i%250), Up, "a", 0))
	}
	now, err := c.WriteHealth(t.Context(), a, all)
	if err != nil || len(now) != len(all) {
		t.Fatal(len(now), err)
	}
	for i, h := range now {
		if h.Revision == 0 || h.State != Up || h.Address != all[i].Address {
			t.Fatalf("%+v", h)
		}
	}
	until(t, "all keys", func() bool { return strings.Count(sink.String(), " up a") == len(all) })

	// One who knows the old revision changes nothing, and is told what there is.
	raw(t, c, "/strata/v1/health/10.0.0.0", `{"state":"down","by":"b"}`)
	now, err = c.WriteHealth(t.Context(), a, []HealthEdit{edit("10.0.0.0", Unknown, "", now[0].Revision), edit("10.0.0.1", Down, "a", now[1].Revision), edit("10.0.0.2", Unknown, "", now[2].Revision)})
	if err != nil || len(now) != 3 {
		t.Fatal(now, err)
	}
	slices.SortFunc(now, func(a, b Health) int { return a.Address.Compare(b.Address) })
	if now[0].State != Down || now[0].By != "b" || now[1].State != Down || now[1].By != "a" || now[2].Revision != 0 {
		t.Errorf("%+v", now)
	}
	until(t, "the changes", func() bool {
		return strings.HasPrefix(sink.String(), "10.0.0.0 down b, 10.0.0.1 down a, 10.0.0.10 up a") && sink.of("10.0.0.2").Revision == 0
	})

	// One whose registration is another's, or gone, writes nothing.
	again := register(t, c, "a")
	if _, err := c.WriteHealth(t.Context(), a, []HealthEdit{edit("10.0.0.3", Down, "a", sink.of("10.0.0.3").Revision)}); !errors.Is(err, ErrUnregistered) {
		t.Error(err)
	}
	again.Release(t.Context())
	if _, err := c.WriteHealth(t.Context(), again, []HealthEdit{edit("10.0.0.3", Down, "a", sink.of("10.0.0.3").Revision)}); !errors.Is(err, ErrUnregistered) {
		t.Error(err)
	}
	if h := sink.of("10.0.0.3"); h.State != Up {
		t.Error(h)
	}
}

// A prober that is cut off loses its registration, and others see it go; back
// again, it registers anew, unless another one has its name.
func TestRegister(t *testing.T) {
	t.Parallel()
	m := member(t)
	direct := client(t, m.Endpoints()...)
	r := newRelay(t, m.Endpoints()[0])
	away := client(t, r.url())
	var mu sync.Mutex
	var there map[string]int64
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		direct.FollowProbers(ctx, func(now map[string]int64) { mu.Lock(); defer mu.Unlock(); there = now })
	})
	t.Cleanup(func() { cancel(); following.Wait() })
	are := func(names ...string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return there != nil && slices.Equal(slices.Sorted(maps.Keys(there)), names)
		}
	}
	until(t, "no prober", are())
	one := register(t, away, "one/x")
	two := register(t, direct, "two")
	until(t, "both", are("one/x", "two"))
	mu.Lock()
	if there["two"] != two.Revision() || there["one/x"] != one.Revision() {
		t.Error(there, two.Revision())
	}
	mu.Unlock()
	r.set(true)
	untilWithin(t, 30*time.Second, "one is gone", are("two"))
	select {
	case <-one.Lost():
	case <-time.After(30 * time.Second):
		t.Fatal("the one that is cut off does not know")
	}
	r.set(false)
	untilWithin(t, 30*time.Second, "registered again", func() bool {
		back, err := away.Register(t.Context(), "one/x", 2*time.Second, one.Revision())
		if err == nil {
			t.Cleanup(func() { back.Release(context.Background()) })
		}
		return err == nil
	})
	until(t, "both again", are("one/x", "two"))
	if _, err := direct.Register(t.Context(), "one/x", 2*time.Second, one.Revision()); !errors.Is(err, ErrNameTaken) {
		t.Error(err)
	}
	two.Release(t.Context())
	until(t, "two is gone", are("one/x"))
	raw(t, direct, "/strata/v1/probers/%zz", "x")
	raw(t, direct, "/strata/v1/probers/three", "x")
	until(t, "three", are("one/x", "three"))
}

// FuzzHealth: any key and value give an error or what is written back the same.
func FuzzHealth(f *testing.F) {
	f.Add("10.0.0.1", `{"state":"down","since":"2026-01-02T15:04:05.123Z","by":"a"}`)
	f.Add("fd00::1", `{"state":"up"}`)
	f.Add("::ffff:10.0.0.1", `{"state":null}`)
	k := newKeys(DefaultPrefix)
	f.Fuzz(func(t *testing.T, addr, value string) {
		kv := &mvccpb.KeyValue{Key: []byte("/strata/v1/health/" + addr), Value: []byte(value), ModRevision: 7}
		h, err := k.parseHealth(kv)
		if err != nil {
			if !errors.Is(err, ErrHealth) {
				t.Fatal(err)
			}
			return
		}
		out, err := h.value()
		if err != nil {
			return // a year that JSON's times do not have
		}
		back, err := k.parseHealth(&mvccpb.KeyValue{Key: []byte(k.health(h.Address)), Value: []byte(out), ModRevision: 7})
		if err != nil || back.State != h.State || back.By != h.By || back.Address != h.Address || back.Since.Sub(h.Since).Abs() > time.Millisecond {
			t.Fatalf("%+v, written %s is %+v, %v", h, out, back, err)
		}
	})
}
