package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// A client in the member's own process does by calls what others do by a socket: it reads,
// writes and watches, sees what they do, and the other way round.
func TestInside(t *testing.T) {
	t.Parallel()
	m := member(t)
	c, other := client(t, m.Endpoints()...), client(t, m.Endpoints()...)
	for range 2 {
		if !c.Enter(m) {
			t.Fatal("it does not ask its own member by calls")
		}
	}
	recs := many(t, 2*pageKeys+1, "example.org", "static") // three pages
	if _, err := other.Write(t.Context(), edits(Add, recs)...); err != nil {
		t.Fatal(err)
	}
	sink := &tableSink{}
	w, stop := startWatcher(t, c, sink, WatchOptions{})
	stop = sync.OnceFunc(stop)
	defer stop()
	until(t, "synced", w.Synced)
	until(t, "connected", w.Connected)
	same(t, other, sink)
	for i, by := range []*Client{c, other} {
		rec := record(t, fmt.Sprintf("by%d.example.org", i), "A", "static", 30, "10.0.0.1")
		for _, edit := range []Edit{{Set, rec}, {Add, record(t, "both.example.org", "A", "static", 30, fmt.Sprintf("10.0.1.%d", i))}} {
			res, err := by.Write(t.Context(), edit)
			if err != nil || res.Written != 1 {
				t.Fatal(res, err)
			}
			until(t, "revision seen", func() bool { return w.Revision() == res.Revision })
		}
		same(t, other, sink)
	}
	if _, err := c.Write(t.Context(), Edit{Set, record(t, "both.example.org", "CNAME", "static", 30, "by0.example.org.")}); !errors.Is(err, ErrCNAME) {
		t.Error(err)
	}
	raw(t, other, "/elsewhere", "x") // its revision is heard of where nothing of ours changes
	seen, err := w.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	until(t, "progress", func() bool { return w.seen.Load() >= seen })
	if replaced, _ := sink.calls(); replaced != 1 {
		t.Errorf("%d full compares", replaced)
	}
	if c.etcd != nil {
		t.Error("a connection was made all the same")
	}
	stop()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Write(t.Context(), Edit{Set, recs[0]}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if got := stored(t, other); len(got) != len(recs)+3 {
		t.Errorf("%d records", len(got))
	}
	if c.Enter(m) {
		t.Error("what is closed asks nobody")
	}
}

// Who has others to ask, or a user to be known by, goes on by sockets.
func TestNotInside(t *testing.T) {
	t.Parallel()
	m := member(t)
	its := m.Endpoints()
	for what, opts := range map[string]Options{
		"another member":       {Endpoints: append(slices.Clone(its), "http://127.0.0.1:1")},
		"only another":         {Endpoints: []string{"http://127.0.0.1:1"}},
		"the same, over TLS":   {Endpoints: []string{"https" + its[0][len("http"):]}},
		"a user":               {Endpoints: its, User: "strata", Password: "secret"},
		"something unreadable": {Endpoints: []string{"http://127.0.0.1:port"}},
	} {
		c, err := Open(opts)
		if err != nil {
			t.Fatal(what, err)
		}
		if c.Enter(m) {
			t.Errorf("%s: asked by calls", what)
		}
		if err := c.Close(); err != nil {
			t.Error(what, err)
		}
	}
	c := client(t, "http://localhost"+its[0][len("http://127.0.0.1"):])
	if !c.Enter(m) {
		t.Error("localhost is not this machine")
	}
}
