package store

import (
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// BenchmarkChanges is what it costs to decode a change, from a watch's event to what a
// sink is told.
func BenchmarkChanges(b *testing.B) {
	const batch = 1000
	c := &Client{keys: newKeys(DefaultPrefix)}
	w := NewWatcher(c, &countSink{}, WatchOptions{})
	var events []*mvccpb.Event
	for i := range batch {
		rec := record(b, fmt.Sprintf("host-%d.namespace-%d.svc.example.org", i, i%100), "A", "static", 30, fmt.Sprintf("10.0.%d.%d", i>>8, i&255))
		value, err := appendValue(nil, rec)
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte(c.keys.key(rec.Name, rec.Type, rec.Owner)), Value: value, ModRevision: 1 << 20, CreateRevision: 1, Version: 3}})
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		list := make([]*clientv3.Event, len(events))
		for i, ev := range events {
			list[i] = (*clientv3.Event)(ev)
		}
		if len(w.changesOf(list)) != batch {
			b.Fatal("not all")
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*batch), "ns/change")
}

// What a response has been decoded into serves the next one: changes that come by the
// ten thousand a second leave little to collect.
func TestChangesReuseMemory(t *testing.T) {
	c := &Client{keys: newKeys(DefaultPrefix)}
	w := NewWatcher(c, &countSink{}, WatchOptions{})
	events := func(n int) (list []*clientv3.Event) {
		for i := range n {
			rec := record(t, fmt.Sprintf("host-%d.example.org", i), "A", "static", 30, fmt.Sprintf("10.0.%d.%d", i>>8, i&255))
			value, err := appendValue(nil, rec)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, &clientv3.Event{Kv: &mvccpb.KeyValue{Key: []byte(c.keys.key(rec.Name, rec.Type, rec.Owner)), Value: value}})
		}
		return list
	}
	few := events(25)
	w.changesOf(few)
	if n := testing.AllocsPerRun(100, func() { w.changesOf(few) }); n > 2*float64(len(few))+5 {
		t.Errorf("%v allocations for %d changes", n, len(few))
	}
	w.changesOf(events(2 * manyEvents))
	if got := w.changesOf(few); len(got) != len(few) || cap(w.changes) > manyEvents {
		t.Errorf("%d changes, room for %d is kept", len(got), cap(w.changes))
	}
	for i, ch := range w.changesOf(few) {
		if want := record(t, fmt.Sprintf("host-%d.example.org", i), "A", "static", 30, fmt.Sprintf("10.0.0.%d", i)); line(ch.Record) != line(want) {
			t.Errorf("change %d is %s, not %s", i, line(ch.Record), line(want))
		}
	}
}
