package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strata-dns/strata/e2e/stack"
)

// How records are probed is said when they are added, shown, and taken away.
func TestRecordsProbe(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := &node{t: t, config: filepath.Join(t.TempDir(), "authoritative.yaml")}
	write(t, n.config, "zones: [{name: example.org, source: etcd}]\netcd: {endpoints: ["+endpoint+"]}\n")
	list := func(want string) {
		t.Helper()
		if got := n.does("records", "list"); strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("list: %q, want %q", got, want)
		}
	}
	n.does("records", "add", "www.example.org", "A", "10.0.0.1", "--probe", "http:8080/healthz")
	list("www.example.org. 300 IN A 10.0.0.1 ; static, probe http:8080/healthz")
	n.does("records", "add", "www.example.org", "A", "10.0.0.1")
	list("www.example.org. 300 IN A 10.0.0.1 ; static, probe http:8080/healthz")
	n.does("records", "add", "www.example.org", "A", "10.0.0.1", "--probe", "none")
	list("www.example.org. 300 IN A 10.0.0.1 ; static")
	if said := n.fails("records", "add", "www.example.org", "A", "10.0.0.1", "--probe", "tcp"); !strings.Contains(said, "tcp:PORT, udp:PORT, http:PORT/PATH or icmp") {
		t.Error(said)
	}
	if said := n.fails("records", "add", "x.example.org", "TXT", "a", "--probe", "tcp:80"); !strings.Contains(said, "TXT records have none") {
		t.Error(said)
	}
}

// What is wrong with the section is said by its key.
func TestProbeConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "authoritative.yaml")
	for text, want := range map[string]string{
		"interval: 5s":  "probe.interval: 5s is shorter than 3 tries of 2s (timeout)",
		"tries: 0":      "probe.tries: 0; from 1 to 100",
		"timeout: 0s":   "probe.timeout: 0s; 10ms at least",
		"sockets: 1":    "probe.sockets: 1; from 8 to 1,000,000",
		"lease: 1500ms": "probe.lease: 1.5s; whole seconds from 2s to 1h",
		"expire: 10s":   "probe.expire: 10s is not more than probe.lease, 10s",
		"brake: 1.5":    "probe.brake: 1.5 is not a share between 0 and 1",
		"name: a/b":     `probe.name: "a/b" is not a short name`,
		"reference: [{address: 10.0.0.1, check: x}]": "probe.reference[0].check: ",
		"reference: [{check: icmp}]":                 "probe.reference[0].address: missing",
	} {
		write(t, path, "control: \"\"\nzones: [{name: example.org, source: etcd}]\netcd: {endpoints: [\"http://127.0.0.1:1\"]}\nprobe: {"+text+"}\n")
		var out strings.Builder
		if status := run(t.Context(), []string{"check", "--config", path}, &out, &out); status != 1 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %d %q, want %q", text, status, out.String(), want)
		}
	}
}

// A reload of prober and monitor refuses what is wrong, and has log.level taken up.
func TestReloadOfOthers(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"probe", "monitor"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			n := &node{t: t, config: filepath.Join(dir, "authoritative.yaml")}
			sock := filepath.Join(dir, "ctl")
			text := "zones: [{name: cluster.local, source: etcd}]\netcd: {endpoints: [\"http://" + freeAddress(t) + "\"]}\n" +
				"probe: {admin: \"\", control: " + sock + "}\nmonitor: {cluster: a, manifests: " + dir + ", admin: \"\", control: " + sock + "}\n"
			write(t, n.config, text)
			ctx, stop := context.WithCancel(t.Context())
			log, ended := &stack.Text{}, make(chan int, 1)
			go func() { ended <- run(ctx, []string{command, "--config", n.config}, log, log) }()
			until(t, "the control socket", func() bool { status, _, _ := n.run("ctl", "--control", sock, "status"); return status == 0 })
			n.does("ctl", "--control", sock, "reload")
			if said := log.String(); !strings.Contains(said, "config is right; log.level is taken up") {
				t.Error(said)
			}
			write(t, n.config, text+"brake: {max_delete: 2}\n")
			if said := n.fails("ctl", "--control", sock, "reload"); !strings.Contains(said, "authoritative.yaml:5: brake.max_delete: 2 is not a share") {
				t.Error(said)
			}
			stop()
			if status := <-ended; status != 0 {
				t.Errorf("status %d:\n%s", status, log)
			}
		})
	}
}
