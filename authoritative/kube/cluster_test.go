package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// These tests speak to client-go's fake clientset: its objects, lists and watches
// are in memory. It gives no resource versions, lists no pages and compacts
// nothing; what a real API server does is not shown here.

// source starts a cluster's source on a fake API server.
func (b *bench) source(api API, pods bool) (*State, *Cluster) {
	opts := testOptions()
	opts.Pods = pods
	s := NewState(opts, b.logger())
	c := NewCluster(s, api, pods, b.logger())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.t.Cleanup(func() { cancel(); <-done })
	return s, c
}

func runtimeObjects(t *testing.T, text string) (all []runtime.Object) {
	for _, object := range objects(t, text) {
		all = append(all, object.(runtime.Object))
	}
	return all
}

const pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Running, podIP: 172.16.7.1}\n"

// What is there is listed, what comes, changes and goes is watched: all four kinds.
func TestFakeCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	api := fake.NewClientset(runtimeObjects(t, cluster("first", "172.16.0.1"))...)
	s, c := b.source(api, true)
	b.writer(s, 0.3, c.Rewound)
	b.holds(owner, a("first", "172.16.0.1"))
	until(t, c.Ready, c.Reason)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := objects(t, service("spec: {clusterIP: None}")+slice("IPv4", "", "{addresses: [172.16.1.1], hostname: pet}")+pod+"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {strata-dns.io/ttl: \"9\"}}\n")
	must(api.CoreV1().Services("shop").Create(ctx, db[0].(*corev1.Service), metav1.CreateOptions{}))
	must(api.DiscoveryV1().EndpointSlices("shop").Create(ctx, db[1].(*discoveryv1.EndpointSlice), metav1.CreateOptions{}))
	must(api.CoreV1().Pods("shop").Create(ctx, db[2].(*corev1.Pod), metav1.CreateOptions{}))
	const podA = "172-16-7-1.shop.pod.cluster.local. 5 A 172.16.7.1"
	b.holds(owner, a("first", "172.16.0.1"), a("web", "172.16.1.1"), "pet."+a("web", "172.16.1.1"), podA)
	must(api.CoreV1().Namespaces().Create(ctx, db[3].(*corev1.Namespace), metav1.CreateOptions{}))
	nine := func(line string) string { return strings.Replace(line, " 5 A ", " 9 A ", 1) }
	b.holds(owner, nine(a("first", "172.16.0.1")), nine(a("web", "172.16.1.1")), nine("pet."+a("web", "172.16.1.1")), podA)
	empty := db[1].(*discoveryv1.EndpointSlice).DeepCopy()
	empty.Endpoints = nil
	must(api.DiscoveryV1().EndpointSlices("shop").Update(ctx, empty, metav1.UpdateOptions{}))
	b.holds(owner, nine(a("first", "172.16.0.1")), podA)
	must(nil, api.CoreV1().Services("shop").Delete(ctx, "first", metav1.DeleteOptions{}))
	must(nil, api.CoreV1().Pods("shop").Delete(ctx, "p", metav1.DeleteOptions{}))
	b.holds(owner)
	if n := s.Counts(); n.Objects != [kinds]int{1, 1, 1, 0} {
		t.Errorf("%+v", n)
	}
}

// A watch that breaks off, an API server that is away, and then a list in which
// something is missing: nothing goes while it is away, and what is missing goes by
// the compare.
func TestFakeClusterAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all := ""
	for i := range 10 {
		all += cluster(fmt.Sprintf("s%d", i), fmt.Sprintf("172.16.0.%d", i))
	}
	api := fake.NewClientset(runtimeObjects(t, all)...)
	var mu sync.Mutex
	away := false
	var watches []*watch.RaceFreeFakeWatcher
	refuse := func() error {
		mu.Lock()
		defer mu.Unlock()
		if away {
			return apierrors.NewServiceUnavailable("it is away")
		}
		return nil
	}
	api.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		err := refuse()
		return err != nil, nil, err
	})
	api.PrependWatchReactor("*", func(clienttesting.Action) (bool, watch.Interface, error) {
		if err := refuse(); err != nil {
			return true, nil, err
		}
		w := watch.NewRaceFreeFake()
		mu.Lock()
		defer mu.Unlock()
		watches = append(watches, w)
		return true, w, nil
	})
	s, c := b.source(api, false)
	b.writer(s, 0.3, c.Rewound)
	until(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(watches) == 3 }, c.Reason)
	var before []string
	until(t, func() bool { before = b.records(owner); return len(before) == 10 }, func() string { return fmt.Sprint(before) })

	mu.Lock()
	away = true
	for _, w := range watches {
		w.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
		w.Stop()
	}
	watches = nil
	mu.Unlock()
	until(t, func() bool { return !c.Ready() && strings.Contains(c.Reason(), "away") }, c.Reason)
	if err := api.CoreV1().Services("shop").Delete(t.Context(), "s3", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := b.records(owner); !slices.Equal(before, after) {
		t.Errorf("while it was away %q became %q", before, after)
	}
	mu.Lock()
	away = false
	mu.Unlock()
	want := slices.DeleteFunc(before, func(line string) bool { return strings.HasPrefix(line, "s3.") })
	b.holds(owner, want...)
	until(t, c.Ready, c.Reason)
}

// A kubeconfig that is none, and a process that is in no cluster.
func TestConnect(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Connect(""); err == nil || !strings.Contains(err.Error(), "monitor.kubeconfig or monitor.manifests is needed") {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if _, err := Connect(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	text := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\"}}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(path); err != nil { // the cluster itself may be away
		t.Error(err)
	}
}
