package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// away is an authoritative whose etcd does not answer.
const away = `
listen: ["127.0.0.1:{{.Port}}"]
zones:
  - {name: prd.example.com, source: etcd}
  - {name: example.org, source: file, file: "{{.Dir}}/example.org.zone"}
etcd: {endpoints: ["http://127.0.0.1:{{.DeadPort}}"]}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`

// Without etcd and without a snapshot a server says so and goes on trying; it
// answers what it can, and is not ready.
func TestEtcdUnreachable(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.Nothing)
	server := extra(t, s, "away", "authoritative", away)
	within(t, "an answer from the file zone", func() bool {
		reply, err := exchange(server, "web.example.org", dns.TypeA)
		return answered(reply, err, "192.0.2.80")
	})
	ready, why := server.IsReady(t.Context())
	if ready || !strings.Contains(why, "etcd has not answered yet") {
		t.Errorf("ready %v: %q", ready, why)
	}
	if reply := ask(t, server, "www.prd.example.com", dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("a zone whose records are not known is answered %s, not SERVFAIL", dns.RcodeToString[reply.Rcode])
	}
	within(t, "a log line on etcd", func() bool {
		return strings.Contains(server.Log(), "etcd") && strings.Contains(server.Log(), "level=WARN")
	})
	if _, err := s.Records(t.Context(), server, "list"); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("records list says %v", err)
	}
}

// etcd's node stops: the other goes on answering. It starts again from its
// snapshot, and takes up changes when etcd is back.
func TestEtcdAway(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.AuthoritativesOnly)
	member, server := s.Authoritatives[0], s.Authoritatives[1]
	records(t, s, member, "add", "kept.prd.example.com", "A", "10.1.9.1")
	seen(t, server, "kept.prd.example.com", dns.TypeA, "10.1.9.1")

	must(t, member.Kill()) // no goodbye
	seen(t, server, "kept.prd.example.com", dns.TypeA, "10.1.9.1")
	must(t, server.Stop())
	must(t, server.Start())
	must(t, s.Ready(t.Context(), server))
	seen(t, server, "kept.prd.example.com", dns.TypeA, "10.1.9.1")
	if !strings.Contains(server.Log(), "started from snapshot") {
		t.Error("the log does not say that it started from the snapshot")
	}

	must(t, member.Start())
	must(t, s.Ready(t.Context(), member))
	records(t, s, server, "add", "later.prd.example.com", "A", "10.1.9.2")
	seen(t, member, "later.prd.example.com", dns.TypeA, "10.1.9.2")
	within(t, "the change, over the watch that came back", func() bool {
		reply, err := exchange(server, "later.prd.example.com", dns.TypeA)
		return answered(reply, err, "10.1.9.2")
	})
}

// A damaged snapshot is not used, and said so; the server waits for etcd instead.
func TestDamagedSnapshot(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.Nothing)
	server, err := s.Extra("damaged", "authoritative", away+"snapshot: \"{{.Dir}}/{{.ID}}.snapshot\"\n")
	must(t, err)
	writeFile(t, filepath.Join(s.Dir, "damaged.snapshot"), "this is no snapshot")
	must(t, server.Start())
	within(t, "an answer from the file zone", func() bool {
		reply, err := exchange(server, "web.example.org", dns.TypeA)
		return answered(reply, err, "192.0.2.80")
	})
	if ready, _ := server.IsReady(t.Context()); ready {
		t.Error("it is ready")
	}
	if !strings.Contains(server.Log(), "snapshot not used") {
		t.Errorf("the log does not say so:\n%s", server.Log())
	}
}
