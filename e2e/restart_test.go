package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/holder"
	"github.com/strata-dns/strata/e2e/stack"
)

// restarts is how often a nodecache under load is replaced.
const restarts = 10

// pace is the load's time for each restart; patience is when dnsperf counts a query
// as lost.
const (
	pace     = 400 * time.Millisecond
	patience = 3 * time.Second
)

// restartStack is an authoritative with a zone of many names, a nodecache in front
// of it that is not started yet, and a file of queries.
func restartStack(t *testing.T) (*stack.Stack, *stack.Server, string) {
	t.Helper()
	need(t, "dnsperf")
	s := newStack(t, stack.Nothing)
	var zone, queries strings.Builder
	zone.WriteString("@ 86400 SOA ns hostmaster 1 3600 600 86400 60\n@ 86400 NS ns\nns 86400 A 192.0.2.1\n")
	for i := range 1000 {
		fmt.Fprintf(&zone, "h%d 86400 A 10.0.%d.%d\n", i, i/250, i%250+1)
		fmt.Fprintf(&queries, "h%d.restart.example A\n", i)
	}
	writeFile(t, filepath.Join(s.Dir, "restart.zone"), zone.String())
	file := filepath.Join(s.Dir, "queries")
	writeFile(t, file, queries.String())
	behind := extra(t, s, "behind", "authoritative", `
listen: ["127.0.0.1:{{.Port}}"]
workers: 1
zones: [{name: restart.example, source: file, file: "{{.Dir}}/restart.zone"}]
snapshot: ""
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, s.Ready(t.Context(), behind))
	server, err := s.Extra("renewed", "nodecache", `
listen: ["127.0.0.1:{{.Port}}"]
workers: 2
upstreams: ["`+behind.Address+`"]
cache: {size: 16MiB, file: "{{.Dir}}/{{.ID}}.cache"}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, err)
	return s, server, file
}

// A perf is a running dnsperf.
type perf struct {
	stack.Process
	transport string
}

// perfs starts one dnsperf over UDP and one over TCP, as fast as it goes.
func perfs(t *testing.T, address, queries string) []*perf {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	path, err := lookPath("dnsperf")
	must(t, err)
	var all []*perf
	for _, transport := range []string{"udp", "tcp"} {
		p := &perf{transport: transport}
		p.Name, p.Path, p.LogFile = "dnsperf "+transport, path, filepath.Join(t.TempDir(), transport)
		p.Args = []string{"-s", host, "-p", port, "-d", queries, "-l", "120", "-q", "100", "-c", "8", "-T", "1", "-m", transport, "-t", strconv.Itoa(int(patience / time.Second))}
		must(t, p.Start())
		t.Cleanup(func() { _ = p.Kill() })
		all = append(all, p)
	}
	return all
}

var perfFigure = regexp.MustCompile(`(?m)^ *(Queries (?:sent|completed|lost|interrupted)|Reconnections|Response codes): +(.*)$`)

// whole ends it and wants every query answered, with NOERROR, but for those on
// their way at that moment.
func (p *perf) whole(t *testing.T) {
	t.Helper()
	must(t, p.Signal(syscall.SIGINT))
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	figures := map[string]string{}
	for _, m := range perfFigure.FindAllStringSubmatch(p.Log(), -1) {
		figures[m[1]] = m[2]
	}
	number := func(key string) int {
		word, _, _ := strings.Cut(figures[key], " ")
		n, _ := strconv.Atoi(word) // 0 where there is none
		return n
	}
	completed := number("Queries completed")
	if completed < 1000*restarts || figures["Queries lost"] != "0 (0.00%)" ||
		completed+number("Queries interrupted") != number("Queries sent") ||
		figures["Response codes"] != fmt.Sprintf("NOERROR %d (100.00%%)", completed) ||
		p.transport == "tcp" && figures["Reconnections"] != "0" {
		t.Errorf("%s: %v", p.Name, figures)
	}
	t.Logf("%s: %v", p.Name, figures)
}

// wholeLoad ends a load when what was lost has been counted as lost.
func wholeLoad(t *testing.T, load []*perf) {
	t.Helper()
	time.Sleep(patience + 200*time.Millisecond)
	for _, p := range load {
		p.whole(t)
	}
}

// verified asks one name after the other and looks at the data, until stop.
func verified(t *testing.T, server *stack.Server, stop <-chan struct{}) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i = (i + 1) % 1000 {
			select {
			case <-stop:
				return
			default:
			}
			reply, err := exchange(server, fmt.Sprintf("h%d.restart.example", i), 1)
			if want := fmt.Sprintf("10.0.%d.%d", i/250, i%250+1); !answered(reply, err, want) {
				t.Errorf("h%d: %v, %v, want %s", i, reply, err, want)
				return
			}
		}
	}()
	return done
}

// A nodecache under full load is replaced ten times by one that takes over. Nothing
// is lost, over UDP or on connections that stay open, and the cache stays warm.
func TestTakeoverUnderLoad(t *testing.T) {
	s, server, queries := restartStack(t)
	must(t, server.Start())
	must(t, s.Ready(t.Context(), server))
	stop := make(chan struct{})
	done := verified(t, server, stop)
	load := perfs(t, server.Address, queries)
	current := &server.Process
	for i := range restarts {
		time.Sleep(pace) // of load; nothing is waited for
		next := &stack.Process{Name: fmt.Sprint("successor ", i), Path: server.Path, LogFile: filepath.Join(s.Dir, fmt.Sprint("successor-", i)),
			Args: append([]string{}, append(server.Args, "--takeover")...)}
		must(t, next.Start())
		t.Cleanup(func() { _ = next.Kill() })
		within(t, "it took over", func() bool { return strings.Contains(next.Log(), "msg=ready") })
		if status, err := current.Wait(t.Context()); err != nil || status != 0 {
			t.Fatalf("the old process: status %d, %v; its log:\n%s", status, err, current.Log())
		}
		current = next
	}
	wholeLoad(t, load)
	close(stop)
	<-done
	if moved, err := server.Counters(t.Context()); err != nil || moved.Sum("strata_upstream_exchanges_total") > 100 {
		t.Errorf("the cache was not handed on: %v exchanges, %v", moved.Sum("strata_upstream_exchanges_total"), err)
	}
	must(t, current.Stop())
	if t.Failed() {
		t.Logf("the last one:\n%s", current.Log())
	}
}

// A nodecache whose sockets somebody else holds, as systemd does, is stopped and
// started ten times under full load. Queries wait meanwhile, none is lost, and
// connections go on.
func TestRestartUnderLoad(t *testing.T) {
	s, server, queries := restartStack(t)
	h, err := holder.Open(t.Context(), server.Address, 2)
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	server.Launch = func(cmd *exec.Cmd) error {
		h.Equip(cmd)
		return stack.Launch(cmd)
	}
	must(t, server.Start())
	must(t, s.Ready(t.Context(), server))
	stop := make(chan struct{})
	done := verified(t, server, stop)
	load := perfs(t, server.Address, queries)
	for i := range restarts {
		time.Sleep(pace) // of load; nothing is waited for
		must(t, server.Stop())
		must(t, server.Start())
		within(t, "ready again", func() bool { return h.Ready() == i+2 })
	}
	wholeLoad(t, load)
	close(stop)
	<-done
	must(t, server.Stop()) // while somebody is there to hold a connection whose end it has not read
}

// A second nodecache that is not to take over, or cannot, leaves the first alone.
func TestSecondStart(t *testing.T) {
	s, server, _ := restartStack(t)
	must(t, server.Start())
	must(t, s.Ready(t.Context(), server))
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	for want, flags := range map[string][]string{
		"take its place (serve --takeover)":   nil,
		"another process listens there":       {"--takeover", "--listen", server.Address + "," + taken.LocalAddr().String()},
		"needs control: it is by that socket": {"--takeover", "--control", ""},
	} {
		second := &stack.Process{Name: "second", Path: server.Path, LogFile: filepath.Join(t.TempDir(), "log"), Args: append(append([]string{}, server.Args...), flags...)}
		must(t, second.Start())
		t.Cleanup(func() { _ = second.Kill() })
		status, err := second.Wait(t.Context())
		must(t, err)
		if status != 1 || !strings.Contains(second.Log(), want) {
			t.Errorf("%v: status %d, %s", flags, status, second.Log())
		}
		if reply, err := exchange(server, "h7.restart.example", 1); !answered(reply, err, "10.0.0.8") {
			t.Errorf("the first one: %v, %v", reply, err)
		}
	}
	must(t, server.Stop())
}
