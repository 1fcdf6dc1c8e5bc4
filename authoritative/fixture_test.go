package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/e2e/stack"
)

// A node is `authoritative serve`, in this process.
type node struct {
	t       *testing.T
	config  string // the file
	address string // host:port for queries
	admin   string
	log     *stack.Text
	stop    func() int // ends it and gives its exit status
	done    chan int
}

// serve starts a node. The config gets listen, admin and control of its own.
func serve(t *testing.T, config string) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, config: filepath.Join(dir, "authoritative.yaml"), address: freeAddress(t), admin: freeAddress(t)}
	n.rewrite(config)
	n.start()
	return n
}

// rewrite gives the node another config, to be taken up by a reload.
func (n *node) rewrite(config string) {
	n.t.Helper()
	write(n.t, n.config, fmt.Sprintf("listen: [%q]\nadmin: %q\ncontrol: %q\nworkers: 1\n%s",
		n.address, n.admin, filepath.Join(filepath.Dir(n.config), "ctl"), config))
}

func (n *node) start() {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n.log, n.done = &stack.Text{}, make(chan int, 1)
	log, done := n.log, n.done
	go func() { done <- run(ctx, []string{"serve", "--config", n.config}, log, log) }()
	n.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case status := <-done:
			return status
		case <-time.After(time.Minute):
			n.t.Errorf("did not end:\n%s", log)
			return -1
		}
	})
	n.t.Cleanup(func() {
		if n.stop(); n.t.Failed() {
			n.t.Logf("log of %s:\n%s", n.address, log)
		}
	})
}

// get asks a page of the admin server.
func (n *node) get(page string) (status int, body string) {
	resp, err := http.Get("http://" + n.admin + page)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, b.String()
}

func (n *node) ready() bool { status, _ := n.get("/readyz"); return status == http.StatusOK }

// awaitReady waits until the node says that it is.
func (n *node) awaitReady() *node {
	n.t.Helper()
	until(n.t, "ready", n.ready)
	return n
}

// metric gives a metric's line without its name and labels, "" where there is none.
func (n *node) metric(name string) string {
	_, body := n.get("/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// status reads a section of /status.
func (n *node) status(section string, into any) {
	n.t.Helper()
	_, body := n.get("/status")
	var sections map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &sections); err != nil {
		n.t.Fatalf("status: %v: %s", err, body)
	}
	if err := json.Unmarshal(sections[section], into); err != nil {
		n.t.Fatalf("status: section %s: %v", section, err)
	}
}

// run runs a command with the node's config, and gives its exit status and what it
// said on stdout and stderr.
func (n *node) run(args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(n.t.Context(), append(args, "--config", n.config), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// does is run for what must go well.
func (n *node) does(args ...string) string {
	n.t.Helper()
	status, out, errs := n.run(args...)
	if status != 0 || errs != "" {
		n.t.Fatalf("%v: status %d: %s", args, status, errs)
	}
	return out
}

// fails is run for what must not: one line, which it gives.
func (n *node) fails(args ...string) string {
	n.t.Helper()
	status, out, errs := n.run(args...)
	if status != 1 || out != "" || strings.Count(errs, "\n") != 1 {
		n.t.Fatalf("%v: status %d, said %q and %q; want 1 and one line", args, status, out, errs)
	}
	return errs
}

// ask sends a question over UDP.
func (n *node) ask(name string, typ uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), typ)
	c := &dns.Client{Timeout: 5 * time.Second}
	reply, _, err := c.Exchange(q, n.address)
	return reply, err
}

// answer is a reply in short: its code where it is not success, else the data of
// the answer, sorted.
func (n *node) answer(name string, typ uint16) string {
	reply, err := n.ask(name, typ)
	switch {
	case err != nil:
		return err.Error()
	case reply.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[reply.Rcode]
	}
	var data []string
	for _, rr := range reply.Answer {
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(data)
	return strings.Join(data, ", ")
}

// answers waits for an answer.
func (n *node) answers(name string, typ uint16, want string) {
	n.t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for got := ""; ; time.Sleep(5 * time.Millisecond) {
		if got = n.answer(name, typ); got == want {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s %s: %q, want %q", name, dns.TypeToString[typ], got, want)
		}
	}
}

func (n *node) serial(zone string) uint32 {
	n.t.Helper()
	reply, err := n.ask(zone, dns.TypeSOA)
	if err != nil || len(reply.Answer) != 1 {
		n.t.Fatalf("SOA of %s: %v, %v", zone, reply, err)
	}
	return reply.Answer[0].(*dns.SOA).Serial
}

// etcd starts a member of the test's own and gives its endpoint.
func etcd(t *testing.T) (endpoint string, m *store.Member) {
	t.Helper()
	return etcdAt(t, t.TempDir(), "http://127.0.0.1:0")
}

func etcdAt(t *testing.T, dir, url string) (string, *store.Member) {
	t.Helper()
	m, err := store.Embed(t.Context(), store.EmbedOptions{Dir: dir, ClientURL: url, PeerURL: "http://127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopMember(t, m) })
	return m.Endpoints()[0], m
}

func stopMember(t *testing.T, m *store.Member) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := m.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// client opens etcd beside the servers.
func client(t *testing.T, endpoint string) *store.Client {
	t.Helper()
	c, err := store.Open(store.Options{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return stack.Loopback(stack.FreePort(t))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// until polls; what says what was waited for.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
