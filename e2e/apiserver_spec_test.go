package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// steady is a manifest whose objects are there through all stories: one or more for
// each clause of the Kubernetes DNS specification.
const steady = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.1.1, clusterIPs: [10.96.1.1, "fd96::101"], ipFamilyPolicy: RequireDualStack, ports: [{name: http, port: 80}, {name: dns, protocol: UDP, port: 53}]}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: shop}
spec: {clusterIP: 10.96.1.2, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop, annotations: {strata-dns.io/ttl: "30"}}
spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-4, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: sql, port: 5433, protocol: TCP}]
endpoints:
  - {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
  - {addresses: [10.1.0.2], conditions: {ready: true}}
  - {addresses: [10.1.0.3], hostname: db-2, conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-6, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
ports: [{name: sql, port: 5433, protocol: TCP}]
endpoints:
  - {addresses: ["fd01::1"], hostname: db-0}
---
apiVersion: v1
kind: Service
metadata: {name: early, namespace: shop}
spec: {clusterIP: None, publishNotReadyAddresses: true}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: early-4, namespace: shop, labels: {kubernetes.io/service-name: early}}
addressType: IPv4
endpoints:
  - {addresses: [10.1.0.9], conditions: {ready: false}}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: shop}
spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: shop}
spec: {type: ExternalName, externalName: www.example.net}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {type: LoadBalancer, clusterIP: 10.96.1.3, externalIPs: [192.0.2.11], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: walker, namespace: shop}
spec: {containers: [{name: c, image: none.invalid/none}]}
`

// A clause is a row of the specification, as a question and its answer.
type clause struct {
	clause, name string
	typ          uint16
	want         string // data, separated by "; "; an RCODE; NODATA
}

var clauses = []clause{
	{"2.2 version", "dns-version.cluster.local", dns.TypeTXT, `"1.1.0"`},
	{"2.3.1 A", "web.shop.svc.cluster.local", dns.TypeA, "10.96.1.1"},
	{"2.3.1 AAAA", "web.shop.svc.cluster.local", dns.TypeAAAA, "fd96::101"},
	{"2.3.1 no AAAA of one family", "plain.shop.svc.cluster.local", dns.TypeAAAA, "NODATA"},
	{"2.3.1 a Service without endpoints", "plain.shop.svc.cluster.local", dns.TypeA, "10.96.1.2"},
	{"2.3.2 SRV", "_http._tcp.web.shop.svc.cluster.local", dns.TypeSRV, "0 100 80 web.shop.svc.cluster.local."},
	{"2.3.2 SRV, UDP", "_dns._udp.web.shop.svc.cluster.local", dns.TypeSRV, "0 100 53 web.shop.svc.cluster.local."},
	{"2.3.2 no SRV of an unnamed port", "_http._tcp.plain.shop.svc.cluster.local", dns.TypeSRV, "NXDOMAIN"},
	{"2.3.3 PTR", "1.1.96.10.in-addr.arpa", dns.TypePTR, "web.shop.svc.cluster.local."},
	{"2.3.3 PTR, IPv6", "1.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.d.f.ip6.arpa", dns.TypePTR, "web.shop.svc.cluster.local."},
	{"2.4.1 A of all ready endpoints", "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1; 10.1.0.2"},
	{"2.4.1 AAAA", "db.shop.svc.cluster.local", dns.TypeAAAA, "fd01::1"},
	{"2.4.1 A by hostname", "db-0.db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1"},
	{"2.4.1 AAAA by hostname", "db-0.db.shop.svc.cluster.local", dns.TypeAAAA, "fd01::1"},
	{"2.4.1 A by identifier", "10-1-0-2.db.shop.svc.cluster.local", dns.TypeA, "10.1.0.2"},
	{"2.4.1 not of one that is not ready", "db-2.db.shop.svc.cluster.local", dns.TypeA, "NXDOMAIN"},
	{"2.4.1 no endpoints", "empty.shop.svc.cluster.local", dns.TypeA, "NXDOMAIN"},
	{"2.4.1 publishNotReadyAddresses", "early.shop.svc.cluster.local", dns.TypeA, "10.1.0.9"},
	{"2.4.2 SRV of each endpoint", "_sql._tcp.db.shop.svc.cluster.local", dns.TypeSRV, "0 100 5433 10-1-0-2.db.shop.svc.cluster.local.; 0 100 5433 db-0.db.shop.svc.cluster.local."},
	{"2.4.3 PTR, by hostname", "1.0.1.10.in-addr.arpa", dns.TypePTR, "db-0.db.shop.svc.cluster.local."},
	{"2.4.3 PTR, by identifier", "2.0.1.10.in-addr.arpa", dns.TypePTR, "10-1-0-2.db.shop.svc.cluster.local."},
	{"2.4.3 no PTR of one that is not ready", "3.0.1.10.in-addr.arpa", dns.TypePTR, "NXDOMAIN"},
	{"2.5 ExternalName", "elsewhere.shop.svc.cluster.local", dns.TypeCNAME, "www.example.net."},
	{"2.5 ExternalName, followed", "alias.shop.svc.cluster.local", dns.TypeA, "10.96.1.1"},
	{"2.6 Pod", "10-1-9-1.shop.pod.cluster.local", dns.TypeA, "10.1.9.1"},
	{"2.6 no such Pod", "10-1-9-2.shop.pod.cluster.local", dns.TypeA, "NXDOMAIN"},
	{"outside: load balancer and externalIPs", "front.shop.prd.example.com", dns.TypeA, "192.0.2.10; 192.0.2.11"},
	{"outside: SRV", "_http._tcp.front.shop.prd.example.com", dns.TypeSRV, "0 100 80 front.shop.prd.example.com."},
	{"outside: PTR where we hold the zone", "10.2.0.192.in-addr.arpa", dns.TypePTR, "front.shop.prd.example.com."},
	{"DNS: empty non-terminals exist (RFC 8020)", "svc.cluster.local", dns.TypeA, "NODATA"},
	{"DNS: empty non-terminals exist (RFC 8020)", "shop.svc.cluster.local", dns.TypeA, "NODATA"},
	{"DNS: empty non-terminals exist (RFC 8020)", "_tcp.web.shop.svc.cluster.local", dns.TypeA, "NODATA"},
	{"DNS: another type", "web.shop.svc.cluster.local", dns.TypeMX, "NODATA"},
	{"DNS: names there are not", "none.shop.svc.cluster.local", dns.TypeA, "NXDOMAIN"},
	{"DNS: names there are not", "web.none.svc.cluster.local", dns.TypeA, "NXDOMAIN"},
	{"DNS: names there are not", "any.web.shop.svc.cluster.local", dns.TypeA, "NXDOMAIN"},
	{"DNS: the case asked for", "WEB.Shop.SVC.cluster.local", dns.TypeA, "10.96.1.1"},
}

// Each clause of the specification, from kubectl to dig's side. The monitor may list
// and watch, and nothing else.
func specification(t *testing.T, l *lived) {
	for _, c := range clauses {
		var got string
		l.until(t, fmt.Sprintf("%s: %s of %s: %s", c.clause, dns.TypeToString[c.typ], c.name, c.want), func() bool {
			reply, err := exchange(l.server, c.name, c.typ)
			if err != nil {
				return false
			}
			if got = verdict(reply); got != c.want {
				return false
			}
			if asked := reply.Question[0].Name; asked != dns.Fqdn(c.name) || len(reply.Answer) > 0 && reply.Answer[0].Header().Name != asked {
				t.Errorf("%s: the asker's case is not kept: %s", c.clause, reply)
			}
			return true
		})
	}
	for _, c := range clauses { // what an SRV points at is there
		if c.typ != dns.TypeSRV || strings.HasPrefix(c.want, "N") {
			continue
		}
		for _, rr := range ask(t, l.server, c.name, c.typ).Answer {
			if reply := ask(t, l.server, rr.(*dns.SRV).Target, dns.TypeA); len(data(reply)) == 0 {
				t.Errorf("%s points at what has no address: %s", c.name, reply)
			}
		}
	}
	if reply := ask(t, l.server, "db.shop.svc.cluster.local", dns.TypeA); reply.Answer[0].Header().Ttl != 30 {
		t.Errorf("the annotated TTL is not used: %s", reply)
	}
	l.equal(t, "town", l.cluster.Kubeconfig("monitor"))
}

// settle says in the objects' statuses what controllers and kubelets would, and waits
// until all that never changes is answered.
func (l *lived) settle(t *testing.T) {
	t.Helper()
	core := l.cluster.Client.CoreV1()
	patch := []byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.10"}]}}}`)
	_, err := core.Services("shop").Patch(t.Context(), "front", types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	must(t, err)
	l.runs(t, "shop", "walker", "10.1.9.1", true)
	for _, c := range constant() {
		l.until(t, c.name, func() bool {
			reply, err := exchange(l.server, c.name, c.typ)
			return err == nil && verdict(reply) == c.want
		})
	}
}

// runs has a Pod run at an address, ready or not, as kubelet would say.
func (l *lived) runs(t *testing.T, namespace, pod, address string, ready bool) {
	t.Helper()
	condition := corev1.ConditionFalse
	if ready {
		condition = corev1.ConditionTrue
	}
	patch := fmt.Sprintf(`{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%[1]q}],"conditions":[{"type":"Ready","status":%q}]}}`, address, condition)
	_, err := l.cluster.Client.CoreV1().Pods(namespace).Patch(t.Context(), pod, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	must(t, err)
}

// verdict is a reply in one line: its data, or how it has none.
func verdict(reply *dns.Msg) string {
	if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0 {
		if len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA {
			return "without SOA"
		}
		if reply.Rcode == dns.RcodeSuccess {
			return "NODATA"
		}
		return dns.RcodeToString[reply.Rcode]
	}
	return strings.Join(data(reply), "; ")
}

// A Service chooses Pods, and the real controller makes its EndpointSlices: Pods
// become ready, are not any more, and go.
func selector(t *testing.T, l *lived) {
	l.namespace(t, "chosen")
	core := l.cluster.Client.CoreV1()
	_, err := core.Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}, metav1.CreateOptions{})
	must(t, err)
	pets := plainService("pets")
	pets.Spec.ClusterIP, pets.Spec.Selector = corev1.ClusterIPNone, map[string]string{"app": "pets"}
	_, err = core.Services("chosen").Create(t.Context(), pets, metav1.CreateOptions{})
	must(t, err)
	for i := range 2 {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pet-%d", i), Labels: pets.Spec.Selector},
			Spec:       corev1.PodSpec{NodeName: "node", Hostname: fmt.Sprintf("pet-%d", i), Subdomain: "pets", Containers: []corev1.Container{{Name: "c", Image: "none.invalid/none"}}},
		}
		_, err := core.Pods("chosen").Create(t.Context(), pod, metav1.CreateOptions{})
		must(t, err)
		l.runs(t, "chosen", pod.Name, fmt.Sprintf("10.1.8.%d", i), i == 0)
	}
	const name = "pets.chosen.svc.cluster.local"
	l.answers(t, name, dns.TypeA, "10.1.8.0")
	l.answers(t, "pet-0."+name, dns.TypeA, "10.1.8.0")
	l.runs(t, "chosen", "pet-1", "10.1.8.1", true)
	l.answers(t, name, dns.TypeA, "10.1.8.0", "10.1.8.1")
	l.answers(t, "_http._tcp."+name, dns.TypeSRV, "0 100 80 pet-0."+name+".", "0 100 80 pet-1."+name+".")
	l.runs(t, "chosen", "pet-0", "10.1.8.0", false)
	l.answers(t, name, dns.TypeA, "10.1.8.1")
	l.denies(t, "pet-0."+name)
	l.answers(t, "10-1-8-0.chosen.pod.cluster.local", dns.TypeA, "10.1.8.0") // it runs, though it is not ready
	must(t, core.Pods("chosen").Delete(t.Context(), "pet-1", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	l.denies(t, name)
	l.denies(t, "10-1-8-1.chosen.pod.cluster.local")
}

// What is deleted is gone from answers at once, however much it is: nothing waits for
// a compare, which comes after ten minutes here.
func deletions(t *testing.T, l *lived) {
	l.namespace(t, "gone")
	const many = 100 // more than half of all records
	for i := range many {
		l.service(t, "gone", fmt.Sprintf("s%d", i))
	}
	slices := l.cluster.Client.DiscoveryV1().EndpointSlices("gone")
	_, err := slices.Create(t.Context(), endpoints("s0-by-hand", "s0", "10.1.7.1"), metav1.CreateOptions{})
	must(t, err)
	named := func(i int) string { return fmt.Sprintf("s%d.gone.svc.cluster.local", i) }
	for i := range many {
		l.until(t, named(i), func() bool {
			reply, err := exchange(l.server, named(i), dns.TypeA)
			return err == nil && len(data(reply)) == 1
		})
	}
	must(t, slices.Delete(t.Context(), "s0-by-hand", metav1.DeleteOptions{}))
	for i := range many {
		must(t, l.cluster.Client.CoreV1().Services("gone").Delete(t.Context(), fmt.Sprintf("s%d", i), metav1.DeleteOptions{}))
	}
	for i := range many {
		l.denies(t, named(i))
	}
	l.equal(t, "town", l.cluster.Kubeconfig("monitor"))
}

// sized is a slice of n endpoints, 10.B.x.y each.
func sized(name, service string, b, n int) *discoveryv1.EndpointSlice {
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("10.%d.%d.%d", b, i/250, i%250)
	}
	return endpoints(name, service, addresses...)
}
