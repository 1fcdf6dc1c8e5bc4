package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
)

// ctl runs a command of a resident's control socket, which must end well.
func (r *resident) ctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), r.Path, append([]string{"ctl", "--control", r.Control}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s ctl %s: %v\n%s", r.Name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Clients of three prefixes are answered by three authoritatives, for the same names,
// by a recursor with such zones and a nodecache with such stubs: straight, through a
// nodecache of their own, along an alias of another zone, by one or by all at
// once; after a restart from the cache's file, with the authoritatives gone; and
// after a reload that moves a prefix from one view to another.
func TestViewsOfZones(t *testing.T) {
	w := newTown(t)
	dc := w.site("dc", 1)
	var zones []*resident
	for i := range 3 {
		zones = append(zones, w.authoritative(w.newHost(dc, fmt.Sprint("prd", i), fmt.Sprint("10.1.0.2", i)), 5300, map[string]string{
			"prd.example.com": zoneText(fmt.Sprint("www A 192.0.2.", i), fmt.Sprint("*.any A 192.0.2.", i), "out CNAME back.stg.example.com."),
			"stg.example.com": zoneText("in CNAME www.prd.example.com.", "back CNAME www.prd.example.com.", "plain A 192.0.2.99"),
		}))
	}
	const config = `
listen: ["0.0.0.0:53"]
%s:
  - {names: [prd.example.com, stg.example.com], servers: ["10.1.0.20:5300"]}
  - {names: [prd.example.com], servers: ["10.1.0.21:5300"], clients: [10.1.4.0/22, 10.1.200.0/24]}
  - {names: [prd.example.com], servers: ["10.1.0.22:5300"], clients: [10.1.5.0/24]}
cache: {size: 16MiB, stale_for: 1h, prefetch: true, file: %q}`
	r := w.settle(w.newHost(dc, "recursor", "10.1.0.11"), "recursor", fmt.Sprintf(config, "zones", filepath.Join(w.dir, "recursor.cache")))
	n := w.settle(w.newHost(dc, "nodecache", "10.1.0.12"), "nodecache", "upstreams: [\"10.1.0.99:53\"]"+
		fmt.Sprintf(config, "stubs", filepath.Join(w.dir, "nodecache.cache")))
	want := map[*hosts.Host]string{}
	for address, zone := range map[string]int{"10.1.0.100": 0, "10.1.8.1": 0, "10.1.4.1": 1, "10.1.7.1": 1, "10.1.200.1": 1, "10.1.5.1": 2} {
		want[w.newHost(dc, "host-"+address, address)] = fmt.Sprint("A 192.0.2.", zone)
	}
	node := w.settle(w.newHost(dc, "node", "10.1.5.2"), "nodecache", "listen: [\"127.0.0.1:53\"]\nupstreams: [\"10.1.0.11:53\"]\ncache: {size: 16MiB}")
	w.ready(append(slices.Clone(zones), r, n, node)...)

	names := []string{"www.prd.example.com", "in.stg.example.com", "out.prd.example.com", "back.stg.example.com"}
	look := func(when string, names ...string) {
		t.Helper()
		var wait sync.WaitGroup
		for h, right := range want {
			for i, name := range append(names, names...) {
				wait.Go(func() {
					server := []string{"10.1.0.11:53", "10.1.0.12:53"}[i/len(names)]
					m, _, err := tryFrom(h, server, name, dns.TypeA)
					if err != nil || m.Rcode != dns.RcodeSuccess || !strings.HasSuffix(answers(m), right) {
						t.Errorf("%s: %s for %s from %s: %v, %v, want %s", when, name, h.Address, server, err, m, right)
					}
				})
			}
		}
		wait.Wait()
	}
	for i := range 50 { // all at once, each time a name that nobody knows
		look("at once", fmt.Sprintf("n%d.any.prd.example.com", i))
	}
	look("first", names...)
	look("from memory", names...)
	for _, name := range names {
		if m, _ := from(t, node.host, "127.0.0.1:53", name, dns.TypeA); !strings.HasSuffix(answers(m), "A 192.0.2.2") {
			t.Errorf("through nodecache: %s: %v", name, m)
		}
	}
	if out := r.ctl(t, "lookup", "in.stg.example.com", "A", "--client", "10.1.6.9"); !strings.Contains(out, "192.0.2.1") || !strings.Contains(out, "in the view of 10.1.4.0/22 10.1.200.0/24") {
		t.Errorf("ctl lookup:\n%s", out)
	}
	if out := r.ctl(t, "dump", "--under", "www.prd.example.com"); strings.Count(out, "; www.prd.example.com. A ") != 3 || strings.Count(out, "in the view of 10.1.5.0/24") != 1 {
		t.Errorf("ctl dump:\n%s", out)
	}

	both := []*resident{r, n}
	for _, one := range append(both, zones...) {
		must(t, one.Stop())
	}
	for _, one := range both {
		must(t, one.Start())
	}
	w.ready(both...)
	look("from the file", names...)
	for _, z := range zones {
		must(t, z.Start())
	}
	w.ready(zones...)

	for _, one := range both {
		rewrite(t, one.Config, "clients: [10.1.5.0/24]", "clients: [10.1.200.0/24, 10.1.8.0/24]")
		rewrite(t, one.Config, "clients: [10.1.4.0/22, 10.1.200.0/24]", "clients: [10.1.4.0/22]")
		if out := one.ctl(t, "reload"); !strings.Contains(out, "reloaded") {
			t.Fatal(out)
		}
	}
	for h := range want {
		switch a := h.Address.String(); a {
		case "10.1.200.1", "10.1.8.1":
			want[h] = "A 192.0.2.2"
		case "10.1.5.1":
			want[h] = "A 192.0.2.1"
		}
	}
	look("after a reload", names...)
}
