package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// process is the test program, running.
type process struct {
	*exec.Cmd
	dir    string
	config string
	socket string
	out    bytes.Buffer // stdout and stderr; to be read after the end
	wait   func() error
}

// program prepares the test program with a config in a directory of its own.
func program(t *testing.T, text string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{dir: dir, config: filepath.Join(dir, "greeter.yaml"), socket: filepath.Join(dir, "s.sock")}
	p.write(t, text)
	p.Cmd = exec.Command(os.Args[0], append(args, "--config", p.config)...)
	p.Env = append(os.Environ(), asProgram+"=1")
	p.Stdout, p.Stderr = &p.out, &p.out
	return p
}

// write replaces the config; SOCKET stands for the control socket's path.
func (p *process) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(p.config, []byte(strings.ReplaceAll(text, "SOCKET", p.socket)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// begin starts it and waits until it answers on its control socket.
func (p *process) begin(t *testing.T) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait = sync.OnceValue(p.Wait)
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.wait()
	})
	until(t, "the program answers", func() bool {
		code, _, _ := runProgram(t, "ctl", "status", "--control", p.socket)
		return code == 0
	})
}

type status struct {
	Ready  bool `json:"ready"`
	Config struct {
		Reload struct {
			Failed bool   `json:"failed"`
			Error  string `json:"error"`
		} `json:"reload"`
	} `json:"config"`
	Greeter struct {
		Greeting string `json:"greeting"`
		Address  string `json:"address"`
	} `json:"greeter"`
}

func (p *process) status(t *testing.T) (s status) {
	t.Helper()
	code, out, errs := runProgram(t, "ctl", "status", "--json", "--config", p.config, "--control", p.socket)
	if code != 0 {
		t.Fatalf("ctl status: %d %s", code, errs)
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// runProgram runs the program in this process.
func runProgram(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), testSpec(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen in 20 s: %s", what)
		}
	}
}

// SIGHUP takes up a good config, and keeps it when the next one is bad, be it
// that it cannot be read or that the daemon refuses it.
func TestHangup(t *testing.T) {
	p := program(t, "control: SOCKET\ngreeting: one\n", "serve")
	p.begin(t)
	p.write(t, "control: SOCKET\ngreeting: two\n")
	p.signal(t, syscall.SIGHUP)
	until(t, "the new greeting", func() bool { return p.status(t).Greeter.Greeting == "two" })

	p.write(t, "control: SOCKET\ngretting: three\n")
	p.signal(t, syscall.SIGHUP)
	want := p.config + `:2: gretting: unknown key, did you mean "greeting"?`
	until(t, "the refusal", func() bool { return p.status(t).Config.Reload.Error == want })
	if s := p.status(t); s.Greeter.Greeting != "two" || !s.Config.Reload.Failed || !s.Ready {
		t.Errorf("got %+v", s)
	}

	p.write(t, "control: SOCKET\ngreeting: no\n")
	p.signal(t, syscall.SIGHUP)
	until(t, "the refusal", func() bool { return p.status(t).Config.Reload.Error == "no is no greeting" })

	p.write(t, "control: SOCKET\ngreeting: four\n")
	p.signal(t, syscall.SIGHUP)
	until(t, "the mended greeting", func() bool { s := p.status(t); return s.Greeter.Greeting == "four" && !s.Config.Reload.Failed })

	p.signal(t, syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Errorf("%v\n%s", err, p.out.String())
	}
	if log := p.out.String(); !strings.Contains(log, "msg=starting daemon=greeter service=serve") || !strings.Contains(log, "greeting=one") ||
		!strings.Contains(log, "reload failed, the old config stays") {
		t.Errorf("log:\n%s", log)
	}
}

// SIGTERM: who was connected gets an answer, nobody else does, and the status is 0.
func TestTerminate(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := program(t, "control: SOCKET\nafter: 300ms\n", "serve")
		p.begin(t)
		address := p.status(t).Greeter.Address
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it is being served
			t.Fatal(err)
		}
		p.signal(t, sig)
		if answer, err := io.ReadAll(conn); err != nil || string(answer) != "hello" {
			t.Errorf("%v: the waiting client got %q, %v", sig, answer, err)
		}
		if err := p.wait(); err != nil {
			t.Errorf("%v: %v\n%s", sig, err, p.out.String())
		}
		if _, err := net.Dial("tcp", address); err == nil {
			t.Errorf("%v: somebody still listens", sig)
		}
		if _, err := os.Lstat(p.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: the control socket is still there", sig)
		}
	}
}

// A second signal does not wait for the drain.
func TestTerminateTwice(t *testing.T) {
	p := program(t, "control: SOCKET\nafter: 1h\n", "serve")
	p.begin(t)
	conn, err := net.Dial("tcp", p.status(t).Greeter.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGTERM)
	until(t, "draining", func() bool { return !p.status(t).Ready })
	p.signal(t, syscall.SIGTERM)
	var ended *exec.ExitError
	if err := p.wait(); !errors.As(err, &ended) || ended.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("got %v", err)
	}
}

// Every way in which a start goes wrong is one line, and status 1.
func TestFailedStarts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := map[string]struct{ text, want string }{
		"unknown key":   {"gretting: x\n", `greeter: CONFIG:1: gretting: unknown key, did you mean "greeting"?`},
		"two problems":  {"gretting: x\nworkers: y\n", `greeter: CONFIG:1: gretting: unknown key, did you mean "greeting"? (and 1 more: see check)`},
		"not YAML":      {"a: b: c\n", "greeter: CONFIG:1: not YAML: mapping values are not allowed in this context"},
		"invalid":       {"greeting: \"\"\n", "greeter: CONFIG:1: greeting: is empty; a greeting greets"},
		"checked":       {"names: [x,\n  nobody]\n", "greeter: CONFIG:2: names[1]: is nobody"},
		"building":      {"fail: build\n", "greeter: build: of two; lines"},
		"port in use":   {fmt.Sprintf("listen: [%q]\n", taken.Addr()), "greeter: greeter: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		"admin in use":  {fmt.Sprintf("admin: %q\n", taken.Addr()), "greeter: admin: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		"control wrong": {"control: CONFIG\n", "greeter: control: CONFIG exists and is no socket: remove it, or choose another path"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := program(t, "", "serve")
			text := strings.ReplaceAll(test.text, "CONFIG", p.config)
			if !strings.Contains(text, "control:") {
				text += "control: \"\"\n"
			}
			text += "log: {level: error}\n"
			p.write(t, text)
			err := p.Run()
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.ExitCode() != 1 {
				t.Errorf("ended with %v", err)
			}
			if got := strings.ReplaceAll(p.out.String(), p.config, "CONFIG"); got != test.want+"\n" {
				t.Errorf("got  %swant %s", got, test.want)
			}
		})
	}
}

func TestUnreadableConfig(t *testing.T) {
	code, out, errs := runProgram(t, "serve", "--config", "/nonexistent/greeter.yaml")
	if code != 1 || out != "" || errs != "greeter: read config: open /nonexistent/greeter.yaml: no such file or directory\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

// A task that fails later ends the process with its name.
func TestFailedTask(t *testing.T) {
	p := program(t, "control: \"\"\nfail: run\nlog: {level: error}\n", "serve")
	err := p.Run()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 || p.out.String() != "greeter: greeter: broken\n" {
		t.Errorf("%v: %s", err, p.out.String())
	}
}

// Flags and variables go over the file, also when it is read again.
func TestFlagsOverFile(t *testing.T) {
	p := program(t, "control: SOCKET\ngreeting: file\n", "monitor", "--greeting", "flag", "--log.format", "json")
	p.begin(t)
	if got := p.status(t).Greeter.Greeting; got != "flag" {
		t.Errorf("got %s", got)
	}
	if code, out, errs := runProgram(t, "ctl", "reload", "--config", p.config); code != 0 || out != "reloaded "+p.config+"\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if got := p.status(t).Greeter.Greeting; got != "flag" {
		t.Errorf("after the reload: %s", got)
	}
	p.signal(t, syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(p.out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// The pages of a real process.
func TestAdminOfProcess(t *testing.T) {
	address := stack.Loopback(stack.FreePort(t))
	p := program(t, "control: SOCKET\nadmin: "+address+"\n", "serve")
	p.begin(t)
	for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/status", "/debug/pprof/"} {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A socket that the service manager opened is found by its name, and no file
// descriptor of it is left in the environment.
func TestSocketActivation(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := program(t, "control: SOCKET\n", "serve")
	// LISTEN_PID must be that of the program itself: a shell knows its own, and
	// keeps it over exec.
	p.Cmd.Path, p.Cmd.Args = "/bin/sh", append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`}, p.Cmd.Args...)
	p.Cmd.Env = append(p.Cmd.Env, "LISTEN_FDS=2", "LISTEN_FDNAMES=other:greeter")
	p.Cmd.ExtraFiles = []*os.File{os.Stdin, file}
	p.begin(t)
	if got := p.status(t).Greeter.Address; got != listener.Addr().String() {
		t.Errorf("listens on %s", got)
	}
}
