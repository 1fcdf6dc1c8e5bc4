package kube

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/strata-dns/strata/e2e/stack"
)

// aloud starts an announcer on a fake API server.
func aloud(t *testing.T, api API, log *stack.Text) (*State, *announcer) {
	b := &bench{t: t, log: log}
	s := NewState(testOptions(), b.logger())
	a := newAnnouncer(api, b.logger())
	s.announce = a.take
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s, a
}

var wrongTTL = strings.Replace(service("spec: {clusterIP: 172.16.0.1}"), "{name: web,", "{name: web, uid: u-1, annotations: {strata-dns.io/ttl: soon},", 1)

// Two monitors say of an object what is wrong with it: there is one event. What is
// wrong in another way is another one.
func TestEvents(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	events := func() []corev1.Event {
		list, err := api.CoreV1().Events("shop").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	log := &stack.Text{}
	one, a := aloud(t, api, log)
	two, b := aloud(t, api, log)
	for _, s := range []*State{one, two} {
		s.Change(1, objects(t, wrongTTL), nil)
	}
	until(t, func() bool { return len(events()) == 1 && len(a.waiting)+len(b.waiting) == 0 }, log.String)
	e := events()[0]
	if e.InvolvedObject.UID != "u-1" || e.InvolvedObject.Name != "web" || e.Type != corev1.EventTypeWarning || !strings.Contains(e.Message, `"soon"`) {
		t.Errorf("%+v", e)
	}
	one.Change(2, objects(t, strings.Replace(wrongTTL, "soon", "late", 1)), nil)
	until(t, func() bool { return len(events()) == 2 }, log.String)
}

// One that may not create events says so once, and asks no more.
func TestEventsForbidden(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	var asked atomic.Int32
	api.PrependReactor("create", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked.Add(1)
		return true, nil, apierrors.NewForbidden(corev1.Resource("events"), "", nil)
	})
	log := &stack.Text{}
	s, _ := aloud(t, api, log)
	s.Change(1, objects(t, wrongTTL), nil)
	until(t, func() bool { return strings.Contains(log.String(), "may not create them") }, log.String)
	for range 2 * complaintsMost { // nobody waits, though nobody listens
		s.announce(complaint{kind: "Service", namespace: "shop", name: "web"})
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it asked %d times", n)
	}
}
