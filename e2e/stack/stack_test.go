package stack

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCounters(t *testing.T) {
	before := Counters{`a_total{x="1"}`: 3, `a_total{x="2"}`: 1, `a_total_more{x="1"}`: 9, `g`: 5}
	after := Counters{`a_total{x="1"}`: 5, `a_total{x="2"}`: 1, `a_total_more{x="1"}`: 9, `g`: 4, `new{x="1",y="2"}`: 2}
	moved := after.Since(before)
	if len(moved) != 3 || moved["g"] != -1 || moved.Sum("a_total") != 2 || moved.Sum("new", `x="1"`, `y="2"`) != 2 || moved.Sum("new", `y="1"`) != 0 {
		t.Errorf("moved %v", moved)
	}
	if got := after.Sum("a_total"); got != 6 {
		t.Errorf("the sum of a_total is %v", got)
	}
}

func TestTrace(t *testing.T) {
	server := func(kind Kind, name string) *Server {
		s := &Server{Kind: kind}
		s.Name = name
		return s
	}
	cache, one, two, out := server(Nodecache, "nodecache"), server(Authoritative, "authoritative 1"), server(Authoritative, "authoritative 2"), server(External, "external dc1")
	recursor := server(Recursor, "recursor dc1")
	s := &Stack{Nodecache: cache, Recursors: [2]*Server{recursor}, Authoritatives: [2]*Server{one, two}, External: [2]*Server{out}}
	const miss, hit = `strata_answers_total{transport="udp",worker="0",outcome="miss"}`, `strata_answers_total{transport="udp",worker="1",outcome="hit"}`
	for want, after := range map[string]Sample{
		"nobody":            {cache: {"strata_cache_bytes": 7}, one: {}},
		"nodecache (cache)": {cache: {hit: 1}, recursor: {}},
		"nodecache ► recursor dc1 (rule: synth-ip)": {
			cache:    {miss: 1, `strata_policy_decided_total{kind="transparent"}`: 1},
			recursor: {`strata_answers_total{outcome="policy-answer"}`: 1, `strata_policy_decided_total{kind="synth-ip"}`: 1}},
		"recursor dc1 ► authoritative 1 and authoritative 2": {recursor: {miss: 1}, one: {hit: 1}, two: {hit: 1}},
		"recursor dc1 ► external dc1":                        {recursor: {miss: 1}, out: {`questions{name="a.",type="A"}`: 1}},
		"nodecache (stale)":                                  {cache: {miss: 1, `strata_cache_late_total{what="stale"}`: 1}},
	} {
		if got := s.Trace(Sample{}, after); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What unbound logs of its clients counts, but for the recursors' checks.
func TestUnboundQuestions(t *testing.T) {
	s := &Server{Kind: External}
	s.LogFile = filepath.Join(t.TempDir(), "log")
	writeLog(t, s.LogFile, `[1] unbound[2:0] info: start of service (unbound 1.17.1).
[1] unbound[2:0] info: 127.0.0.1 www.example.net. A IN
[1] unbound[2:0] info: 127.0.0.1 www.example.net. A IN
[1] unbound[2:0] info: 127.0.0.1 0f.probe.example.net. A IN
[1] unbound[2:0] info: 127.0.0.1 dns.example.net. A IN
[1] unbound[2:0] info: 127.0.0.1 www.example.net. A`) // a line being written
	c, err := s.Counters(t.Context())
	if err != nil || len(c) != 1 || c[`questions{name="www.example.net.",type="A"}`] != 2 {
		t.Errorf("%v, %v", c, err)
	}
}

// A process that does not heed SIGTERM can be killed, with all of its group.
func TestKill(t *testing.T) {
	p := &Process{Name: "stubborn", Path: "/bin/sh", LogFile: filepath.Join(t.TempDir(), "log"),
		Args: []string{"-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Until(ctx, func() bool { return strings.Contains(p.Log(), "ready") }); err != nil {
		t.Fatal(err)
	}
	pid := p.PID()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(ctx); status != -1 || err != nil || p.Running() {
		t.Errorf("status %d, %v", status, err)
	}
	if err := Until(ctx, func() bool { return syscall.Kill(-pid, 0) == syscall.ESRCH }); err != nil {
		t.Errorf("its group is still there")
	}
}

// Ports are nobody else's while they are held, and free for use.
func TestPorts(t *testing.T) {
	var one, two Ports
	defer one.Release()
	defer two.Release()
	seen := map[int]bool{}
	for range 50 {
		for _, p := range []*Ports{&one, &two} {
			port, err := p.Take()
			if err != nil || seen[port] {
				t.Fatalf("port %d again, %v", port, err)
			}
			seen[port] = true
		}
	}
	for port := range seen {
		l, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if !free(port) {
			t.Errorf("port %d is not free", port)
		}
		break
	}
}

func writeLog(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
