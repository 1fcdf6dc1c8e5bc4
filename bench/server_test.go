package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a contender: a DNS server in a process of its
// own, with a child that must not outlive it.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "be-a-server" {
		if err := beServer(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func beServer(port, hosts string) error {
	n, err := strconv.Atoi(hosts)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no zone today")
	}
	held := map[string]string{}
	for i := range n {
		held[hostName(i)+"."+origin+"."] = address(i)
	}
	child := exec.Command("sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := child.Start(); err != nil {
		return err
	}
	return dns.ListenAndServe("127.0.0.1:"+port, "udp", dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		if a := held[query.Question[0].Name]; a != "" {
			reply.Answer = append(reply.Answer, &dns.A{A: net.ParseIP(a),
				Hdr: dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}})
		} else {
			reply.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(reply)
	}))
}

func itself(t *testing.T, name string, hosts int) (Contender, string) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Contender{Name: name, Program: path, Args: []string{"be-a-server", "{{.Port}}", strconv.Itoa(hosts)}}, path
}

// anyCPU is one this test may run on.
func anyCPU(t *testing.T) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	t.Fatal("no CPU")
	return 0
}

func TestServer(t *testing.T) {
	c, path := itself(t, "Itself", 50)
	cpu := anyCPU(t)
	s, err := start(c, path, t.TempDir(), cpu, Seat{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	if _, err := s.ready(t.Context(), 49, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := pinned(s.pid(), cpu); err != nil {
		t.Error(err)
	}
	family := tree(s.pid())
	if len(family) != 2 {
		t.Errorf("the server and its child are %v", family)
	}
	if u, err := usageOf(s.pid()); err != nil || len(u.tasks) < 3 { // Go has several threads
		t.Errorf("usage %+v, %v", u, err)
	}
	if now, peak := resident(s.pid()); now < 1<<20 || peak < now {
		t.Errorf("resident %d, peak %d", now, peak)
	}
	s.stop()
	s.stop()
	for _, pid := range family {
		gone(t, pid)
	}
	if _, err := os.Stat(s.Seat.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is left: %v", err)
	}
	if _, err := usageOf(s.pid()); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("usage of a process that is gone: %v", err)
	}
}

// gone waits until no process has the id; one that is dead but unreaped, by
// whoever inherited it, counts as gone.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d still runs", pid)
}

func TestServerThatEnds(t *testing.T) {
	c, path := itself(t, "Itself", 0)
	s, err := start(c, path, t.TempDir(), anyCPU(t), Seat{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	if _, err := s.ready(t.Context(), 0, 20*time.Second); err == nil || !strings.Contains(err.Error(), "no zone today") {
		t.Errorf("its last words are missing: %v", err)
	}
}

// A whole table over real processes: one contender that works, one that is
// wrong, one that is not there.
func TestTable(t *testing.T) {
	if _, err := exec.LookPath("dnsperf"); err != nil {
		t.Skip("dnsperf is not installed; bench/deps installs it")
	}
	const hosts = 200
	work := t.TempDir()
	file := filepath.Join(work, "queries")
	if err := writeEach(file, hosts); err != nil {
		t.Fatal(err)
	}
	right, path := itself(t, "Right", hosts)
	wrong, _ := itself(t, "Wrong", hosts/2)
	cpu := anyCPU(t)
	set := Setting{Root: work, Work: work, Rounds: 2, ServerCPU: cpu, LoadCPU: cpu, Latent: 1, LatencyRate: 100}
	tab, err := newTable(t.Context(), set, []Contender{right, wrong, {Name: "Absent", Program: "no-such-program"}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Right", "Wrong"} { // they are in no system directory
		tab.paths[name], tab.entry(name).Missing = path, ""
	}
	load := Load{File: file, Clients: 1, Outstanding: 5}
	err = tab.rounds(t.Context(), Seat{}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, 0, 20*time.Second); err != nil {
			return err
		}
		if err := set.check(ctx, s, file, hosts, 0); err != nil {
			return err
		}
		sample, err := set.measure(ctx, s, load)
		if err == nil {
			err = set.latencies(ctx, s, load, &sample)
		}
		tab.add(sample, existing, c, round)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tab.run.Samples) != 2 {
		t.Fatalf("samples %+v", tab.run.Samples)
	}
	for _, s := range tab.run.Samples {
		if s.Contender != "Right" || s.Completed != hosts || s.QPS <= 0 || s.CPU <= 0 || s.LoadCPU <= 0 || s.P50 <= 0 || s.P99 < s.P50 || s.Resident <= 0 {
			t.Errorf("sample %+v", s)
		}
	}
	for name, want := range map[string]string{"Right": "", "Wrong": "round 1: check answers: want 200 NOERROR", "Absent": "no-such-program is missing"} {
		if got := tab.entry(name).Missing; !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if left, err := filepath.Glob(filepath.Join(work, "*-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTableEndsWithItsContext(t *testing.T) {
	c, path := itself(t, "Itself", 5)
	work := t.TempDir()
	tab, err := newTable(t.Context(), Setting{Root: work, Work: work, Rounds: 100, ServerCPU: anyCPU(t)}, []Contender{c}, "test")
	if err != nil {
		t.Fatal(err)
	}
	tab.paths["Itself"] = path
	ctx, cancel := context.WithCancel(t.Context())
	var pid int
	err = tab.rounds(ctx, Seat{}, func(ctx context.Context, _ int, _ Contender, s *Server, _ time.Time) error {
		pid = s.pid()
		cancel()
		_, err := s.ready(ctx, 0, time.Minute)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	gone(t, pid)
}
