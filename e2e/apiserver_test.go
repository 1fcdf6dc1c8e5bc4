package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/strata-dns/strata/e2e/controlplane"
	"github.com/strata-dns/strata/e2e/stack"
)

// These stories run against a real API server with its etcd and its EndpointSlice
// controllers, `authoritative monitor` beside it, etcd's records, and
// `authoritative serve` that is asked over UDP. They share one control plane, which
// takes five seconds and 500 MB; where it could not be built they are skipped.

const clusterZones = `
zones:
  - {name: cluster.local, source: etcd, negative_ttl: 1s}
  - {name: prd.example.com, source: etcd}
  - {name: 10.in-addr.arpa, source: etcd}
  - {name: 2.0.192.in-addr.arpa, source: etcd}
  - {name: d.f.ip6.arpa, source: etcd}
`

const clusterServer = clusterZones + `
etcd: {endpoints: ["http://127.0.0.1:{{.EtcdPort}}"]}
listen: ["127.0.0.1:{{.Port}}"]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`

// A lived is a cluster that is lived in: the monitor and the server are those that
// the stories share.
type lived struct {
	*stack.Stack
	cluster *controlplane.Cluster
	server  *stack.Server
	monitor *stack.Server
	fresh   int // fresh lists so far
}

// TestAPIServer are the stories, in this order.
func TestAPIServer(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("a control plane takes half a minute: not with -short")
	}
	needBinaries(t)
	program, err := controlplane.Program("..")
	if err != nil {
		t.Skip(err)
	}
	l := live(t, program)
	for _, story := range []struct {
		name string
		tell func(*testing.T, *lived)
	}{
		{"Specification", specification},
		{"Selector", selector},
		{"Deletions", deletions},
		{"Events", events},
		{"TwoClusters", twoClusters},
		{"Away", apiServerAway},
		{"Expired", watchExpired},
		{"Behind", oneBehind},
		{"Killed", killedAmidSync},
		{"Stopped", stoppedClock},
		{"Brake", massDeletion},
	} {
		ok := t.Run(story.name, func(t *testing.T) {
			logsOnFailure(t, l.Stack)
			story.tell(t, l)
		})
		if !ok { // what follows would tell of this one's remains
			return
		}
	}
}

func live(t *testing.T, program string) *lived {
	t.Helper()
	c, err := controlplane.Start(t.Context(), controlplane.Options{Program: program, Dir: t.TempDir(), Controllers: true})
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lived{cluster: c, Stack: newStack(t, stack.AuthoritativesOnly)}
	l.server = extra(t, l.Stack, "kubernetes", "authoritative", clusterServer)
	l.allow(t)
	l.apply(t, steady)
	l.monitor = l.monitoring(t, "monitor", "town", l.cluster.Kubeconfig(controlplane.Monitor), "")
	must(t, l.Ready(t.Context(), l.server))
	must(t, l.Ready(t.Context(), l.monitor))
	l.settle(t)
	return l
}

// allow applies the role of configs/kubernetes, strictly validated, and gives the
// part without events to the monitors' user: list and watch only.
func (l *lived) allow(t *testing.T) {
	t.Helper()
	_, err := l.cluster.Kubectl(t.Context(), "apply", "--validate=strict", "-f", "../configs/kubernetes/monitor.yaml")
	must(t, err)
	l.bind(t, "strata-monitor")
	for _, file := range []string{"authoritative", "prober", "nodecache"} { // the API would take them, too
		if out, err := l.cluster.Kubectl(t.Context(), "apply", "--dry-run=server", "--validate=strict", "-f", "../configs/kubernetes/"+file+".yaml"); err != nil {
			t.Errorf("%s: %v: %s", file, err, out)
		}
	}
}

func (l *lived) bind(t *testing.T, role string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role + "-user"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: controlplane.Monitor}},
	}
	_, err := l.cluster.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{})
	must(t, err)
	may := &authorizationv1.ResourceAttributes{Namespace: "default", Verb: "list", Resource: "services"}
	if role == "strata-monitor-events" {
		may = &authorizationv1.ResourceAttributes{Namespace: "default", Verb: "create", Resource: "events"}
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: controlplane.Monitor, ResourceAttributes: may}}
	l.until(t, "that the API server knows of the binding", func() bool {
		said, err := l.cluster.Client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		return err == nil && said.Status.Allowed
	})
}

// apply applies a manifest with kubectl.
func (l *lived) apply(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.yaml")
	writeFile(t, file, text)
	_, err := l.cluster.Kubectl(t.Context(), "apply", "--validate=strict", "-f", file)
	must(t, err)
}

// monitoring starts a monitor for a cluster name with a kubeconfig; more are keys of
// the section, and of the file behind it.
func (l *lived) monitoring(t *testing.T, id, name, kubeconfig, more string) *stack.Server {
	t.Helper()
	config := clusterZones
	if !strings.Contains(more, "\netcd:") {
		config += "etcd: {endpoints: [\"http://127.0.0.1:{{.EtcdPort}}\"]}\n"
	}
	server, err := l.Extra(id, "authoritative", config+`
monitor:
  cluster: `+name+`
  kubeconfig: "`+kubeconfig+`"
  pods: true
  external: {zone: prd.example.com}
  admin: "127.0.0.1:{{.AdminPort}}"
  control: "{{.Dir}}/{{.ID}}.sock"
`+more)
	must(t, err)
	server.Args[0] = "monitor"
	must(t, server.Start())
	return server
}

// equal asserts the full compare: what etcd holds of a cluster is what a monitor that
// knows nothing yet makes of a fresh list, under a prefix of its own.
func (l *lived) equal(t *testing.T, name, kubeconfig string) {
	t.Helper()
	l.fresh++
	id := fmt.Sprintf("fresh-%d", l.fresh)
	fresh := l.monitoring(t, id, name, kubeconfig, "\netcd: {endpoints: [\"http://127.0.0.1:{{.EtcdPort}}\"], prefix: /"+id+"}\n")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	must(t, stack.Until(ctx, func() bool { ready, _ := fresh.IsReady(ctx); return ready && l.pending(t, fresh) == 0 }))
	owner := "kubernetes:" + name
	want := records(t, l.Stack, fresh, "list", "--owner", owner)
	must(t, fresh.Stop())
	var got string
	deadline := time.Now().Add(time.Minute)
	for {
		if got = records(t, l.Stack, l.monitor, "list", "--owner", owner); got == want || time.Now().After(deadline) {
			break
		}
	}
	if got != want {
		t.Fatalf("etcd's records are not those of a fresh list: %s", difference(got, want))
	}
	if strings.Count(want, "\n") < 10 {
		t.Fatalf("a fresh list gives no records:\n%s", want)
	}
}

func (l *lived) pending(t *testing.T, monitor *stack.Server) float64 {
	t.Helper()
	counters, err := monitor.Counters(t.Context())
	must(t, err)
	return counters.Sum("strata_monitor_pending")
}

// difference names lines that only one of two texts has, ten at most.
func difference(got, want string) string {
	count := map[string]int{}
	for line := range strings.Lines(got) {
		count[line]++
	}
	for line := range strings.Lines(want) {
		count[line]--
	}
	var b strings.Builder
	shown := 0
	for line, n := range count {
		if n == 0 {
			continue
		}
		if shown++; shown <= 10 {
			fmt.Fprintf(&b, "\n%+d %s", n, strings.TrimSpace(line))
		}
	}
	return fmt.Sprintf("%d lines%s", shown, b.String())
}

// answers waits for an answer, two minutes at most.
func (l *lived) answers(t *testing.T, name string, typ uint16, want ...string) {
	t.Helper()
	l.until(t, fmt.Sprintf("%s of %s: %q", dns.TypeToString[typ], name, want), func() bool {
		reply, err := exchange(l.server, name, typ)
		return answered(reply, err, want...)
	})
}

// denies waits for NXDOMAIN with the zone's SOA.
func (l *lived) denies(t *testing.T, name string) {
	t.Helper()
	l.until(t, "no "+name, func() bool {
		reply, err := exchange(l.server, name, dns.TypeA)
		return err == nil && reply.Rcode == dns.RcodeNameError && len(reply.Ns) == 1 && reply.Ns[0].Header().Rrtype == dns.TypeSOA
	})
}

func (l *lived) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := stack.Until(ctx, holds); err != nil {
		t.Fatalf("not seen in two minutes: %s", what)
	}
}

// service makes a Service with an address of the cluster, whatever it is.
func (l *lived) service(t *testing.T, namespace, name string) *corev1.Service {
	t.Helper()
	s, err := l.cluster.Client.CoreV1().Services(namespace).Create(t.Context(), plainService(name), metav1.CreateOptions{})
	must(t, err)
	return s
}

func plainService(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
}

func (l *lived) namespace(t *testing.T, name string) {
	t.Helper()
	_, err := l.cluster.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
}

// endpoints makes the slice of a Service that has no selector.
func endpoints(name, service string, addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, address := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	}
	return s
}
