package store

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/strata-dns/strata/e2e/stack"
)

// A watcher is cut off while records change and etcd forgets how they did: it
// reads them all again, and serves the old ones until then.
func TestCompactionWhileCutOff(t *testing.T) {
	t.Parallel()
	m := member(t)
	direct := client(t, m.Endpoints()...)
	recs := many(t, 20, "example.org", "static")
	if _, err := direct.Write(t.Context(), edits(Add, recs)...); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, m.Endpoints()[0])
	sink := &tableSink{}
	w := watching(t, client(t, r.url()), sink, WatchOptions{Retry: 100 * time.Millisecond})
	same(t, direct, sink)
	old := sink.lines()

	r.set(true)
	until(t, "disconnected", func() bool { return !w.Connected() })
	if _, err := direct.Write(t.Context(), edits(Remove, recs[:10])...); err != nil {
		t.Fatal(err)
	}
	res, err := direct.Write(t.Context(), edits(Add, many(t, 5, "b.example.org", "static"))...)
	if err != nil {
		t.Fatal(err)
	}
	etcd, err := direct.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Compact(t.Context(), res.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if got := sink.lines(); !slices.Equal(got, old) || !w.Synced() {
		t.Errorf("while cut off: %q", got)
	}
	r.set(false)
	same(t, direct, sink)
	until(t, "connected", w.Connected)
	if replaced, _ := sink.calls(); replaced != 2 {
		t.Errorf("%d full compares", replaced)
	}
	if _, err := direct.Remove(t.Context(), recs[15]); err != nil {
		t.Fatal(err)
	}
	same(t, direct, sink)
}

// Without compaction a watcher that was cut off catches up by the watch alone.
func TestCutOff(t *testing.T) {
	t.Parallel()
	m := member(t)
	direct := client(t, m.Endpoints()...)
	r := newRelay(t, m.Endpoints()[0])
	sink := &tableSink{}
	w := watching(t, client(t, r.url()), sink, WatchOptions{Retry: 100 * time.Millisecond})
	until(t, "synced", w.Synced)
	for round := range 3 {
		r.set(true)
		if _, err := direct.Write(t.Context(), edits(Set, many(t, 10, fmt.Sprintf("r%d.example.org", round), "static"))...); err != nil {
			t.Fatal(err)
		}
		r.set(false)
		same(t, direct, sink)
	}
	if replaced, _ := sink.calls(); replaced != 1 {
		t.Errorf("%d full compares", replaced)
	}
}

// A server starts with etcd away, from its snapshot, says so, and is as etcd is
// when that comes; then etcd is killed and comes back.
func TestStartWithEtcdAway(t *testing.T) {
	t.Parallel()
	recs := many(t, 5, "example.org", "static")
	path := filepath.Join(t.TempDir(), "snap")
	if err := WriteSnapshot(path, 3, time.Now(), seq(recs), nil); err != nil {
		t.Fatal(err)
	}
	sink := &tableSink{}
	info, err := Restore(path, into(sink))
	if err != nil {
		t.Fatal(err)
	}
	urls := freeURLs(t, 2)
	text := &stack.Text{}
	c, err := Open(Options{Endpoints: urls[:1], Log: slog.New(slog.NewTextHandler(text, nil)), Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, stop := startWatcher(t, c, sink, WatchOptions{Held: info.Revision, Retry: 200 * time.Millisecond})
	defer stop()
	until(t, "the log says so", func() bool {
		said := text.String()
		return strings.Contains(said, "etcd is away") && strings.Contains(said, "trying etcd again") && strings.Contains(said, "retry_in=")
	})
	if w.Synced() || w.Connected() || !w.LastContact().IsZero() || w.Revision() != 3 || len(sink.lines()) != len(recs) {
		t.Error(w.Synced(), w.Connected(), w.LastContact(), w.Revision(), sink.lines())
	}

	p := launchMember(t, EmbedOptions{Dir: t.TempDir(), ClientURL: urls[0], PeerURL: urls[1]})
	p.await(t)
	until(t, "connected", w.Connected)
	// It is empty and knows less than the snapshot: it doesn't take the records away.
	if w.Synced() || len(sink.lines()) != len(recs) {
		t.Error(w.Synced(), sink.lines())
	}
	if _, err := c.Write(t.Context(), edits(Add, recs[:3])...); err != nil {
		t.Fatal(err)
	}
	same(t, c, sink)
	until(t, "synced", w.Synced)

	p.kill()
	until(t, "disconnected", func() bool { return !w.Connected() })
	if !w.Synced() || len(sink.lines()) != 3 {
		t.Error(w.Synced(), sink.lines())
	}
	p = p.restart(t)
	p.await(t)
	if _, err := c.Write(t.Context(), edits(Add, recs)...); err != nil {
		t.Fatal(err)
	}
	same(t, c, sink)
	until(t, "the log says it is back", func() bool { return strings.Contains(text.String(), "etcd is back") })
}

// Three members, each in its process: the leader is killed, then the quorum.
func TestCluster(t *testing.T) {
	t.Parallel()
	clients, peers := freeURLs(t, 3), freeURLs(t, 3)
	names := []string{"a", "b", "c"}
	cluster := map[string]string{"a": peers[0], "b": peers[1], "c": peers[2]}
	members := make([]*process, 3)
	for i, name := range names {
		members[i] = launchMember(t, EmbedOptions{
			Dir: t.TempDir(), Name: name, ClientURL: clients[i], PeerURL: peers[i], InitialCluster: cluster,
		})
	}
	for _, p := range members {
		p.await(t)
	}
	c, err := Open(Options{Endpoints: clients, Log: testLog(t), Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	recs := many(t, 10, "example.org", "static")
	sink := &tableSink{}
	w, stop := startWatcher(t, c, sink, WatchOptions{Retry: 200 * time.Millisecond})
	defer stop()
	if _, err := c.Add(t.Context(), recs[0]); err != nil {
		t.Fatal(err)
	}
	same(t, c, sink)

	write := func(rec Record) func() bool {
		return func() bool {
			_, err := c.Add(t.Context(), rec)
			if err != nil && !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
			return err == nil
		}
	}
	leader := leaderOf(t, c, clients)
	members[leader].kill()
	began := time.Now()
	until(t, "a write without the old leader", write(recs[1]))
	t.Logf("leader killed: writes back after %s", time.Since(began).Round(time.Millisecond))
	same(t, c, sink)

	other := (leader + 1) % 3
	members[other].kill()
	until(t, "disconnected", func() bool { return !w.Connected() })
	held := sink.lines()
	began = time.Now()
	_, err = c.Add(t.Context(), recs[2])
	if took := time.Since(began); took > 20*time.Second || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "within 3s; nothing was changed") {
		t.Errorf("without a quorum: after %s: %v", took, err)
	}
	if got := sink.lines(); !slices.Equal(got, held) || len(held) != 2 || !w.Synced() {
		t.Errorf("without a quorum: %q", got)
	}

	members[leader], members[other] = members[leader].restart(t), members[other].restart(t)
	members[leader].await(t)
	members[other].await(t)
	until(t, "a write with all again", write(recs[3]))
	until(t, "connected", w.Connected)
	same(t, c, sink)

	// The one that was away longest knows all of it.
	at := client(t, clients[leader])
	if got := stored(t, at); len(got) != 3 {
		t.Errorf("%q", got)
	}
}

func leaderOf(t testing.TB, c *Client, endpoints []string) int {
	t.Helper()
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	for i, url := range endpoints {
		st, err := etcd.Status(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if st.Header.MemberId == st.Leader {
			return i
		}
	}
	t.Fatal("no leader")
	return 0
}
