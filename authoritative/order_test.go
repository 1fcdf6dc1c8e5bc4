package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// askFrom gives the data of an answer as it came, asked from an address of loopback.
func (n *node) askFrom(t *testing.T, source, name string, typ uint16) string {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), typ)
	c := &dns.Client{Timeout: 5 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}}
	reply, _, err := c.Exchange(q, n.address)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Rcode != dns.RcodeSuccess {
		return dns.RcodeToString[reply.Rcode]
	}
	var data []string
	for _, rr := range reply.Answer {
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(data, " ")
}

// The zone's order and number of addresses come from the config, also anew on a reload;
// a name's own from its ORDER record, in a file as in etcd.
func TestZoneOrders(t *testing.T) {
	endpoint, _ := etcd(t)
	file := filepath.Join(t.TempDir(), "zone")
	write(t, file, "$TTL 60\n@ SOA ns h 1 2 3 4 60\n@ NS ns\nns A 10.9.9.9\nw A 10.0.0.1\nw A 10.0.0.2\nw A 10.0.0.3\nown A 10.0.0.1\nown A 10.0.0.2\nown ORDER max=all\n")
	const config = "zones:\n  - {name: file.test, source: file, file: %q, order: %s, max_answers: %d}\n  - {name: etcd.test, source: etcd}\netcd: {endpoints: [%q]}\n"
	n := serve(t, fmt.Sprintf(config, file, "fixed", 2, endpoint)).awaitReady()
	for name, want := range map[string]string{"w.file.test": "10.0.0.1 10.0.0.2", "own.file.test": "10.0.0.1 10.0.0.2"} {
		for range 3 {
			if got := n.askFrom(t, "127.0.0.1", name, dns.TypeA); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	n.rewrite(fmt.Sprintf(config, file, "source-hash", 1, endpoint))
	n.does("ctl", "reload")
	counts := map[string]int{}
	for i := range 200 {
		source := fmt.Sprintf("127.1.%d.%d", i/10, i)
		first := n.askFrom(t, source, "w.file.test", dns.TypeA)
		if again := n.askFrom(t, source, "w.file.test", dns.TypeA); again != first {
			t.Errorf("%s was sent to %s, and then to %s", source, first, again)
		}
		counts[first]++
	}
	if len(counts) != 3 || counts["10.0.0.1"] < 30 || counts["10.0.0.2"] < 30 || counts["10.0.0.3"] < 30 {
		t.Errorf("200 askers went to %v", counts)
	}

	n.does("records", "add", "a.etcd.test", "A", "10.0.0.1", "10.0.0.2")
	n.does("records", "add", "a.etcd.test", "ORDER", "10.0.0.1=9 max=1")
	n.answers("a.etcd.test", 65402, "weighted max=1 10.0.0.1=9")
	counts = map[string]int{}
	for range 500 {
		counts[n.askFrom(t, "127.0.0.1", "a.etcd.test", dns.TypeA)]++
	}
	if len(counts) != 2 || counts["10.0.0.1"] < 400 {
		t.Errorf("with weights 9 and 1, 500 answers were %v", counts)
	}
	if list := n.does("records", "list", "a.etcd.test"); !strings.Contains(list, "ORDER\tweighted max=1 10.0.0.1=9") {
		t.Errorf("the list has no ORDER:\n%s", list)
	}
	if said := n.fails("records", "add", "a.etcd.test", "ORDER", "best"); !strings.Contains(said, "not an order of answers") {
		t.Errorf("an order there is not: %s", said)
	}
}
