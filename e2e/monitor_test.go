package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// kubernetesZones are the zones that a cluster's records are in.
const kubernetesZones = `
zones:
  - {name: cluster.local, source: etcd, negative_ttl: 1s}
  - {name: prd.example.com, source: etcd}
  - {name: 10.in-addr.arpa, source: etcd}
  - {name: d.f.ip6.arpa, source: etcd}
etcd: {endpoints: ["http://127.0.0.1:{{.EtcdPort}}"]}
`

const kubernetesServer = kubernetesZones + `
listen: ["127.0.0.1:{{.Port}}"]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`

const kubernetesMonitor = kubernetesZones + `
monitor:
  cluster: town
  manifests: "{{.Dir}}/manifests"
  resync: 1h
  admin: "127.0.0.1:{{.AdminPort}}"
  control: "{{.Dir}}/{{.ID}}.sock"
`

// A monitored cluster: a server, and monitors on a folder of manifests.
type monitored struct {
	*stack.Stack
	server   *stack.Server
	manifest string // the folder
}

func newMonitored(t *testing.T) *monitored {
	t.Helper()
	s := newStack(t, stack.AuthoritativesOnly) // the first one has the etcd member
	m := &monitored{Stack: s, server: extra(t, s, "kubernetes", "authoritative", kubernetesServer), manifest: filepath.Join(s.Dir, "manifests")}
	must(t, os.Mkdir(m.manifest, 0o700))
	must(t, s.Ready(t.Context(), m.server))
	return m
}

// put writes a manifest as one does who is watched: whole or not at all.
func (m *monitored) put(t *testing.T, name, text string) {
	t.Helper()
	writeFile(t, filepath.Join(m.manifest, name+".new"), text)
	must(t, os.Rename(filepath.Join(m.manifest, name+".new"), filepath.Join(m.manifest, name)))
}

// monitor starts `authoritative monitor` on the folder; more are keys of its section.
func (m *monitored) monitor(t *testing.T, id, more string) *stack.Server {
	t.Helper()
	server, err := m.Extra(id, "authoritative", kubernetesMonitor+more)
	must(t, err)
	server.Args[0] = "monitor"
	must(t, server.Start())
	return server
}

func (m *monitored) answers(t *testing.T, name string, typ uint16, want ...string) {
	t.Helper()
	within(t, dns.Type(typ).String()+" of "+name+": "+strings.Join(want, ", "), func() bool {
		reply, err := exchange(m.server, name, typ)
		return answered(reply, err, want...)
	})
}

func (m *monitored) denies(t *testing.T, name string) {
	t.Helper()
	within(t, "no "+name, func() bool {
		reply, err := exchange(m.server, name, dns.TypeA)
		return err == nil && reply.Rcode == dns.RcodeNameError && len(reply.Ns) == 1 && reply.Ns[0].Header().Rrtype == dns.TypeSOA
	})
}

const shop = `
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
  - apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd96::1"], ports: [{name: http, port: 80}]}
  - apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}
  - apiVersion: v1
    kind: Service
    metadata: {name: away, namespace: shop}
    spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}
  - apiVersion: v1
    kind: Service
    metadata: {name: front, namespace: shop}
    spec: {type: LoadBalancer, clusterIP: 10.96.0.2}
    status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}
`

const database = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: sql, port: 5432, protocol: TCP}]
endpoints:
  - {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
  - {addresses: [10.1.0.2], hostname: db-1, conditions: {ready: READY}}
`

// A manifest is written, and dig sees it: each kind of record, changes, deletions.
func TestMonitor(t *testing.T) {
	t.Parallel() // it mostly waits
	need(t, "dig")
	m := newMonitored(t)
	m.put(t, "shop.yaml", shop)
	m.put(t, "db.yaml", strings.Replace(database, "READY", "false", 1))
	monitor := m.monitor(t, "monitor", "  external: {zone: prd.example.com}\n")
	must(t, m.Ready(t.Context(), monitor))

	m.answers(t, "web.shop.svc.cluster.local", dns.TypeA, "10.96.0.1")
	m.answers(t, "web.shop.svc.cluster.local", dns.TypeAAAA, "fd96::1")
	m.answers(t, "_http._tcp.web.shop.svc.cluster.local", dns.TypeSRV, "0 100 80 web.shop.svc.cluster.local.")
	m.answers(t, "1.0.96.10.in-addr.arpa", dns.TypePTR, "web.shop.svc.cluster.local.")
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1")
	m.answers(t, "db-0.db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1")
	m.answers(t, "_sql._tcp.db.shop.svc.cluster.local", dns.TypeSRV, "0 100 5432 db-0.db.shop.svc.cluster.local.")
	m.answers(t, "1.0.1.10.in-addr.arpa", dns.TypePTR, "db-0.db.shop.svc.cluster.local.")
	m.answers(t, "away.shop.svc.cluster.local", dns.TypeA, "10.96.0.1") // the alias is followed
	m.answers(t, "front.shop.prd.example.com", dns.TypeA, "192.0.2.10")
	m.answers(t, "dns-version.cluster.local", dns.TypeTXT, `"1.1.0"`)
	for _, name := range []string{"svc.cluster.local", "shop.svc.cluster.local", "_tcp.web.shop.svc.cluster.local"} { // empty non-terminals (RFC 8020)
		if reply := ask(t, m.server, name, dns.TypeA); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 0 {
			t.Errorf("%s: %s", name, reply)
		}
	}
	for _, name := range []string{"db-1.db.shop.svc.cluster.local", "10-1-0-1.shop.pod.cluster.local", "none.shop.svc.cluster.local", "web.none.svc.cluster.local"} {
		m.denies(t, name)
	}
	if reply := ask(t, m.server, "WEB.Shop.svc.cluster.local", dns.TypeA); len(reply.Answer) != 1 || reply.Answer[0].Header().Name != "WEB.Shop.svc.cluster.local." {
		t.Errorf("the asker's case is not kept: %s", reply)
	}

	// An endpoint becomes ready, a Service gets another address, another one goes.
	m.put(t, "db.yaml", strings.Replace(database, "READY", "true", 1))
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1", "10.1.0.2")
	smaller := strings.ReplaceAll(strings.Split(shop, "  - apiVersion: v1\n    kind: Service\n    metadata: {name: away")[0], "10.96.0.1", "10.96.0.7")
	m.put(t, "shop.yaml", smaller)
	m.answers(t, "web.shop.svc.cluster.local", dns.TypeA, "10.96.0.7")
	m.denies(t, "1.0.96.10.in-addr.arpa")
	m.denies(t, "away.shop.svc.cluster.local")
	m.denies(t, "front.shop.prd.example.com")
	if out := dig(t, m.server, "+short", "db.shop.svc.cluster.local"); strings.Count(out, "\n") != 2 {
		t.Errorf("dig: %s", out)
	}

	// Annotations say how many of its addresses a Service is answered with, and which.
	m.put(t, "shop.yaml", strings.Replace(smaller, "{name: db,", `{name: db, annotations: {strata-dns.io/order: fixed, strata-dns.io/max-answers: "1"},`, 1))
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1")
	m.put(t, "shop.yaml", smaller)
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1", "10.1.0.2")

	// What cannot be read is said, by file and line, and changes nothing.
	m.put(t, "db.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n---\nkind: [\n")
	within(t, "a line that names the file", func() bool { return strings.Contains(monitor.Log(), "db.yaml:5: ") })
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1", "10.1.0.2")

	// A file goes: its objects go.
	must(t, os.Remove(filepath.Join(m.manifest, "db.yaml")))
	m.denies(t, "db.shop.svc.cluster.local")
	m.denies(t, "db-0.db.shop.svc.cluster.local")

	// All of them go, as when a folder is not mounted: the brake keeps the records.
	must(t, os.Remove(filepath.Join(m.manifest, "shop.yaml")))
	within(t, "the brake", func() bool { return strings.Contains(monitor.Log(), "brake.max_delete") })
	m.answers(t, "web.shop.svc.cluster.local", dns.TypeA, "10.96.0.7")
	must(t, monitor.Stop())
	m.answers(t, "web.shop.svc.cluster.local", dns.TypeA, "10.96.0.7")
}

// Two monitors, one is killed; the records that were changed while none was there
// are mended at the start: what is missing, what is another one, what is left over.
func TestMonitors(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newMonitored(t)
	m.put(t, "shop.yaml", shop)
	m.put(t, "db.yaml", strings.Replace(database, "READY", "true", 1))
	one, two := m.monitor(t, "one", ""), m.monitor(t, "two", "")
	must(t, m.Ready(t.Context(), one))
	must(t, m.Ready(t.Context(), two))
	must(t, one.Kill())
	m.put(t, "db.yaml", strings.Replace(database, "READY", "false", 1))
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1")
	must(t, two.Stop())

	node := m.Authoritatives[1]
	records(t, m.Stack, node, "remove", "web.shop.svc.cluster.local", "A", "--owner", "kubernetes:town")
	records(t, m.Stack, node, "add", "left.shop.svc.cluster.local", "A", "10.9.9.9", "--owner", "kubernetes:town")
	records(t, m.Stack, node, "add", "db.shop.svc.cluster.local", "A", "10.9.9.9", "--owner", "kubernetes:town")
	records(t, m.Stack, node, "add", "other.shop.svc.cluster.local", "A", "10.9.9.9", "--owner", "kubernetes:village")
	must(t, two.Start())
	must(t, m.Ready(t.Context(), two))
	m.answers(t, "web.shop.svc.cluster.local", dns.TypeA, "10.96.0.1")
	m.answers(t, "db.shop.svc.cluster.local", dns.TypeA, "10.1.0.1")
	m.denies(t, "left.shop.svc.cluster.local")
	m.answers(t, "other.shop.svc.cluster.local", dns.TypeA, "10.9.9.9") // another cluster's
}

// dig asks the server as people do.
func dig(t *testing.T, server *stack.Server, args ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(server.Address, ":")
	out, err := exec.CommandContext(t.Context(), "dig", append([]string{"@" + host, "-p", port, "+time=2", "+tries=1"}, args...)...).Output()
	must(t, err)
	return string(out)
}
