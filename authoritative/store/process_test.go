package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// memberEnv makes the test binary an etcd member instead of a test.
const memberEnv = "STRATA_STORE_TEST_MEMBER"

func TestMain(m *testing.M) {
	if opts := os.Getenv(memberEnv); opts != "" {
		os.Exit(memberMain(opts))
	}
	os.Exit(m.Run())
}

// memberMain runs a member until its standard input ends, which it does when
// the test is no more, however it ended.
func memberMain(text string) int {
	var opts EmbedOptions
	if err := json.Unmarshal([]byte(text), &opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	opts.noSync, opts.Log = true, slog.New(slog.DiscardHandler)
	m, err := Embed(context.Background(), opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready", m.Endpoints()[0])
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// A process is a member in a process of its own.
type process struct {
	opts  EmbedOptions
	cmd   *exec.Cmd
	stdin io.Closer
	ready chan string // its endpoint; closed without one when it failed
	err   *strings.Builder
}

// launchMember starts a member's process and doesn't wait for it to be ready: of
// a cluster, none is before the others are there.
func launchMember(t testing.TB, opts EmbedOptions) *process {
	t.Helper()
	text, err := json.Marshal(opts)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{opts: opts, cmd: exec.Command(os.Args[0]), ready: make(chan string, 1), err: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), memberEnv+"="+string(text))
	p.cmd.Stderr = p.err
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ready)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				p.ready <- url
			}
		}
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) await(t testing.TB) {
	t.Helper()
	select {
	case _, ok := <-p.ready:
		if !ok {
			p.kill()
			t.Fatalf("member %s: %s", p.opts.Name, p.err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("member %s is not ready", p.opts.Name)
	}
}

// kill is SIGKILL: no goodbye to the others, nothing tidied up.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.stdin.Close()
}

// restart starts the member anew with the data it has.
func (p *process) restart(t testing.TB) *process {
	t.Helper()
	return launchMember(t, p.opts)
}

// freeURLs gives addresses that nobody listens on.
func freeURLs(t testing.TB, n int) []string {
	t.Helper()
	urls := make([]string, n)
	for i := range urls {
		urls[i] = "http://" + stack.Loopback(stack.FreePort(t))
	}
	return urls
}

// A relay is a network between a client and etcd that can be cut.
type relay struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	cut      bool
	conns    map[net.Conn]bool
}

func newRelay(t testing.TB, toURL string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: strings.TrimPrefix(toURL, "http://"), conns: make(map[net.Conn]bool)}
	go r.accept()
	t.Cleanup(func() {
		l.Close()
		r.set(true)
	})
	return r
}

func (r *relay) url() string { return "http://" + r.listener.Addr().String() }

// set cuts the network, with all that goes over it, or mends it.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if cut {
		for conn := range r.conns {
			conn.Close()
		}
	}
}

func (r *relay) accept() {
	for {
		in, err := r.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to)
		if err != nil {
			in.Close()
			continue
		}
		r.mu.Lock()
		r.conns[in], r.conns[out] = true, true
		if r.cut {
			in.Close()
			out.Close()
		}
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				io.Copy(pair[0], pair[1])
				in.Close()
				out.Close()
				r.mu.Lock()
				delete(r.conns, in)
				delete(r.conns, out)
				r.mu.Unlock()
			}()
		}
	}
}
