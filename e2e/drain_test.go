package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// An asker asks one question after the other, and remembers the last it got no
// answer to.
type asker struct {
	answers int
	lost    time.Time // when that question had been sent; zero if there is none
}

// ask asks until ctx's channel is closed or a question stays without an answer.
func (a *asker) ask(server, name string, stop <-chan struct{}) error {
	conn, err := dns.Dial("udp", server)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		query := new(dns.Msg).SetQuestion(name, dns.TypeA)
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		err := conn.WriteMsg(query)
		sent := time.Now()
		if err == nil {
			var reply *dns.Msg
			if reply, err = conn.ReadMsg(); err == nil && (reply.Id != query.Id || reply.Rcode != dns.RcodeSuccess) {
				return fmt.Errorf("wrong answer: %v", reply)
			}
		}
		if err != nil {
			a.lost = sent
			return nil
		}
		a.answers++
	}
}

// SIGTERM under load: every question that had been sent before is answered, the
// process ends by itself, with 0.
func TestTerminateUnderLoad(t *testing.T) {
	s := newStack(t, stack.Whole)
	need(t, "dnsperf")
	for _, server := range daemons(s) {
		t.Run(server.Name, func(t *testing.T) {
			ask(t, server, "db.dc1.prd.example.com", dns.TypeA) // into the caches
			stopLoad := load(t, server)
			const askers = 16
			all := make([]asker, askers)
			stop := make(chan struct{})
			var wait sync.WaitGroup
			for i := range all {
				wait.Go(func() {
					if err := all[i].ask(server.Address, "db.dc1.prd.example.com.", stop); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(700 * time.Millisecond) // of load before the signal; nothing is waited for
			signalled := time.Now()
			must(t, server.Signal(syscall.SIGTERM))
			ends(t, server, 0)
			took := time.Since(signalled)
			close(stop)
			wait.Wait()
			stopLoad()
			answers := 0
			for _, a := range all {
				answers += a.answers
				if !a.lost.IsZero() && a.lost.Before(signalled) {
					t.Errorf("a question of %s before the signal was lost", signalled.Sub(a.lost))
				}
			}
			if answers < 500 {
				t.Errorf("only %d answers: no load at all", answers)
			}
			t.Logf("%d answers, ended %s after the signal", answers, took.Round(time.Millisecond))
			must(t, server.Start())
			must(t, s.Ready(t.Context(), server))
		})
	}
}

// load has dnsperf ask a server until the function it returns is called.
func load(t *testing.T, server *stack.Server) (stop func()) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Address)
	must(t, err)
	file := filepath.Join(t.TempDir(), "queries")
	writeFile(t, file, "db.dc1.prd.example.com A\ndb.dc2.prd.example.com A\nnone.prd.example.com A\n")
	path, err := lookPath("dnsperf")
	must(t, err)
	p := &stack.Process{Name: "dnsperf", Path: path, LogFile: filepath.Join(t.TempDir(), "log"),
		Args: []string{"-s", host, "-p", port, "-d", file, "-l", "60", "-q", "50", "-t", "1", "-Q", "20000"}}
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Kill() })
	return func() {
		_ = p.Signal(syscall.SIGINT)
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}
}

// A question that waits for upstream when SIGTERM comes is still answered.
func TestTerminateInFlight(t *testing.T) {
	s := newStack(t, stack.Whole)
	for _, pair := range []struct {
		server   *stack.Server
		upstream []*stack.Server
	}{
		{s.Nodecache, s.Recursors[:1]},
		{s.Recursors[0], s.Authoritatives[:]},
	} {
		t.Run(pair.server.Name, func(t *testing.T) {
			rewrite(t, pair.server.Config, "workers: 2", "workers: 2\nexchange: {budget: 5s}") // all of the time that it drains
			must(t, pair.server.Stop())
			must(t, pair.server.Start())
			must(t, s.Ready(t.Context(), pair.server))
			for _, u := range pair.upstream {
				must(t, u.Signal(syscall.SIGSTOP))
			}
			got := make(chan error, 1)
			name := "inflight." + filepath.Base(pair.server.Control) + ".any.prd.example.com."
			before, err := pair.server.Counters(t.Context())
			must(t, err)
			go func() {
				client := dns.Client{Timeout: 10 * time.Second}
				reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), pair.server.Address)
				if err == nil && !answered(reply, nil, "10.1.2.90") {
					err = fmt.Errorf("got %v", reply)
				}
				got <- err
			}()
			within(t, "the question is waiting", func() bool {
				now, err := pair.server.Counters(t.Context())
				return err == nil && now.Since(before).Sum("strata_answers_total", `outcome="miss"`) > 0
			})
			must(t, pair.server.Signal(syscall.SIGTERM))
			within(t, "draining", func() bool { return strings.Contains(pair.server.Log(), "draining") })
			for _, u := range pair.upstream {
				must(t, u.Signal(syscall.SIGCONT))
			}
			must(t, <-got)
			ends(t, pair.server, 0)
		})
	}
}

// What a daemon had open is gone when it has ended: socket file and ports.
func TestTerminateLeavesNothing(t *testing.T) {
	s := newStack(t, stack.AuthoritativesOnly)
	server := s.Authoritatives[1]
	must(t, server.Stop())
	if _, err := os.Lstat(server.Control); !os.IsNotExist(err) {
		t.Errorf("the control socket: %v", err)
	}
	for _, address := range []string{server.Address, server.Admin} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("somebody listens on %s", address)
		}
	}
}
