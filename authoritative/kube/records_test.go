package kube

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

func names(texts ...string) (all [][]byte) {
	for _, text := range texts {
		all = append(all, wire.MustName(text))
	}
	return all
}

// testOptions hold the zones of 10/8, of 192.168/16 but for one that another server
// has, and of fd00::/16.
func testOptions() Options {
	return Options{
		Zone: wire.MustName("cluster.local"), TTL: 5,
		Zones:  names("cluster.local", "example.org", "10.in-addr.arpa", "168.192.in-addr.arpa", "0.0.d.f.ip6.arpa"),
		Others: names("9.168.192.in-addr.arpa"),
	}
}

// lines give records as lines, sorted.
func lines(records []store.Record) (all []string) {
	for _, rec := range records {
		text, err := rec.Text()
		if err != nil {
			text = []string{err.Error()}
		}
		for _, data := range text {
			probe := ""
			if rec.Probe != "" {
				probe = " probe " + rec.Probe
			}
			all = append(all, fmt.Sprintf("%s %d %s %s%s", wire.NameString(rec.Name), rec.TTL, store.TypeString(rec.Type), data, probe))
		}
	}
	slices.Sort(all)
	return all
}

// objects reads a manifest; what is short for the commonest fields is written out.
func objects(t testing.TB, text string) []metav1.Object {
	t.Helper()
	all, err := readManifest([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return all
}

// derive gives what follows from the objects of a manifest, whose first Service or
// Pod is looked at.
func derive(t testing.TB, o Options, text string) (got, problems []string) {
	t.Helper()
	var service *corev1.Service
	var namespace *corev1.Namespace
	var endpoints []*discoveryv1.EndpointSlice
	for _, object := range objects(t, text) {
		switch object := object.(type) {
		case *corev1.Service:
			service = object
		case *corev1.Namespace:
			namespace = object
		case *discoveryv1.EndpointSlice:
			endpoints = append(endpoints, object)
		case *corev1.Pod:
			records, problems := o.Pod(object)
			return lines(records), problems
		}
	}
	records, problems := o.Service(service, endpoints, namespace)
	return lines(records), problems
}

func service(spec string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n" + spec + "\n"
}

func slice(typ, ports, endpoints string) string {
	return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-" + strings.ToLower(typ) +
		", namespace: shop, labels: {kubernetes.io/service-name: web}}\naddressType: " + typ + "\nports: [" + ports + "]\nendpoints: [" + endpoints + "]\n"
}

const http = "{name: http, protocol: TCP, port: 8080}"

// One row for each clause of the Kubernetes DNS specification 1.1.0.
func TestSpecification(t *testing.T) {
	t.Parallel()
	pods := testOptions()
	pods.Pods = true
	for _, row := range []struct {
		clause string
		opts   Options
		text   string
		want   string
	}{
		{"2.3.1 A", testOptions(), service("spec: {clusterIP: 10.3.0.1}"), `
			1.0.3.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.
			web.shop.svc.cluster.local. 5 A 10.3.0.1`},
		{"2.3.1 A and AAAA, dual stack", testOptions(), service(`spec: {clusterIP: 10.3.0.1, clusterIPs: [10.3.0.1, "fd00::1"]}`), `
			1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 5 PTR web.shop.svc.cluster.local.
			1.0.3.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.
			web.shop.svc.cluster.local. 5 A 10.3.0.1
			web.shop.svc.cluster.local. 5 AAAA fd00::1`},
		{"2.3.1 without endpoints, as with", testOptions(), service("spec: {clusterIP: 10.3.0.1}") + slice("IPv4", http, "{addresses: [10.1.0.1], conditions: {ready: false}}"), `
			1.0.3.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.
			web.shop.svc.cluster.local. 5 A 10.3.0.1`},
		{"2.3.2 SRV of named ports only", testOptions(), service(`spec: {clusterIP: 10.3.0.1, ports: [{name: http, port: 80}, {port: 81}, {name: dns, protocol: UDP, port: 53}, {name: sctp, protocol: SCTP, port: 7}]}`), `
			1.0.3.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.
			_dns._udp.web.shop.svc.cluster.local. 5 SRV 0 100 53 web.shop.svc.cluster.local.
			_http._tcp.web.shop.svc.cluster.local. 5 SRV 0 100 80 web.shop.svc.cluster.local.
			_sctp._sctp.web.shop.svc.cluster.local. 5 SRV 0 100 7 web.shop.svc.cluster.local.
			web.shop.svc.cluster.local. 5 A 10.3.0.1`},
		{"2.3.3 PTR only where the zone is ours", testOptions(), service("spec: {clusterIP: 172.16.0.1}"), `
			web.shop.svc.cluster.local. 5 A 172.16.0.1`},
		{"2.3.3 PTR not in a zone within that comes from elsewhere", testOptions(), service("spec: {clusterIP: 192.168.9.1}"), `
			web.shop.svc.cluster.local. 5 A 192.168.9.1`},
		{"2.3 no address yet", testOptions(), service("spec: {ports: [{name: http, port: 80}]}"), ``},
		{"2.4.1 A for each ready endpoint, by hostname or identifier; 2.4.3 PTR", testOptions(), service("spec: {clusterIP: None}") +
			slice("IPv4", "", "{addresses: [10.1.0.1], hostname: Pet}, {addresses: [10.1.0.2], conditions: {ready: true}}, {addresses: [10.1.0.3], conditions: {ready: false}}"), `
			1.0.1.10.in-addr.arpa. 5 PTR pet.web.shop.svc.cluster.local.
			10-1-0-2.web.shop.svc.cluster.local. 5 A 10.1.0.2
			2.0.1.10.in-addr.arpa. 5 PTR 10-1-0-2.web.shop.svc.cluster.local.
			pet.web.shop.svc.cluster.local. 5 A 10.1.0.1
			web.shop.svc.cluster.local. 5 A 10.1.0.1
			web.shop.svc.cluster.local. 5 A 10.1.0.2`},
		{"2.4.1 several addresses of one hostname, dual stack", testOptions(), service("spec: {clusterIP: None}") +
			slice("IPv4", "", "{addresses: [172.16.0.1], hostname: pet}, {addresses: [172.16.0.2], hostname: pet}") + slice("IPv6", "", `{addresses: ["2001:db8::1"], hostname: pet}, {addresses: ["2001:db8::2"]}`), `
			2001-db8--2.web.shop.svc.cluster.local. 5 AAAA 2001:db8::2
			pet.web.shop.svc.cluster.local. 5 A 172.16.0.1
			pet.web.shop.svc.cluster.local. 5 A 172.16.0.2
			pet.web.shop.svc.cluster.local. 5 AAAA 2001:db8::1
			web.shop.svc.cluster.local. 5 A 172.16.0.1
			web.shop.svc.cluster.local. 5 A 172.16.0.2
			web.shop.svc.cluster.local. 5 AAAA 2001:db8::1
			web.shop.svc.cluster.local. 5 AAAA 2001:db8::2`},
		{"2.4.1 no ready endpoint", testOptions(), service("spec: {clusterIP: None, ports: [{name: http, port: 80}]}") + slice("IPv4", http, "{addresses: [10.1.0.1], conditions: {ready: false}}"), ``},
		{"2.1 publishNotReadyAddresses", testOptions(), service("spec: {clusterIP: None, publishNotReadyAddresses: true}") + slice("IPv4", "", "{addresses: [172.16.0.1], hostname: pet, conditions: {ready: false}}"), `
			pet.web.shop.svc.cluster.local. 5 A 172.16.0.1
			web.shop.svc.cluster.local. 5 A 172.16.0.1`},
		{"2.1 tolerate-unready-endpoints", testOptions(), strings.Replace(service("spec: {clusterIP: None}"), "{name: web,", `{name: web, annotations: {service.alpha.kubernetes.io/tolerate-unready-endpoints: "true"},`, 1) +
			slice("IPv4", "", "{addresses: [172.16.0.1], hostname: pet, conditions: {ready: false}}"), `
			pet.web.shop.svc.cluster.local. 5 A 172.16.0.1
			web.shop.svc.cluster.local. 5 A 172.16.0.1`},
		{"2.4.2 SRV for each ready endpoint and named port, with the endpoint's port", testOptions(), service("spec: {clusterIP: None, ports: [{name: http, port: 80, targetPort: 8080}]}") +
			slice("IPv4", http+`, {port: 9}, {name: ""}, {name: any}`, "{addresses: [172.16.0.1], hostname: pet}, {addresses: [172.16.0.2]}"), `
			172-16-0-2.web.shop.svc.cluster.local. 5 A 172.16.0.2
			_http._tcp.web.shop.svc.cluster.local. 5 SRV 0 100 8080 172-16-0-2.web.shop.svc.cluster.local.
			_http._tcp.web.shop.svc.cluster.local. 5 SRV 0 100 8080 pet.web.shop.svc.cluster.local.
			pet.web.shop.svc.cluster.local. 5 A 172.16.0.1
			web.shop.svc.cluster.local. 5 A 172.16.0.1
			web.shop.svc.cluster.local. 5 A 172.16.0.2`},
		{"2.4 an endpoint in two slices", testOptions(), service("spec: {clusterIP: None}") + slice("IPv4", "", "{addresses: [172.16.0.1], hostname: pet}") + slice("IPv4", "", "{addresses: [172.16.0.1], hostname: pet}"), `
			pet.web.shop.svc.cluster.local. 5 A 172.16.0.1
			web.shop.svc.cluster.local. 5 A 172.16.0.1`},
		{"2.5 ExternalName", testOptions(), service("spec: {type: ExternalName, externalName: WWW.example.com, ports: [{name: http, port: 80}]}"), `
			web.shop.svc.cluster.local. 5 CNAME www.example.com.`},
		{"2.6 Pods, off by default", testOptions(), "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {podIP: 10.1.0.1}\n", ``},
		{"2.6 Pods that exist, dual stack", pods, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: \"fd00::7\"}]}\n", `
			10-1-0-1.shop.pod.cluster.local. 5 A 10.1.0.1
			fd00--7.shop.pod.cluster.local. 5 AAAA fd00::7`},
		{"2.6 Pods that have ended", pods, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Succeeded, podIP: 10.1.0.1}\n", ``},
	} {
		got, problems := derive(t, row.opts, row.text)
		var want []string
		for line := range strings.Lines(row.want) {
			if line = strings.TrimSpace(line); line != "" {
				want = append(want, line)
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) || problems != nil {
			t.Errorf("%s: got\n%s\nproblems %q, want\n%s", row.clause, strings.Join(got, "\n"), problems, strings.Join(want, "\n"))
		}
	}
	o := testOptions()
	if got, _ := o.ClusterRecords(); !slices.Equal(lines(got), []string{`dns-version.cluster.local. 5 TXT "1.1.0"`}) {
		t.Errorf("2.2: %q", lines(got))
	}
}

// What the specification does not have: addresses from outside, TTLs.
func TestBeyond(t *testing.T) {
	t.Parallel()
	outside := testOptions()
	outside.External = External{Zone: wire.MustName("example.org"), LoadBalancer: true, ExternalIPs: true}
	balancerOnly := outside
	balancerOnly.External.ExternalIPs = false
	const balancer = "spec: {type: LoadBalancer, externalIPs: [192.0.2.9], ports: [{name: http, port: 80}]}\nstatus: {loadBalancer: {ingress: "
	annotated := func(where, ttl string) string {
		return strings.Replace(service("spec: {clusterIP: 172.16.0.1}"), "{name: web,", "{name: web, annotations: {"+where+": \""+ttl+"\"},", 1)
	}
	const namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {strata-dns.io/ttl: \"60\"}}\n"
	for _, row := range []struct {
		what string
		opts Options
		text string
		want []string
	}{
		{"a probe is with the addresses alone", testOptions(), annotated(ProbeAnnotation, "http:80/ready"), []string{"web.shop.svc.cluster.local. 5 A 172.16.0.1 probe http:80/ready"}},
		{"load balancer and externalIPs", outside, service(balancer + "[{ip: 192.0.2.1, hostname: lb.example.com}]}}"), []string{
			"_http._tcp.web.shop.example.org. 5 SRV 0 100 80 web.shop.example.org.", "web.shop.example.org. 5 A 192.0.2.1", "web.shop.example.org. 5 A 192.0.2.9"}},
		{"PTR of an address from outside, where its zone is ours", outside, service("spec: {externalIPs: [192.168.1.9]}"), []string{
			"9.1.168.192.in-addr.arpa. 5 PTR web.shop.example.org.", "web.shop.example.org. 5 A 192.168.1.9"}},
		{"one source", balancerOnly, service(balancer + "[{ip: \"2001:db8::1\"}]}}"), []string{
			"_http._tcp.web.shop.example.org. 5 SRV 0 100 80 web.shop.example.org.", "web.shop.example.org. 5 AAAA 2001:db8::1"}},
		{"a load balancer with a name alone", balancerOnly, service(balancer + "[{hostname: lb.example.com}]}}"), []string{
			"_http._tcp.web.shop.example.org. 5 SRV 0 100 80 lb.example.com.", "web.shop.example.org. 5 CNAME lb.example.com."}},
		{"no zone for them", testOptions(), service(balancer + "[{ip: 192.0.2.1}]}}"), nil},
		{"none", balancerOnly, service("spec: {externalIPs: [192.0.2.9], ports: [{name: http, port: 80}]}"), nil},
		{"TTL of the Service before that of the Namespace", testOptions(), annotated(TTLAnnotation, "30") + namespace, []string{"web.shop.svc.cluster.local. 30 A 172.16.0.1"}},
		{"TTL of the Namespace", testOptions(), annotated("other", "30") + namespace, []string{"web.shop.svc.cluster.local. 60 A 172.16.0.1"}},
	} {
		if got, problems := derive(t, row.opts, row.text); !slices.Equal(got, row.want) || problems != nil {
			t.Errorf("%s: got\n%s\nproblems %q, want\n%s", row.what, strings.Join(got, "\n"), problems, strings.Join(row.want, "\n"))
		}
	}
}

// What Kubernetes, or a file, says and DNS cannot: it is named, and the rest is there.
func TestProblems(t *testing.T) {
	t.Parallel()
	outside := testOptions()
	outside.External = External{Zone: wire.MustName("example.org"), LoadBalancer: true}
	long := strings.Repeat("a", 63)
	deep := testOptions()
	deep.Zone = wire.MustName(strings.Join([]string{long, long, long[:41], "cluster.local"}, "."))
	ok := []string{"web.shop.svc.cluster.local. 5 A 172.16.0.1"}
	for _, row := range []struct {
		opts    Options
		text    string
		problem string
		want    []string
	}{
		{testOptions(), service("spec: {type: ExternalName, externalName: " + long + "a.example.com}"), "externalName: name \"" + long + "a.example.com\": label is longer than 63 octets", nil},
		{testOptions(), service("spec: {type: ExternalName, externalName: 192.0.2.1}"), `externalName: "192.0.2.1" is an address`, nil},
		{testOptions(), service("spec: {type: ExternalName}"), `externalName: "" is not the name of a host`, nil},
		{testOptions(), service("spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}"), "externalName: web.shop.svc.cluster.local. is the Service's own name", nil},
		{testOptions(), strings.Replace(service("spec: {clusterIP: 172.16.0.1}"), "web", "we.b", 1), `name "we.b": not a label`, nil},
		{testOptions(), strings.Replace(service("spec: {clusterIP: 172.16.0.1}"), "web", "web_", 1), `name "web_": not a label`, nil},
		{testOptions(), service(`spec: {clusterIPs: [172.16.0.1, "::ffff:1.2.3.4", x]}`), `clusterIPs: "::ffff:1.2.3.4" is not an IPv4 or IPv6 address`, ok},
		{testOptions(), service(`spec: {clusterIP: 172.16.0.1, ports: [{name: -x, port: 1}]}`), `port "-x": not a label`, ok},
		{testOptions(), service(`spec: {clusterIP: 172.16.0.1, ports: [{name: x, port: 65536}]}`), `port x: 65536 is not a port's number`, ok},
		{testOptions(), strings.Replace(service("spec: {clusterIP: 172.16.0.1}"), "{name: web,", "{name: web, annotations: {strata-dns.io/ttl: 5m},", 1), `annotation strata-dns.io/ttl: "5m" is not a number of seconds from 0 to 2147483647; 5 is used`, ok},
		{testOptions(), strings.Replace(service("spec: {clusterIP: 172.16.0.1}"), "{name: web,", "{name: web, annotations: {strata-dns.io/probe: tcp},", 1), `annotation strata-dns.io/probe: "tcp": not a way to probe`, ok},
		{testOptions(), service("spec: {clusterIP: None}") + slice("IPv4", "", `{addresses: ["fd00::1"]}`), "EndpointSlice web-ipv4: fd00::1 is not of its addressType IPv4", nil},
		{testOptions(), service("spec: {clusterIP: None}") + slice("FQDN", "", `{addresses: [a.example]}`), "EndpointSlice web-fqdn: endpoints by name", nil},
		{testOptions(), service("spec: {clusterIP: None}") + slice("IPv4", "", `{addresses: [172.16.0.1], hostname: a.b}`), `EndpointSlice web-ipv4: hostname "a.b": not a label`, ok},
		{outside, service("spec: {type: LoadBalancer, clusterIP: 172.16.0.1}\nstatus: {loadBalancer: {ingress: [{hostname: b.example}, {hostname: a.example}]}}"), "load balancer: 2 names, and an alias is to one; a.example. is taken",
			[]string{"web.shop.example.org. 5 CNAME a.example.", ok[0]}},
	} {
		got, problems := derive(t, row.opts, row.text)
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, row.problem) }) || !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, problems %q, want %q and %q", row.text, got, problems, row.want, row.problem)
		}
	}
	deep.Zones = [][]byte{deep.Zone}
	if got, problems := derive(t, deep, strings.ReplaceAll(service("spec: {clusterIP: None}")+slice("IPv4", "", `{addresses: [10.1.0.1], hostname: `+long+`}`), "shop", long)); len(problems) != 1 || !strings.Contains(problems[0], wire.ErrNameLong.Error()) || len(got) != 0 {
		t.Errorf("a name of more than 255 octets: %q %q", got, problems)
	}
}
