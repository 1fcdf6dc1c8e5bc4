package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// probeConfig is a prober's, in short times; a server takes expire from it.
const probeConfig = `
zones: [{name: prd.example.com, source: etcd}]
etcd: {endpoints: ["http://127.0.0.1:{{.EtcdPort}}"]}
probe:
  name: "{{.ID}}"
  interval: 600ms
  timeout: 200ms
  tries: 3
  lease: 2s
  expire: 6s
  admin: "127.0.0.1:{{.AdminPort}}"
  control: "{{.Dir}}/{{.ID}}.sock"
`

const probeServer = probeConfig + `
listen: ["127.0.0.1:{{.Port}}"]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
snapshot: "{{.Dir}}/{{.ID}}.snapshot"
`

// probed is a name whose addresses are hosts of the test's own.
type probed struct {
	*stack.Stack
	server *stack.Server
	addrs  []string
	port   string
	hosts  map[string]net.Listener
}

const app = "app.prd.example.com"

// newProbed makes n hosts on loopback, a name with their addresses, and a server.
func newProbed(t *testing.T, n int) *probed {
	t.Helper()
	s := newStack(t, stack.AuthoritativesOnly) // the first one has the etcd member
	p := &probed{Stack: s, hosts: map[string]net.Listener{}, server: extra(t, s, "probed", "authoritative", strings.Replace(probeServer, "  admin: \"127.0.0.1:{{.AdminPort}}\"\n  control: \"{{.Dir}}/{{.ID}}.sock\"\n", "", 1))}
	must(t, s.Ready(t.Context(), p.server))
	for i := range n {
		p.addrs = append(p.addrs, fmt.Sprintf("127.81.%d.%d", i/200, i%200+1))
	}
	p.port = portOf(freeLoopback(t)) // one that is on all addresses nobody else's
	p.open(t, p.addrs...)
	t.Cleanup(func() { p.shut(p.addrs...) })
	records(t, s, s.Authoritatives[1], append([]string{"add", app, "A", "--probe", "tcp:" + p.port}, p.addrs...)...)
	p.answers(t, p.addrs...)
	return p
}

func (p *probed) open(t *testing.T, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, p.port))
		must(t, err)
		p.hosts[addr] = l
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		}()
	}
}

func (p *probed) shut(addrs ...string) {
	for _, addr := range addrs {
		p.hosts[addr].Close()
	}
}

// prober starts `authoritative probe`.
func (p *probed) prober(t *testing.T, id string) *stack.Server {
	t.Helper()
	server, err := p.Extra(id, "authoritative", probeConfig)
	must(t, err)
	server.Args[0] = "probe"
	must(t, server.Start())
	must(t, p.Ready(t.Context(), server))
	return server
}

func (p *probed) answers(t *testing.T, want ...string) {
	t.Helper()
	within(t, fmt.Sprintf("%d addresses: %v", len(want), want), func() bool {
		reply, err := exchange(p.server, app, dns.TypeA)
		return answered(reply, err, slices.Clone(want)...)
	})
}

// gauge reads a metric of a server.
func gauge(t *testing.T, server *stack.Server, name string, words ...string) float64 {
	t.Helper()
	c, err := server.Counters(t.Context())
	must(t, err)
	return c.Sum(name, words...)
}

// watched asks all along, and keeps what was not an answer with addresses.
func (p *probed) watched(t *testing.T) {
	t.Helper()
	stop := make(chan struct{})
	var asking sync.WaitGroup
	var wrong []string
	asked := 0
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			reply, err := exchange(p.server, app, dns.TypeA)
			if err != nil {
				continue // a lost packet, or a server that is being restarted
			}
			if asked++; reply.Rcode != dns.RcodeSuccess || len(data(reply)) == 0 {
				wrong = append(wrong, reply.String())
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		asking.Wait()
		if len(wrong) > 0 || asked == 0 {
			t.Errorf("%d of %d answers without addresses, the first:\n%s", len(wrong), asked, append(wrong, "none")[0])
		}
	})
}

// Two probers, a server: what does not answer is left out, all of it is never; one
// prober is killed and its share moves; one is stopped and comes back.
func TestProbe(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProbed(t, 16)
	p.watched(t)
	one, two := p.prober(t, "prober-one"), p.prober(t, "prober-two")
	own := func(server *stack.Server) float64 { return gauge(t, server, "strata_probe_addresses") }
	within(t, "both have a share", func() bool { return own(one) > 0 && own(two) > 0 && own(one)+own(two) == 16 })
	up := func() float64 { return gauge(t, p.server, "strata_health_addresses", `"up"`) }
	within(t, "16 are up", func() bool { return up() == 16 })
	p.answers(t, p.addrs...)

	p.shut(p.addrs[:4]...)
	p.answers(t, p.addrs[4:]...)
	if out := ctlOf(t, p.Stack, p.server, "lookup", app, "A"); strings.Count(out, "left out: 127.81.0.") != 4 || !strings.Contains(out, " is down since ") {
		t.Errorf("lookup: %s", out)
	}
	if out := ctlOf(t, p.Stack, p.server, "health"); strings.Count(out, "\n") != 4 || !strings.Contains(out, "by prober-") || !strings.Contains(out, "left out, unless all of the RRset are down; in "+app) {
		t.Errorf("health: %s", out)
	}
	if out := ctlOf(t, p.Stack, p.server, "health", p.addrs[5]); !strings.Contains(out, p.addrs[5]+" up since ") {
		t.Errorf("health of one: %s", out)
	}
	p.open(t, p.addrs[:4]...)
	p.answers(t, p.addrs...)

	// One is killed; what goes of its share is found by the other.
	must(t, one.Kill())
	within(t, "the other has all", func() bool { return own(two) == 16 })
	p.shut(p.addrs[8:12]...)
	p.answers(t, append(slices.Clone(p.addrs[:8]), p.addrs[12:]...)...)
	p.open(t, p.addrs[8:12]...)
	p.answers(t, p.addrs...)

	// The other is stopped for longer than its lease, and goes on: nothing is down by that.
	must(t, one.Start())
	must(t, p.Ready(t.Context(), one))
	must(t, two.Signal(syscall.SIGSTOP))
	within(t, "the first has all", func() bool { return own(one) == 16 })
	writes := gauge(t, one, "strata_probe_writes_total", `"down"`)
	must(t, two.Signal(syscall.SIGCONT))
	within(t, "both have a share again", func() bool { return own(one) < 16 && own(two) < 16 && own(one)+own(two) == 16 })
	p.answers(t, p.addrs...)
	if gauge(t, one, "strata_probe_writes_total", `"down"`) != writes || gauge(t, p.server, "strata_health_left_out") != 0 {
		t.Error("the stopped prober had something written down")
	}

	// All hosts are gone at once: the brake, in both.
	p.shut(p.addrs...)
	braked := func(server *stack.Server) bool { return gauge(t, server, "strata_probe_brake") == 1 }
	within(t, "the brake", func() bool { return own(one) < 4 || braked(one) })
	within(t, "the brake of the other", func() bool { return own(two) < 4 || braked(two) })
	within(t, "it is said in /readyz", func() bool {
		return strings.Contains(readyPage(t, one)+readyPage(t, two), "the brake withholds that ")
	})
	p.answers(t, p.addrs...) // those that few had are down, and then all are
	p.open(t, p.addrs...)
	within(t, "the brakes are off", func() bool { return !braked(one) && !braked(two) })
	p.answers(t, p.addrs...)

	// What no record has any more is forgotten.
	records(t, p.Stack, p.Authoritatives[1], append([]string{"remove", app, "A"}, p.addrs[:10]...)...)
	within(t, "six are known", func() bool {
		return up() == 6 && gauge(t, p.server, "strata_health_addresses", `"down"`) == 0
	})
}

// Without probers what they found is believed for a while; a server that starts
// without etcd knows it from its copy; a prober that comes finds it as it is.
func TestProbeAway(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProbed(t, 6)
	p.watched(t)
	one := p.prober(t, "prober-one")
	p.shut(p.addrs[0])
	p.answers(t, p.addrs[1:]...)
	must(t, one.Kill())
	must(t, p.server.Stop()) // the copy is written
	must(t, p.Authoritatives[0].Kill())
	must(t, p.server.Start())
	must(t, p.Ready(t.Context(), p.server))
	if reply := ask(t, p.server, app, dns.TypeA); len(reply.Answer) != 5 {
		t.Errorf("from the copy: %v", data(reply))
	}
	p.answers(t, p.addrs...) // after expire
	if out := ctlOf(t, p.Stack, p.server, "health"); !strings.Contains(out, "answered: no prober vouches for it any more") {
		t.Errorf("health: %s", out)
	}
	must(t, p.Authoritatives[0].Start())
	must(t, p.Ready(t.Context(), p.Authoritatives[0]))
	must(t, one.Start())
	p.answers(t, p.addrs[1:]...)
	p.open(t, p.addrs[0])
	p.answers(t, p.addrs...)
}

// ctlOf runs `authoritative ctl`, which must end well.
func ctlOf(t *testing.T, s *stack.Stack, server *stack.Server, args ...string) string {
	t.Helper()
	return run(t, s, "authoritative", append([]string{"ctl", "--control", server.Control}, args...)...)
}

// readyPage is what /readyz says of each task.
func readyPage(t *testing.T, server *stack.Server) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Admin+"/readyz?verbose", nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return string(text)
}
