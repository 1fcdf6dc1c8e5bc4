package store

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	recs := many(t, 2*pageKeys+1, "example.org", "static") // three pages
	if _, err := c.Write(t.Context(), edits(Add, recs)...); err != nil {
		t.Fatal(err)
	}
	sink := &tableSink{}
	w := watching(t, c, sink, WatchOptions{})
	until(t, "synced", w.Synced)
	until(t, "connected", w.Connected)
	same(t, c, sink)
	if w.LastContact().IsZero() || w.Revision() == 0 {
		t.Error(w.LastContact(), w.Revision())
	}

	// One transaction is one call, whatever it holds.
	_, before := sink.calls()
	res, err := c.Write(t.Context(), edits(Set, many(t, maxKeys, "a.example.org", "other"))...)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "revision seen", func() bool { return w.Revision() == res.Revision })
	if _, after := sink.calls(); after != before+1 || len(sink.applied[before]) != maxKeys {
		t.Errorf("%d calls for one revision", after-before)
	}
	for _, ch := range sink.applied[before] {
		if ch.Revision != res.Revision || ch.Deleted || !strings.HasPrefix(ch.Key, "/strata/v1/records/org/example/a/h") {
			t.Errorf("%+v", ch)
		}
	}

	if _, err := c.Write(t.Context(), edits(Remove, recs[10:2000])...); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(t.Context(), Edit{Set, record(t, "h0001.example.org", "A", "static", 7, "10.9.9.9")}); err != nil {
		t.Fatal(err)
	}
	same(t, c, sink)
	if replaced, _ := sink.calls(); replaced != 1 {
		t.Errorf("%d full compares", replaced)
	}
}

// What is none of ours is reported with its key and left out, and comes back
// when it is mended.
func TestWatchBadValues(t *testing.T) {
	t.Parallel()
	m := member(t)
	var mu sync.Mutex
	var skipped []string
	c, err := Open(Options{Endpoints: m.Endpoints(), Log: testLog(t), Skip: func(key string, err error) {
		mu.Lock()
		defer mu.Unlock()
		skipped = append(skipped, fmt.Sprintf("%s: %v", key, err))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const www = "/strata/v1/records/org/example/www/A/static"
	raw(t, c, www, `{"ttl":30,"data":["10.0.0.1"]}`)
	raw(t, c, "/strata/v1/records/org/example/Upper/A/static", `{"ttl":30,"data":["10.0.0.1"]}`)
	raw(t, c, "/strata/v1/records/org/example/json/A/static", `not json`)
	raw(t, c, "/strata/v1/records/org/example/ttl/A/static", `{"ttl":4294967296,"data":["10.0.0.1"]}`)
	raw(t, c, "/strata/v1/health/10.0.0.1", `{"state":"up"}`)
	sink := &tableSink{}
	w, stop := startWatcher(t, c, sink, WatchOptions{})
	defer stop()
	until(t, "synced", w.Synced)
	good := []string{"www.example.org. A (static) 30 10.0.0.1"}
	if got := sink.lines(); !slices.Equal(got, good) {
		t.Errorf("%q", got)
	}
	raw(t, c, www, `{"ttl":30,"data":["10.0.0"]}`)
	until(t, "the bad value is left out", func() bool { return len(sink.lines()) == 0 })
	raw(t, c, www, `{"ttl":30,"data":["10.0.0.1"]}`)
	until(t, "the mended value is back", func() bool { return slices.Equal(sink.lines(), good) })
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(skipped, "\n")
	for _, want := range []string{"/example/Upper/A/static: not the key", "/example/json/A/static: not the value",
		"ttl 4294967296 is not in", `www/A/static: not the value of a record: bad data: "10.0.0"`} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not told:\n%s", want, all)
		}
	}
	if c.Skipped() != uint64(len(skipped)) || len(skipped) != 4 {
		t.Errorf("%d counted: %q", c.Skipped(), skipped)
	}
}

// A sink that lost something gets it back by the next full compare.
func TestWatchCompare(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	if _, err := c.Write(t.Context(), edits(Add, many(t, 10, "example.org", "static"))...); err != nil {
		t.Fatal(err)
	}
	sink := &tableSink{}
	w := watching(t, c, sink, WatchOptions{Compare: 100 * time.Millisecond})
	until(t, "synced", w.Synced)
	sink.mu.Lock()
	clear(sink.held)
	sink.mu.Unlock()
	same(t, c, sink)
}

// A sink that refuses is tried again, with all there is.
func TestWatchSinkRefuses(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	sink := &tableSink{refuse: errors.New("no room")}
	w := watching(t, c, sink, WatchOptions{Retry: 50 * time.Millisecond})
	until(t, "synced", w.Synced)
	sink.mu.Lock()
	sink.refuse = errors.New("no room")
	sink.mu.Unlock()
	if _, err := c.Add(t.Context(), record(t, "a.example.org", "A", "static", 30, "10.0.0.1")); err != nil {
		t.Fatal(err)
	}
	same(t, c, sink)
	if replaced, applied := sink.calls(); replaced != 2 || applied != 0 {
		t.Errorf("%d compares and %d changes", replaced, applied)
	}
}

// While only other keys change, the watch's place moves on nevertheless, or a
// compaction would have everything read again.
func TestWatchProgress(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	sink := &tableSink{}
	w := watching(t, c, sink, WatchOptions{})
	until(t, "synced", w.Synced)
	for i := range 5 {
		raw(t, c, "/strata/v1/health/10.0.0.1", fmt.Sprint(i))
	}
	now, err := w.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	until(t, "progress", func() bool { return w.seen.Load() == now })
	if w.Revision() == now {
		t.Error("the sink was told of changes that aren't its")
	}
}

// A member with its data lost comes up at the same address.
func TestWatchDataLost(t *testing.T) {
	t.Parallel()
	log := testLog(t)
	start := func(url string) *Member {
		m, err := Embed(t.Context(), EmbedOptions{Dir: t.TempDir(), ClientURL: url, PeerURL: "http://127.0.0.1:0", Log: log, noSync: true})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := start("http://127.0.0.1:0")
	url := first.Endpoints()[0]
	c := client(t, url)
	recs := many(t, 3, "example.org", "static")
	for _, rec := range recs { // three revisions
		if _, err := c.Add(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	sink := &tableSink{}
	w := watching(t, c, sink, WatchOptions{Retry: 50 * time.Millisecond})
	same(t, c, sink)
	held := sink.lines()
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "disconnected", func() bool { return !w.Connected() })
	second := start(url)
	defer second.Stop(t.Context())
	until(t, "connected", w.Connected)
	until(t, "loss noticed", w.rewound.Load)
	writer := client(t, url)
	// The watcher must look again and again, and still hold.
	for range 5 {
		before := w.LastContact()
		until(t, "contact", func() bool { return w.LastContact().After(before) })
		if got := sink.lines(); !slices.Equal(got, held) {
			t.Fatalf("%q", got)
		}
	}
	until(t, "loss told", func() bool { return !w.Lost().IsZero() })
	if _, err := writer.Add(t.Context(), recs[1]); err != nil {
		t.Fatal(err)
	}
	same(t, writer, sink)
	until(t, "no loss told", func() bool { return w.Lost().IsZero() })
	// And then it goes on as ever.
	if _, err := writer.Add(t.Context(), recs[2]); err != nil {
		t.Fatal(err)
	}
	same(t, writer, sink)
}

// etcd must not cut a revision in two responses, or a sink would see half of a
// transaction: a watch that catches up with a long history.
func TestWatchRevisionsWhole(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		var ops []clientv3.Op
		for j := range 8 {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/strata/v1/records/org/h%d/A/o", j), fmt.Sprintf(`{"ttl":%d,"data":["10.0.0.1"]}`, i)))
		}
		if _, err := etcd.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	sink := &tableSink{}
	w := NewWatcher(c, sink, WatchOptions{Beat: time.Hour})
	w.seen.Store(1)
	events := etcd.Watch(t.Context(), "/strata/v1/records/", clientv3.WithPrefix(), clientv3.WithRev(1))
	for w.Revision() < 301 {
		if err := w.take(<-events); err != nil {
			t.Fatal(err)
		}
	}
	for _, changes := range sink.applied {
		if len(changes)%8 != 0 {
			t.Errorf("a call of %d changes", len(changes))
		}
	}
}

// A writingSink has etcd changed in the very gap between the reading of all
// records and the watch.
type writingSink struct {
	tableSink
	write func()
}

func (s *writingSink) Replace(records iter.Seq2[Record, error], revision int64) error {
	err := s.tableSink.Replace(records, revision)
	s.write()
	return err
}

// What changes before the watch is open is not missed: it begins at a revision.
func TestWatchGap(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	recs := many(t, 20, "example.org", "static")
	for i, rec := range recs {
		sink := &writingSink{write: func() {
			if _, err := c.Add(t.Context(), rec); err != nil {
				t.Error(err)
			}
		}}
		_, stop := startWatcher(t, c, sink, WatchOptions{})
		until(t, "the change in the gap", func() bool { return len(sink.lines()) == i+1 })
		if replaced, applied := sink.calls(); replaced != 1 || applied != 1 {
			t.Errorf("%d full compares, %d changes", replaced, applied)
		}
		stop()
	}
}

// A sink that takes more than before asks for all of it, also while etcd is away.
func TestCompareNow(t *testing.T) {
	t.Parallel()
	m := member(t)
	direct := client(t, m.Endpoints()...)
	if _, err := direct.Write(t.Context(), edits(Add, many(t, 3, "example.org", "static"))...); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, m.Endpoints()[0])
	sink := &tableSink{}
	w := watching(t, client(t, r.url()), sink, WatchOptions{Retry: 100 * time.Millisecond, Compare: -1})
	same(t, direct, sink)
	replaced := func(n int) func() bool {
		return func() bool { got, _ := sink.calls(); return got == n }
	}
	w.CompareNow()
	until(t, "a second compare", replaced(2))
	r.set(true)
	until(t, "disconnected", func() bool { return !w.Connected() })
	w.CompareNow()
	w.CompareNow()
	r.set(false)
	until(t, "a third compare", replaced(3))
	if _, err := direct.Write(t.Context(), edits(Add, many(t, 5, "b.example.org", "static"))...); err != nil {
		t.Fatal(err)
	}
	same(t, direct, sink)
}

// The age of what is served is told by the monotonic clock: a clock that jumps makes it
// neither older nor younger.
func TestLastContactIsMonotonic(t *testing.T) {
	t.Parallel()
	w := watching(t, client(t, member(t).Endpoints()...), &tableSink{}, WatchOptions{})
	until(t, "synced", w.Synced)
	if at := w.LastContact(); !strings.Contains(at.String(), " m=") {
		t.Errorf("%v has no monotonic reading", at)
	}
}
