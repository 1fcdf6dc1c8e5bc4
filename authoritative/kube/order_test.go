package kube

import (
	"slices"
	"strings"
	"testing"
)

// What a Service's annotations say of the order of its addresses stands beside them, where
// there are several.
func TestOrderAnnotations(t *testing.T) {
	t.Parallel()
	const two = "{addresses: [172.16.1.1]}, {addresses: [172.16.1.2]}"
	addresses := []string{"web.shop.svc.cluster.local. 5 A 172.16.1.1", "web.shop.svc.cluster.local. 5 A 172.16.1.2",
		"172-16-1-1.web.shop.svc.cluster.local. 5 A 172.16.1.1", "172-16-1-2.web.shop.svc.cluster.local. 5 A 172.16.1.2"}
	for _, row := range []struct{ annotations, endpoints, order, problem string }{
		{"strata-dns.io/order: shuffle", two, "shuffle", ""},
		{"strata-dns.io/max-answers: \"2\"", two, "max=2", ""},
		{"strata-dns.io/order: sticky max=1, strata-dns.io/max-answers: all", two, "sticky max=all", ""},
		{"strata-dns.io/order: 172.16.1.1=3", two, "weighted 172.16.1.1=3", ""},
		{"strata-dns.io/order: shuffle", "{addresses: [172.16.1.1]}", "", ""},
		{"strata-dns.io/order: best", two, "", `annotation strata-dns.io/order: not an order of answers: "best"`},
		{"strata-dns.io/order: fixed, strata-dns.io/max-answers: none", two, "fixed", `annotation strata-dns.io/max-answers: "none" is neither`},
	} {
		text := strings.Replace(service("spec: {clusterIP: None}")+slice("IPv4", "", row.endpoints), "{name: web,", "{name: web, annotations: {"+row.annotations+"},", 1)
		got, problems := derive(t, testOptions(), text)
		var want []string
		for _, line := range addresses {
			if row.endpoints == two || strings.HasSuffix(line, "1.1") {
				want = append(want, line)
			}
		}
		if row.order != "" {
			want = append(want, "web.shop.svc.cluster.local. 5 ORDER "+row.order)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", row.annotations, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if row.problem == "" && problems != nil || row.problem != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0], row.problem)) {
			t.Errorf("%s: problems %q, want %q", row.annotations, problems, row.problem)
		}
	}
}

// The order comes to etcd with the addresses, changes and goes with the annotation, and
// nothing is left to be written.
func TestOrderWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := func(annotations string) string {
		return strings.Replace(service("spec: {clusterIP: None}")+slice("IPv4", "", "{addresses: [172.16.1.1]}, {addresses: [172.16.1.2]}"),
			"{name: web,", "{name: web, annotations: {"+annotations+"},", 1)
	}
	addresses := []string{"web.shop.svc.cluster.local. 5 A 172.16.1.1", "web.shop.svc.cluster.local. 5 A 172.16.1.2",
		"172-16-1-1.web.shop.svc.cluster.local. 5 A 172.16.1.1", "172-16-1-2.web.shop.svc.cluster.local. 5 A 172.16.1.2"}
	s := b.state(0, text("strata-dns.io/order: shuffle"))
	w := b.writer(s, 0.3, nil)
	b.holds(owner, append(addresses, "web.shop.svc.cluster.local. 5 ORDER shuffle")...)
	s.Change(0, objects(t, text("strata-dns.io/max-answers: \"1\"")), nil)
	b.holds(owner, append(addresses, "web.shop.svc.cluster.local. 5 ORDER max=1")...)
	s.Change(0, objects(t, text("")), nil)
	b.holds(owner, addresses...)
	until(t, func() bool { return w.Ready() && s.Counts().Pending == 0 }, func() string { return w.Reason() })
}
