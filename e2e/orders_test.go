package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// digFrom gives an answer's data in dig's order, asked from an address of loopback.
func digFrom(t *testing.T, server *stack.Server, source, name string) []string {
	t.Helper()
	host, port, _ := strings.Cut(server.Address, ":")
	out, err := exec.CommandContext(t.Context(), "dig", "-b", source, "@"+host, "-p", port, name, "A", "+short", "+tries=3").CombinedOutput()
	if err != nil {
		t.Fatalf("dig %s from %s: %v\n%s", name, source, err, out)
	}
	return strings.Fields(string(out))
}

// Orders of addresses, how many there are, and views, as dig sees them from several
// addresses of loopback.
func TestOrders(t *testing.T) {
	t.Parallel() // it mostly waits
	needBinaries(t)
	need(t, "dig")
	s := newStack(t, stack.Nothing)
	var zone strings.Builder
	zone.WriteString("$TTL 30\n@ SOA ns hostmaster 1 7200 1800 86400 5\n@ NS ns\nns A 10.0.0.53\ninside A 10.9.9.9\n")
	for name, order := range map[string]string{
		"plain": "", "shuffle": "shuffle", "weighted": "weighted 10.0.0.1=20", "hash": "source-hash max=2", "sticky": "sticky", "fixed": "fixed", "one": "max=1",
	} {
		for i := range 4 {
			fmt.Fprintf(&zone, "%s A 10.0.0.%d\n", name, i+1)
		}
		if order != "" {
			fmt.Fprintf(&zone, "%s ORDER %s\n", name, order)
		}
	}
	writeFile(t, filepath.Join(s.Dir, "orders.zone"), zone.String())
	writeFile(t, filepath.Join(s.Dir, "inside.zone"), "$TTL 30\n@ SOA ns hostmaster 1 7200 1800 86400 5\n@ NS ns\nns A 10.0.0.53\ninside A 10.8.8.8\n")
	server := extra(t, s, "orders", "authoritative", `
listen: ["127.0.0.1:{{.Port}}"]
zones: [{name: orders.test, source: file, file: "{{.Dir}}/orders.zone"}]
views: [{name: inside, clients: [127.3.0.0/16], zones: [{name: orders.test, source: file, file: "{{.Dir}}/inside.zone"}]}]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, s.Ready(t.Context(), server))
	const times = 60
	firsts := func(name string, source func(i int) string) map[string]int {
		by := map[string]int{}
		for i := range times {
			by[digFrom(t, server, source(i), name+".orders.test")[0]]++
		}
		return by
	}
	same := func(int) string { return "127.0.0.1" }
	others := func(i int) string { return fmt.Sprintf("127.1.0.%d", i+1) }
	for name, kinds := range map[string][2]int{"plain": {4, 4}, "shuffle": {3, 4}, "hash": {1, 1}, "sticky": {1, 1}, "fixed": {1, 1}, "one": {4, 4}} {
		if got := firsts(name, same); len(got) < kinds[0] || len(got) > kinds[1] {
			t.Errorf("%s: one asker had %v first", name, got)
		}
	}
	for _, name := range []string{"hash", "sticky"} {
		if got := firsts(name, others); len(got) < 3 {
			t.Errorf("%s: %d askers had %v first", name, times, got)
		}
	}
	if got := firsts("weighted", same); got["10.0.0.1"] < times/2 { // 52 are to be expected
		t.Errorf("weighted: %v", got)
	}
	for name, want := range map[string]int{"plain": 4, "one": 1, "hash": 2} {
		if got := digFrom(t, server, "127.0.0.1", name+".orders.test"); len(got) != want {
			t.Errorf("%s: %v, want %d addresses", name, got, want)
		}
	}
	for source, want := range map[string]string{"127.0.0.1": "10.9.9.9", "127.3.0.1": "10.8.8.8", "127.4.0.1": "10.9.9.9"} {
		if got := digFrom(t, server, source, "inside.orders.test"); !slices.Equal(got, []string{want}) {
			t.Errorf("the view of %s: %v, want %s", source, got, want)
		}
	}
	if got := ask(t, server, "plain.orders.test", dns.TypeA); len(got.Answer) != 4 {
		t.Errorf("%v", got)
	}
}
