package store

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/e2e/stack"
)

// testLog keeps a logger's lines and shows them when the test has failed.
func testLog(t testing.TB) *slog.Logger {
	w := &stack.Text{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.String())
		}
	})
	return slog.New(slog.NewTextHandler(w, nil))
}

// member starts an etcd of the test's own in this process.
func member(t testing.TB) *Member {
	t.Helper()
	m, err := Embed(t.Context(), EmbedOptions{
		Dir: t.TempDir(), ClientURL: "http://127.0.0.1:0", PeerURL: "http://127.0.0.1:0", Log: testLog(t), noSync: true,
	})
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
	return m
}

func client(t testing.TB, endpoints ...string) *Client {
	t.Helper()
	c, err := Open(Options{Endpoints: endpoints, Log: testLog(t), Timeout: 20 * time.Second}) // on a busy machine etcd takes its time
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func record(t testing.TB, name, typ, owner string, ttl uint32, data ...string) Record {
	t.Helper()
	rec, err := NewRecord(name, typ, owner, ttl, data...)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// raw puts any value at any key behind the client's back.
func raw(t testing.TB, c *Client, key, value string) {
	t.Helper()
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// line gives a record as one comparable line, its data sorted.
func line(rec Record) string {
	text, err := rec.Text()
	if err != nil {
		return err.Error()
	}
	slices.Sort(text)
	return fmt.Sprintf("%s %d %s", rec, rec.TTL, strings.Join(text, " "))
}

func lines(t testing.TB, records iter.Seq2[Record, error]) []string {
	t.Helper()
	var all []string
	for rec, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line(rec))
	}
	return all
}

// stored lists all of etcd's records.
func stored(t testing.TB, c *Client) []string {
	t.Helper()
	return lines(t, c.List(t.Context(), []byte{0}, ""))
}

// A tableSink holds records as lines, and remembers how they came.
type tableSink struct {
	mu       sync.Mutex
	held     map[string]string // by name, type and owner
	revision int64
	replaced int
	applied  [][]Change // their names and data are no longer theirs
	refuse   error      // what the next call returns
}

func (s *tableSink) refusal() error {
	err := s.refuse
	s.refuse = nil
	return err
}

func (s *tableSink) Replace(records iter.Seq2[Record, error], revision int64) error {
	held := make(map[string]string)
	for rec, err := range records {
		if err != nil {
			return err
		}
		held[rec.String()] = line(rec)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	s.held, s.revision = held, revision
	s.replaced++
	return nil
}

func (s *tableSink) Apply(changes []Change, revision int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	if s.held == nil {
		s.held = make(map[string]string)
	}
	for _, ch := range changes {
		if ch.Deleted {
			delete(s.held, ch.Record.String())
		} else {
			s.held[ch.Record.String()] = line(ch.Record)
		}
	}
	s.revision = revision
	s.applied = append(s.applied, slices.Clone(changes))
	return nil
}

func (s *tableSink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Values(s.held))
}

func (s *tableSink) calls() (replaced, applied int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaced, len(s.applied)
}

// until polls; what says what was waited for.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	untilWithin(t, time.Minute, what, ok)
}

func untilWithin(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, within)
		}
	}
}

// same waits until the sink holds what etcd holds.
func same(t testing.TB, c *Client, sink *tableSink) {
	t.Helper()
	want := slices.Sorted(slices.Values(stored(t, c)))
	untilWithin(t, time.Minute, fmt.Sprintf("sink holds %d records", len(want)), func() bool {
		return slices.Equal(sink.lines(), want)
	})
}

// watching runs a watcher until the test ends.
func watching(t testing.TB, c *Client, sink Sink, opts WatchOptions) *Watcher {
	t.Helper()
	w, stop := startWatcher(t, c, sink, opts)
	t.Cleanup(stop)
	return w
}

// startWatcher runs a watcher until stop is called.
func startWatcher(t testing.TB, c *Client, sink Sink, opts WatchOptions) (w *Watcher, stop func()) {
	t.Helper()
	if opts.Beat == 0 {
		opts.Beat = 50 * time.Millisecond
	}
	w = NewWatcher(c, sink, opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("watcher: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("watcher did not end")
		}
	}
}

// many gives n records h0000.ZONE.
func many(t testing.TB, n int, zone, owner string) []Record {
	t.Helper()
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = record(t, fmt.Sprintf("h%04d.%s", i, zone), "A", owner, 30, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	return recs
}

func seq(recs []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func edits(op Op, recs []Record) []Edit {
	out := make([]Edit, len(recs))
	for i, rec := range recs {
		out[i] = Edit{op, rec}
	}
	return out
}

var org = wire.MustName("example.org")
