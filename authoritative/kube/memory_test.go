package kube

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/strata-dns/strata/core/wire"
)

// A crowd is a cluster of n Services with ten endpoints each, as an API server gives
// its objects: the first of every ten Services headless, or all of them.
func crowd(n int, allHeadless bool) (services, endpointSlices []metav1.Object) {
	ready, port, name, tcp := true, int32(8080), "http", corev1.ProtocolTCP
	for i := range n {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("service-%d", i), Namespace: fmt.Sprintf("namespace-%d", i%500),
			Labels: map[string]string{"app.kubernetes.io/name": fmt.Sprintf("service-%d", i)}, ResourceVersion: fmt.Sprint(i),
			UID: "01234567-89ab-cdef-0123-456789abcdef",
		}}
		s.Spec.Ports = []corev1.ServicePort{{Name: name, Protocol: tcp, Port: 80}}
		if s.Spec.ClusterIP = corev1.ClusterIPNone; !allHeadless && i%10 != 0 {
			s.Spec.ClusterIP = fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&255, i&255)
		}
		e := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Name: s.Name + "-abcde", Namespace: s.Namespace, ResourceVersion: fmt.Sprint(i),
				Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
			},
			AddressType: discoveryv1.AddressTypeIPv4,
			Ports:       []discoveryv1.EndpointPort{{Name: &name, Protocol: &tcp, Port: &port}},
		}
		for j := range 10 {
			pod, node := 10*i+j, fmt.Sprintf("node-%d", i%1000)
			host := fmt.Sprintf("pod-%d", j)
			e.Endpoints = append(e.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{fmt.Sprintf("10.%d.%d.%d", pod>>16, pod>>8&255, pod&255)}, NodeName: &node, Hostname: &host,
				Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
				TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: s.Namespace, Name: fmt.Sprintf("%s-%d", s.Name, j)},
			})
		}
		services, endpointSlices = append(services, s), append(endpointSlices, e)
	}
	return services, endpointSlices
}

func live() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// crowded is a State that holds a crowd.
func crowded(t *testing.T, n int, allHeadless bool) *State {
	t.Helper()
	s := NewState(Options{Zone: wire.MustName("cluster.local"), TTL: 5, Zones: names("cluster.local", "10.in-addr.arpa")}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	services, endpointSlices := crowd(n, allHeadless)
	for kind, objects := range map[Kind][]metav1.Object{Services: services, EndpointSlices: endpointSlices} {
		for i := range objects {
			small, err := slim(objects[i])
			if err != nil {
				t.Fatal(err)
			}
			objects[i] = small.(metav1.Object)
		}
		s.Replace(kind, 1, objects)
	}
	s.Synced()
	return s
}

// What a State keeps in memory for each endpoint, at a tenth of 50,000 Services and
// 500,000 endpoints: of those, with the room that the collector takes, less than
// 600 MiB are to come (bench, table kubernetes, has the process's figure).
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("memory is not measured with -short, which the race detector's run has")
	}
	for _, row := range []struct {
		what        string
		allHeadless bool
		most        float64 // octets for each endpoint
	}{
		{"one Service of ten is headless", false, 220},
		{"all Services are headless", true, 560},
	} {
		const n = 5000
		before := live()
		s := crowded(t, n, row.allHeadless)
		each := (live() - before) * (1 << 20) / (10 * n)
		t.Logf("%s: %d RRsets, %.0f octets for each endpoint", row.what, s.Counts().RRsets, each)
		if each > row.most {
			t.Errorf("%s: %.0f octets for each endpoint, not %.0f", row.what, each, row.most)
		}
	}
}
