package kube

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/e2e/stack"
)

// A bench is an etcd of the test's own, and a client of it.
type bench struct {
	t      *testing.T
	client *store.Client
	log    *stack.Text
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, log: &stack.Text{}}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	etcd, err := store.Embed(t.Context(), store.EmbedOptions{Dir: t.TempDir(), ClientURL: "http://127.0.0.1:0", PeerURL: "http://127.0.0.1:0", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := etcd.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(b.log)
		}
	})
	if b.client, err = store.Open(store.Options{Endpoints: etcd.Endpoints(), Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.client.Close() })
	return b
}

func (b *bench) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b.log, nil)) }

// writer starts a writer of a state, with a cluster's history where rewound is
// given.
func (b *bench) writer(state *State, maxDelete float64, rewound func(context.Context, int64) (bool, error)) *Writer {
	w := NewWriter(state, WriterOptions{Client: b.client, Cluster: "town", Resync: time.Hour, MaxDelete: maxDelete, Rewound: rewound, Log: b.logger()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.t.Cleanup(func() { cancel(); <-done })
	return w
}

// state makes a state that all objects of a manifest have been told to.
func (b *bench) state(position int64, text string) *State {
	s := NewState(testOptions(), b.logger())
	var of [kinds][]metav1.Object
	for _, object := range objects(b.t, text) {
		kind, _ := kindOf(object)
		of[kind] = append(of[kind], object)
	}
	for kind := range kinds {
		s.Replace(kind, position, of[kind])
	}
	s.Synced()
	return s
}

// holds waits until an owner's records are these, dns-version aside.
func (b *bench) holds(owner string, want ...string) {
	b.t.Helper()
	slices.Sort(want)
	var got []string
	until(b.t, func() bool {
		got = b.records(owner)
		return slices.Equal(got, want)
	}, func() string {
		return fmt.Sprintf("etcd holds\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	})
}

func (b *bench) records(owner string) []string {
	b.t.Helper()
	var all []store.Record
	for rec, err := range b.client.List(b.t.Context(), []byte{0}, owner) {
		if err != nil {
			b.t.Fatal(err)
		}
		data := make([][]byte, len(rec.Data))
		for i := range rec.Data {
			data[i] = slices.Clone(rec.Data[i])
		}
		rec.Name, rec.Data = slices.Clone(rec.Name), data
		all = append(all, rec)
	}
	return slices.DeleteFunc(lines(all), func(line string) bool { return strings.HasPrefix(line, "dns-version.") })
}

func (b *bench) put(owner, name, typ string, data ...string) {
	b.t.Helper()
	rec, err := store.NewRecord(name, typ, owner, 5, data...)
	if err == nil {
		_, err = b.client.Set(b.t.Context(), rec)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// until waits for what must come about, long enough for a busy machine.
func until(t *testing.T, holds func() bool, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what())
		}
	}
}

const owner = "kubernetes:town"

func cluster(name, address string) string {
	return "---\n" + strings.Replace(service("spec: {clusterIP: "+address+"}"), "web", name, 1)
}

func a(name, address string) string { return name + ".shop.svc.cluster.local. 5 A " + address }

// What is in etcd when a writer starts becomes what it should be; others' stays.
// Then what events say is done at once, and what is right is not written.
func TestWriter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(owner, "right.shop.svc.cluster.local", "A", "172.16.0.1")
	b.put(owner, "wrong.shop.svc.cluster.local", "A", "172.16.0.9")
	b.put(owner, "alias.shop.svc.cluster.local", "CNAME", "a.example.")
	b.put(owner, "left.shop.svc.cluster.local", "A", "172.16.0.9")
	b.put("kubernetes:village", "left.shop.svc.cluster.local", "A", "172.16.0.8")
	s := b.state(0, cluster("right", "172.16.0.1")+cluster("wrong", "172.16.0.2")+cluster("alias", "172.16.0.3")+cluster("missing", "172.16.0.4"))
	w := b.writer(s, 0.3, nil)
	b.holds(owner, a("right", "172.16.0.1"), a("wrong", "172.16.0.2"), a("alias", "172.16.0.3"), a("missing", "172.16.0.4"))
	b.holds("kubernetes:village", a("left", "172.16.0.8"))
	until(t, w.Ready, w.Reason)
	if written, deleted := w.written.Load(), w.deleted.Load(); written != 4 || deleted != 2 { // dns-version among them
		t.Errorf("%d written, %d deleted", written, deleted)
	}

	// All of them, which no brake holds: events say so.
	s.Change(0, objects(t, service("spec: {type: ExternalName, externalName: b.example}")), objects(t, cluster("right", "172.16.0.1")+cluster("wrong", "")+cluster("alias", "")+cluster("missing", "")))
	b.holds(owner, "web.shop.svc.cluster.local. 5 CNAME b.example.")
	s.Change(0, objects(t, service("spec: {clusterIP: 172.16.0.5}")), nil) // an alias makes room for an address
	b.holds(owner, a("web", "172.16.0.5"))
	counted := func(want uint64) { // what is in etcd is counted a moment later
		t.Helper()
		until(t, func() bool { return w.written.Load() >= want }, func() string { return fmt.Sprintf("%d written", w.written.Load()) })
		if n := w.written.Load(); n != want {
			t.Errorf("%d written, want %d", n, want)
		}
	}
	counted(6)
	s.Change(0, objects(t, service("spec: {clusterIP: 172.16.0.5, externalIPs: [192.0.2.1]}")), nil)
	s.Change(0, objects(t, cluster("last", "172.16.0.6")), nil)
	b.holds(owner, a("web", "172.16.0.5"), a("last", "172.16.0.6"))
	counted(7)
}

// The PTR of an address that two Services choose has both names, until one is gone.
func TestShared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := service("spec: {clusterIP: None}") + slice("IPv4", "", "{addresses: [10.1.0.1], hostname: pet}")
	second := strings.ReplaceAll(first, "web", "db")
	s := b.state(0, first+"---\n"+second)
	b.writer(s, 0.3, nil)
	pet := func(name string) []string {
		return []string{"pet." + a(name, "10.1.0.1"), a(name, "10.1.0.1"), "1.0.1.10.in-addr.arpa. 5 PTR pet." + name + ".shop.svc.cluster.local."}
	}
	b.holds(owner, append(pet("web"), pet("db")...)...)
	s.Change(0, nil, objects(t, second)[:1])
	b.holds(owner, pet("web")...)
}

// What a list lacks is inferred to be gone: a few go, many are kept by the brake,
// until events name them.
func TestBrake(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all := ""
	var want []string
	for i := range 10 {
		name, address := fmt.Sprintf("s%d", i), fmt.Sprintf("172.16.0.%d", i)
		all += cluster(name, address)
		want = append(want, a(name, address))
	}
	s := b.state(0, all)
	w := b.writer(s, 0.3, nil)
	b.holds(owner, want...)
	list := objects(t, all)
	s.Replace(Services, 0, list[2:]) // 2 of 11
	b.holds(owner, want[2:]...)
	compared := w.compared.Load()
	s.Replace(Services, 0, nil) // as from a cluster that lost its data
	until(t, func() bool { return w.compared.Load() != compared && w.withheld.Load() == 8 }, w.Reason)
	b.holds(owner, want[2:]...)
	if !strings.Contains(w.Reason(), "the brake keeps 8 RRsets") {
		t.Errorf("reason: %q", w.Reason())
	}
	s.Change(0, list[2:], nil)
	s.Change(0, nil, list[2:])
	b.holds(owner)
}

// A writer that knows less than another one undoes nothing, and goes on when it
// has caught up; a history that went back is followed.
func TestBehind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var newest sync.Map
	newest.Store("at", int64(1<<40))
	rewound := func(_ context.Context, position int64) (bool, error) {
		at, _ := newest.Load("at")
		return at.(int64) < position, nil
	}
	fresh := b.state(200, cluster("web", "172.16.0.2"))
	b.writer(fresh, 1, rewound)
	b.holds(owner, a("web", "172.16.0.2"))

	stale := b.state(100, cluster("web", "172.16.0.1")+cluster("gone", "172.16.0.1"))
	w := b.writer(stale, 1, rewound)
	until(t, func() bool { return w.behind.Load() > 2 }, w.Reason)
	if w.Ready() || !strings.Contains(w.Reason(), "another monitor") {
		t.Errorf("ready %v: %q", w.Ready(), w.Reason())
	}
	b.holds(owner, a("web", "172.16.0.2"))
	fresh.Change(201, objects(t, cluster("new", "172.16.0.3")), nil)
	b.holds(owner, a("web", "172.16.0.2"), a("new", "172.16.0.3"))

	stale.Change(201, objects(t, cluster("web", "172.16.0.2")+cluster("new", "172.16.0.3")), objects(t, cluster("gone", "")))
	until(t, w.Ready, w.Reason)
	b.holds(owner, a("web", "172.16.0.2"), a("new", "172.16.0.3"))

	newest.Store("at", int64(50))
	restored := b.state(50, cluster("web", "172.16.0.9"))
	b.writer(restored, 1, rewound)
	b.holds(owner, a("web", "172.16.0.9"))
	for kind := range kinds { // those that were there already list anew, and go on from there
		for _, s := range []*State{fresh, stale} {
			s.Replace(kind, 51, restored.list(kind))
		}
	}
	fresh.Change(52, objects(t, cluster("web", "172.16.0.8")), nil)
	b.holds(owner, a("web", "172.16.0.8"))
	if _, position := fresh.takeDirty(batch, owner); position != 52 {
		t.Errorf("it goes on from %d", position)
	}
}

// list gives a state's objects of a kind.
func (s *State) list(kind Kind) (all []metav1.Object) {
	if kind == Services {
		for key := range s.services {
			all = append(all, s.serviceAt(key))
		}
	}
	return all
}

// What etcd does not take is said, and what is beside it is written.
func TestRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	endpoints := make([]string, 0, 15_000)
	for i := range cap(endpoints) {
		endpoints = append(endpoints, fmt.Sprintf("{addresses: [172.16.%d.%d], hostname: h%062d}", i>>8, i&255, i))
	}
	huge := b.state(0, service("spec: {clusterIP: None}")+slice("IPv4", http, strings.Join(endpoints, ", "))+cluster("small", "172.31.0.1"))
	w := b.writer(huge, 1, nil)
	until(t, func() bool { return w.failures.Load() > 0 && huge.Counts().Pending == 0 }, w.Reason)
	if got := b.records(owner); !slices.Contains(got, a("small", "172.31.0.1")) {
		t.Error("what is beside it is not written")
	}
	if !strings.Contains(b.log.String(), "_http._tcp.web.shop.svc.cluster.local") {
		t.Error("the log does not name it")
	}
}

// Nothing is written before all objects have been told of.
func TestNotSynced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(owner, "web.shop.svc.cluster.local", "A", "172.16.0.1")
	s := NewState(testOptions(), b.logger())
	w := b.writer(s, 1, nil)
	s.Change(1, objects(t, cluster("db", "172.16.0.2")), nil)
	if got := b.records(owner); !slices.Equal(got, []string{a("web", "172.16.0.1")}) || w.Ready() || s.Counts().Pending != 0 {
		t.Errorf("%q, ready %v, %+v", got, w.Ready(), s.Counts())
	}
	s.Synced()
	b.holds(owner, a("db", "172.16.0.2"))
}
