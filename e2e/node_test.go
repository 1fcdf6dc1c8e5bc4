package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
)

const own = "169.254.20.10" // the address that a node's nodecache adds

// A cluster is a Kubernetes node with its nodecache, a pod that asks it, the
// cluster's own servers and the site's.
type cluster struct {
	*town
	node *hosts.Host
	pod  *hosts.Host
}

// zoneOf is a zone with one address in it.
func zoneOf(name, owner, data string) string {
	return fmt.Sprintf("%[1]s. 60 SOA ns.%[1]s. h.%[1]s. 1 60 60 60 5\n%[1]s. 60 NS ns.%[1]s.\n%[2]s. 60 %[3]s\n", name, owner, data)
}

// newCluster has three authoritative servers, of which two know cluster.local, each
// in its own way.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	need(t, "dig")
	w := newTown(t)
	site := w.site("a", 1)
	serve := func(name, address string, zones map[string]string) *resident {
		config := "listen: [\"" + address + ":53\"]\nzones:\n"
		for zone, text := range zones {
			file := filepath.Join(w.dir, name+zone+".zone")
			writeFile(t, file, text)
			config += fmt.Sprintf("  - {name: %q, source: file, file: %q}\n", zone, file)
		}
		return w.settle(w.newHost(site, name, address), "authoritative", config)
	}
	w.ready(
		serve("cluster", "10.1.0.10", map[string]string{
			"cluster.local":      zoneOf("cluster.local", "web.default.svc.cluster.local", "A 10.96.0.1") + "web.eu.cluster.local. 60 A 192.0.2.66\n",
			"96.10.in-addr.arpa": zoneOf("96.10.in-addr.arpa", "1.0.96.10.in-addr.arpa", "PTR web.default.svc.cluster.local."),
		}),
		serve("europe", "10.1.0.11", map[string]string{
			"eu.cluster.local": zoneOf("eu.cluster.local", "web.eu.cluster.local", "A 10.97.0.1"),
		}),
		serve("site", "10.1.0.12", map[string]string{
			"example.com":     zoneOf("example.com", "www.example.com", "A 192.0.2.80") + "web.xcluster.local.example.com. 60 A 192.0.2.81\n",
			"cluster.local":   zoneOf("cluster.local", "web.default.svc.cluster.local", "A 192.0.2.66"),
			"10.in-addr.arpa": zoneOf("10.in-addr.arpa", "1.0.97.10.in-addr.arpa", "PTR www.example.com."),
		}))
	c := &cluster{town: w, node: w.newHost(site, "node", "10.1.0.21"), pod: w.newHost(site, "pod", "10.1.0.22")}
	_, err := c.pod.Run("ip", "route", "add", own, "via", "10.1.0.21")
	must(t, err)
	return c
}

// start starts a nodecache on the node. Those at one port are one after the other the
// same; at ports of their own they are there side by side.
func (c *cluster) start(name string, port int, args ...string) *resident {
	c.t.Helper()
	s := &stack.Server{Admin: fmt.Sprintf("127.0.0.1:%d", 9000+port), Control: filepath.Join(c.dir, fmt.Sprint(port, ".sock")), Config: filepath.Join(c.dir, name+".yaml")}
	s.Name, s.LogFile, s.Launch = name, filepath.Join(c.dir, name+".log"), c.node.Start
	path, err := filepath.Abs(filepath.Join(bin, "nodecache"))
	must(c.t, err)
	s.Path, s.Args = path, append([]string{"serve", "--config", s.Config}, args...)
	writeFile(c.t, s.Config, fmt.Sprintf(`listen: ["%s:%d"]
workers: 1
upstreams: ["10.1.0.12:53"]
stubs:
  - {names: [cluster.local, 96.10.in-addr.arpa], servers: ["10.1.0.10:53"]}
  - {names: [eu.cluster.local], servers: ["10.1.0.11:53"]}
node: {interface: strata0, addresses: [%s]}
admin: %q
control: %q
`, own, port, own, s.Admin, s.Control))
	r := c.add(c.node, s)
	c.ready(r)
	return r
}

// dig is what the pod finds when it asks the node.
func (c *cluster) dig(port int, args ...string) (string, error) {
	args = append([]string{"@" + own, "-p", fmt.Sprint(port), "+short", "+tries=1", "+timeout=5"}, args...)
	out, err := c.pod.Run("dig", args...)
	return strings.TrimSpace(out), err
}

// see holds what the pod finds against what it should.
func (c *cluster) see(port int, want string, args ...string) {
	c.t.Helper()
	if got, err := c.dig(port, args...); err != nil || got != want {
		c.t.Errorf("port %d, %v: %q %v, want %q", port, args, got, err, want)
	}
}

// has tells whether the node has the address.
func (c *cluster) has() bool {
	c.t.Helper()
	out, err := c.node.Run("ip", "-o", "address", "show", "to", own)
	must(c.t, err)
	return out != ""
}

// The longest of the names that have servers of their own decides whom a node's
// nodecache asks; all the rest goes to the site.
func TestNodeStubs(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newCluster(t)
	c.start("nodecache", 53)
	for _, over := range []string{"+notcp", "+tcp"} {
		c.see(53, "10.96.0.1", over, "web.default.svc.cluster.local", "A")
		c.see(53, "10.97.0.1", over, "web.eu.cluster.local", "A")
		c.see(53, "web.default.svc.cluster.local.", over, "-x", "10.96.0.1")
		c.see(53, "www.example.com.", over, "-x", "10.97.0.1")
		c.see(53, "192.0.2.80", over, "www.example.com", "A")
		c.see(53, "192.0.2.81", over, "web.xcluster.local.example.com", "A")
	}
}

// The address is there as long as one of those that want it runs, whatever order
// they end in, and comes back when somebody removes it or its owner was killed.
func TestNodeAddress(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newCluster(t)
	ask := func(port int) {
		t.Helper()
		c.see(port, "10.96.0.1", "web.default.svc.cluster.local", "A")
	}
	if c.has() {
		t.Fatal("the address is there before anybody runs")
	}
	old := c.start("old", 53)
	ask(53)
	fresh := c.start("fresh", 54)
	must(t, old.Stop())
	if !c.has() {
		t.Fatal("the old one took the address away from the new one")
	}
	ask(54)

	_, err := c.node.Run("ip", "address", "del", own+"/32", "dev", c.device())
	must(t, err)
	within(t, "the address is back", c.has)
	ask(54)
	within(t, "it is counted", func() bool {
		return fresh.counted(t, "strata_node_addresses_restored_total") == 1
	})
	if !strings.Contains(fresh.Log(), "put back") {
		t.Errorf("nothing is logged:\n%s", fresh.Log())
	}

	must(t, fresh.Kill())
	if !c.has() {
		t.Fatal("a killed process cannot have removed it")
	}
	heir := c.start("heir", 55)
	ask(55)
	must(t, heir.Signal(syscall.SIGTERM))
	_, err = heir.Wait(t.Context())
	must(t, err)
	if c.has() {
		t.Error("the last one left the address behind")
	}
}

// ask asks from the pod again and again, each time from another port, until stop is
// closed, and gives how many of how many were answered wrongly or not at all.
func (c *cluster) ask(stop chan struct{}) (asked, lost int) {
	for ; ; asked++ {
		select {
		case <-stop:
			return asked, lost
		default:
		}
		conn, err := c.pod.Dial("udp", own+":53", 5*time.Second)
		if err != nil {
			lost++
			continue
		}
		query := new(dns.Msg).SetQuestion("web.default.svc.cluster.local.", dns.TypeA)
		client := dns.Client{Timeout: 5 * time.Second}
		reply, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
		if !answered(reply, err, "10.96.0.1") {
			c.t.Logf("lost: %v %v", reply, err)
			lost++
		}
		conn.Close()
	}
}

// A rollout as the DaemonSet makes it: the new pod's process takes over, the old one's
// waits to be told to end. No query of a pod is lost, and the address stays.
func TestNodeRollout(t *testing.T) {
	c := newCluster(t)
	old := c.start("first", 53, "--takeover", "--linger")
	stop, done := make(chan struct{}), make(chan struct{})
	var asked, lost int
	go func() {
		defer close(done)
		asked, lost = c.ask(stop)
	}()
	for _, name := range []string{"second", "third"} {
		fresh := c.start(name, 53, "--takeover", "--linger")
		within(t, "the old one lingers", func() bool { return strings.Contains(old.Log(), "lingering") })
		if !old.Running() {
			t.Error("the old one ended by itself")
		}
		must(t, old.Stop())
		if !c.has() {
			t.Error("the old one took the address away")
		}
		old = fresh
	}
	close(stop)
	<-done
	if lost > 0 || asked == 0 {
		t.Errorf("%d of %d queries were lost", lost, asked)
	}
	t.Log(asked, "queries")
}

// The rules that take DNS out of connection tracking are ones, and DNS works with them.
func TestNodeUntracked(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newCluster(t)
	_, err := c.node.Run("nft", "-f", "../configs/kubernetes/notrack.nft")
	must(t, err)
	_, err = c.node.Run("nft", "-f", "../configs/kubernetes/notrack.nft") // again, as at each boot
	must(t, err)
	c.start("nodecache", 53)
	for _, over := range []string{"+notcp", "+tcp"} {
		c.see(53, "10.96.0.1", over, "web.default.svc.cluster.local", "A")
	}
	rules, err := c.node.Run("nft", "list", "ruleset")
	must(t, err)
	if strings.Count(rules, "notrack\n") != 3 {
		t.Errorf("the rules are\n%s", rules)
	}
}

// device is the interface that has the address.
func (c *cluster) device() string {
	c.t.Helper()
	out, err := c.node.Run("ip", "-o", "address", "show", "to", own)
	must(c.t, err)
	fields := strings.Fields(out)
	if len(fields) < 2 {
		c.t.Fatalf("no interface has %s", own)
	}
	return fields[1]
}

// Without the capability to add addresses the reason is said in one line.
func TestNodeWithoutCapability(t *testing.T) {
	need(t, "setpriv")
	w := newTown(t)
	h := w.newHost(w.site("a", 1), "node", "10.1.0.21")
	config, err := filepath.Abs(filepath.Join(w.dir, "n.yaml"))
	must(t, err)
	writeFile(t, config, "listen: [\""+own+":53\"]\nupstreams: [\"10.1.0.12:53\"]\nnode: {addresses: ["+own+"]}\nadmin: \"\"\ncontrol: \"\"\n")
	path, err := filepath.Abs(filepath.Join(bin, "nodecache"))
	must(t, err)
	_, err = h.Run("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", path, "serve", "--config", config)
	if err == nil || !strings.Contains(err.Error(), "it needs CAP_NET_ADMIN") {
		t.Errorf("it says %v", err)
	}
}
