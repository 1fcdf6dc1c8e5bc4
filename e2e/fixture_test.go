package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// binVariable names another folder than bin/ to take the binaries from.
const binVariable = "STRATA_E2E_BIN"

// bin is where the binaries are.
var bin = func() string {
	if dir := os.Getenv(binVariable); dir != "" {
		return dir
	}
	return "../bin"
}()

// whole is a context that ends when the run is interrupted: stacks close with it.
var whole context.Context

// shared is a whole stack for stories that change nothing others look at.
var shared = sync.OnceValues(func() (*stack.Stack, error) {
	return stack.Start(whole, stack.Options{Bin: bin})
})

// started tells whether somebody wanted the shared stack.
var started bool

// sideBySide is how many stories go on at once of those that are parallel, unless -parallel
// says so: they wait for timers, leases and checks, and hardly for processors.
const sideBySide = 6

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		if err := flag.Set("test.parallel", strconv.Itoa(sideBySide)); err != nil {
			panic(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	whole = ctx
	code := m.Run()
	if started {
		if s, err := shared(); err == nil {
			if err := s.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "the shared stack:", err)
				code = max(code, 1)
			}
		}
	}
	stop()
	os.Exit(code)
}

// needBinaries skips the test where `make build` has not been.
func needBinaries(t *testing.T) {
	t.Helper()
	for _, name := range []string{"nodecache", "recursor", "authoritative"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Skipf("no %s in %s: make build makes it", name, bin)
		}
	}
}

// need skips the test where a program is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := lookPath(name); err != nil {
			t.Skipf("no %s: make deps installs it", name)
		}
	}
}

// lookPath finds a program, also where daemons are: who is not root may not have
// that in PATH.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// sharedStack is the stack that stories share.
func sharedStack(t *testing.T) *stack.Stack {
	t.Helper()
	needBinaries(t)
	need(t, "unbound")
	started = true
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	logsOnFailure(t, s)
	return s
}

// newStack starts a stack for one story. It must end well: all processes that
// are still there exit with 0.
func newStack(t *testing.T, parts stack.Parts) *stack.Stack {
	t.Helper()
	needBinaries(t)
	if parts == stack.Whole {
		need(t, "unbound")
	}
	s, err := stack.Start(whole, stack.Options{Bin: bin, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	logsOnFailure(t, s)
	return s
}

// extra adds a server with a config of the story's own, and starts it.
func extra(t *testing.T, s *stack.Stack, id, program, config string) *stack.Server {
	t.Helper()
	server, err := s.Extra(id, program, config)
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func logsOnFailure(t *testing.T, s *stack.Stack) {
	t.Cleanup(func() {
		if t.Failed() {
			var b bytes.Buffer
			s.WriteLogs(&b, 15)
			t.Logf("what the processes wrote:\n%s", b.String())
		}
	})
}

// within waits until something holds, a minute at most: a machine that has much else to
// do, or stands still for a while, is no failure of what is waited for.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := stack.Until(ctx, holds); err != nil {
		t.Fatalf("not seen in a minute: %s", what)
	}
}

// run runs a command that must end well.
func run(t *testing.T, s *stack.Stack, program string, args ...string) string {
	t.Helper()
	out, err := s.Run(t.Context(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// records runs `authoritative records …` at a node, whose etcd is there.
func records(t *testing.T, s *stack.Stack, node *stack.Server, args ...string) string {
	t.Helper()
	out, err := s.RecordsAgain(t.Context(), node, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// exchange asks a server over UDP, once, for five seconds.
func exchange(server *stack.Server, name string, typ uint16) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	query.SetEdns0(1232, false)
	client := dns.Client{Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(query, server.Address)
	return reply, err
}

// ask asks a server, which must answer.
func ask(t *testing.T, server *stack.Server, name string, typ uint16) *dns.Msg {
	t.Helper()
	reply, err := exchange(server, name, typ)
	if err != nil {
		t.Fatalf("ask %s for %s %s: %v", server.Name, name, dns.Type(typ), err)
	}
	return reply
}

// data are the sorted data of an answer's records, without their aliases.
func data(reply *dns.Msg) []string {
	var all []string
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype != dns.TypeCNAME || reply.Question[0].Qtype == dns.TypeCNAME {
			all = append(all, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(all)
	return all
}

// answered tells whether a reply's data are the given.
func answered(reply *dns.Msg, err error, want ...string) bool {
	slices.Sort(want)
	return err == nil && reply.Rcode == dns.RcodeSuccess && slices.Equal(data(reply), want)
}

// must stops the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ends waits for a server's end and holds its exit status against what it should be.
func ends(t *testing.T, server *stack.Server, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, err := server.Wait(ctx)
	must(t, err)
	if status != want {
		t.Fatalf("%s ended with status %d, not %d; its log:\n%s", server.Name, status, want, server.Log())
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}
