package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/daemon/config"
)

// Clients in a view's networks see its zones, the longest prefix deciding, and all else as
// everybody; from files as from etcd, IPv4 as IPv6, and anew after a reload.
func TestViews(t *testing.T) {
	endpoint, _ := etcd(t)
	dir := t.TempDir()
	zone := func(name, lines string) string {
		path := filepath.Join(dir, name)
		write(t, path, "$TTL 60\n@ SOA ns h 1 2 3 4 60\n@ NS ns\nns A 10.9.9.9\n"+lines)
		return path
	}
	everybody := zone("all", "w A 192.0.2.1\nonly A 192.0.2.9\n")
	inside := zone("inside", "w A 10.0.0.1\nto CNAME a.etcd.test.\n")
	text := fmt.Sprintf(`
zones:
  - {name: file.test, source: file, file: %q}
  - {name: etcd.test, source: etcd}
  - {name: other.test, source: etcd}
views:
  - {name: inside, clients: [127.1.0.0/16, "::1/128"], prefix: /inside, zones: [{name: file.test, source: file, file: %q}, {name: etcd.test, source: etcd}]}
  - {name: desk, clients: [127.1.2.0/24], zones: [{name: file.test, source: file, file: %[2]q, max_answers: 1}]}
etcd: {endpoints: [%[3]q]}
snapshot: %[4]q
`, everybody, inside, endpoint, filepath.Join(dir, "snapshot"))
	n := serve(t, text).awaitReady()
	n.does("records", "add", "a.etcd.test", "A", "192.0.2.2")
	n.does("records", "add", "a.etcd.test", "A", "10.0.0.2", "--view", "inside")
	n.does("records", "add", "b.other.test", "CNAME", "a.etcd.test")
	check := func(when string) {
		t.Helper()
		for _, row := range []struct{ name, all, inside, desk string }{
			{"w.file.test", "192.0.2.1", "10.0.0.1", "10.0.0.1"},
			{"only.file.test", "192.0.2.9", "NXDOMAIN", "NXDOMAIN"},
			{"a.etcd.test", "192.0.2.2", "10.0.0.2", "192.0.2.2"},
			{"to.file.test", "NXDOMAIN", "a.etcd.test. 10.0.0.2", "a.etcd.test. 192.0.2.2"},
			{"b.other.test", "a.etcd.test. 192.0.2.2", "a.etcd.test. 10.0.0.2", "a.etcd.test. 192.0.2.2"},
			{"x.elsewhere", "REFUSED", "REFUSED", "REFUSED"},
		} {
			for source, want := range map[string]string{"127.0.0.1": row.all, "127.2.0.1": row.all, "127.1.0.1": row.inside, "127.1.2.3": row.desk} {
				got := ""
				until(t, fmt.Sprintf("%s: %s from %s: %s", when, row.name, source, want), func() bool { got = n.askFrom(t, source, row.name, dns.TypeA); return got == want })
			}
		}
	}
	check("at first")
	if out := n.does("ctl", "view", "127.1.2.3"); !strings.Contains(out, "desk") {
		t.Errorf("ctl view: %s", out)
	}
	if out := n.does("ctl", "view", "::1"); !strings.Contains(out, "inside") {
		t.Errorf("ctl view of ::1: %s", out)
	}
	if out := n.does("ctl", "view", "192.0.2.1"); !strings.Contains(out, "none") {
		t.Errorf("ctl view: %s", out)
	}

	zone("inside", "w A 10.0.0.7\n")
	n.does("ctl", "reload")
	if got := n.askFrom(t, "127.1.0.1", "w.file.test", dns.TypeA); got != "10.0.0.7" {
		t.Errorf("after a reload: %s", got)
	}
	zone("inside", "w A bad\n")
	if said := n.fails("ctl", "reload"); !strings.Contains(said, "view inside: ") {
		t.Errorf("a bad file of a view: %s", said)
	}
	zone("inside", "w A 10.0.0.1\nto CNAME a.etcd.test.\n")
	// Clients move from one view to another, and to what everybody sees, while they ask.
	n.rewrite(strings.NewReplacer("127.1.0.0/16", "127.3.0.0/16", "127.1.2.0/24", "127.1.0.0/16").Replace(text))
	n.does("ctl", "reload")
	for source, want := range map[string]string{"127.3.0.1": "10.0.0.2", "127.1.0.1": "192.0.2.2", "127.1.2.3": "192.0.2.2"} {
		if got := n.askFrom(t, source, "a.etcd.test", dns.TypeA); got != want {
			t.Errorf("with other clients: %s sees %s, not %s", source, got, want)
		}
	}
	if out := n.does("ctl", "view", "127.1.0.1"); !strings.Contains(out, "desk") {
		t.Errorf("ctl view with other clients: %s", out)
	}
	if _, page := n.get("/status"); !strings.Contains(page, "127.3.0.0/16") {
		t.Errorf("status: %s", page)
	}
	for what, to := range map[string]string{
		"another prefix": strings.Replace(text, "prefix: /inside", "prefix: /outside", 1),
		"another name":   strings.Replace(text, "name: desk", "name: table", 1),
		"one less":       text[:strings.Index(text, "  - {name: desk")] + text[strings.Index(text, "etcd: {"):],
	} {
		n.rewrite(to)
		if said := n.fails("ctl", "reload"); !strings.Contains(said, "restart it") {
			t.Errorf("%s: %s", what, said)
		}
	}
	if got := n.askFrom(t, "127.3.0.1", "a.etcd.test", dns.TypeA); got != "10.0.0.2" {
		t.Errorf("after reloads that were refused: %s", got)
	}
	n.rewrite(text)
	n.does("ctl", "reload")
	check("as before")

	// From the snapshots, with no etcd.
	n.stop()
	n.rewrite(strings.Replace(text, endpoint, "http://"+freeAddress(t), 1))
	n.start()
	n.awaitReady()
	check("from the snapshots")
}

// What cannot be a view is refused, each by its key.
func TestViewsRefused(t *testing.T) {
	const zones = "zones: [{name: test, source: etcd}, {name: deep.test, source: etcd}]\netcd: {endpoints: [\"http://127.0.0.1:1\"]}\nviews:\n"
	for views, want := range map[string]string{
		"  - {name: a, clients: [10.0.0.0/8], prefix: /a, zones: [{name: test, source: etcd}]}":                                                                                  "views[0].zones: deep.test is below test., so the view would hide it",
		"  - {name: a, clients: [10.0.0.1/8], prefix: /a, zones: [{name: deep.test, source: etcd}]}":                                                                             "views[0].clients[0]: 10.0.0.1/8 is not a network; 10.0.0.0/8 is",
		"  - {name: a, clients: [10.0.0.0/8], zones: [{name: deep.test, source: etcd}]}":                                                                                         "views[0].prefix: \"\"; where",
		"  - {name: a, clients: [10.0.0.0/8], prefix: /strata/v1, zones: [{name: deep.test, source: etcd}]}":                                                                     "views[0].prefix: /strata/v1 is the prefix",
		"  - {name: a, clients: [10.0.0.0/8], prefix: /a}":                                                                                                                       "views[0].zones: missing",
		"  - {name: a, clients: [10.0.0.0/8], prefix: /a, zones: [{name: deep.test, source: etcd, order: best}]}":                                                                "views[0].zones[0].order: not an order",
		"  - {name: a, prefix: /a, zones: [{name: deep.test, source: etcd}]}":                                                                                                    "views[0].clients: missing",
		"  - {name: a, clients: [10.0.0.0/8], prefix: /a, zones: [{name: x, source: etcd}]}\n  - {name: b, clients: [10.0.0.0/8], prefix: /b, zones: [{name: x, source: etcd}]}": "views[1].clients[0]: 10.0.0.0/8 are clients of view a",
	} {
		c := defaults()
		file := filepath.Join(t.TempDir(), "c.yaml")
		write(t, file, zones+views+"\n")
		err := config.Load(file, &c, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n: %v, want %s", views, err, want)
		}
	}
}
