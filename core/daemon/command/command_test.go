package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/spf13/pflag"

	"github.com/strata-dns/strata/core/daemon"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "greeter.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheck(t *testing.T) {
	good := writeConfig(t, "greeting: hi\n")
	if code, out, errs := runProgram(t, "check", "--config", good); code != 0 || out != good+": ok\n" || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	bad := writeConfig(t, "greeting: [hi]\nworkers: x\n")
	want := bad + ":1: greeting: found a list, expected text\n" + bad + ":2: workers: found \"x\", expected a whole number\n"
	if code, out, errs := runProgram(t, "check", "--config", bad); code != 1 || out != "" || errs != want {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if code, _, errs := runProgram(t, "check"); code != 1 || errs != "greeter: read config: open /etc/strata/greeter.yaml: no such file or directory\n" {
		t.Errorf("%d %q", code, errs)
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := runProgram(t, "version")
	if code != 0 || !strings.HasPrefix(out, "greeter dev\n") || !strings.Contains(out, "built with "+runtime.Version()+"\n") || !strings.HasSuffix(out, "planes socket\n") {
		t.Errorf("%d %q", code, out)
	}
	code, out, _ = runProgram(t, "version", "--json")
	if code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("%d %q", code, out)
	}
}

func TestExtraCommand(t *testing.T) {
	if code, out, errs := runProgram(t, "say", "--config", writeConfig(t, "greeting: hi\n")); code != 0 || out != "hi\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

// What a build took is given back where it fails, and where the program was told to end meanwhile.
func TestBuiltInVain(t *testing.T) {
	for _, failure := range []error{nil, errors.New("no such thing")} {
		spec, given := testSpec(), 0
		ctx, told := context.WithCancel(t.Context())
		spec.Build = func(_ context.Context, d *daemon.Daemon, _ *testConfig) (func(context.Context, *testConfig) error, error) {
			d.IfNeverRun(func() error { given++; return nil })
			if failure == nil {
				told()
			}
			return nil, failure
		}
		code := Run(ctx, spec, []string{"serve", "--config", writeConfig(t, "greeting: hi\n")}, io.Discard, io.Discard)
		if told(); given != 1 || (code == 0) != (failure == nil) {
			t.Errorf("%v: %d, given back %d times", failure, code, given)
		}
	}
}

// Misuse is one line too, without the usage.
func TestMisuse(t *testing.T) {
	for want, args := range map[string][]string{
		`greeter: unknown command "srve" for "greeter"`:    {"srve"},
		`greeter: unknown flag: --colour`:                  {"serve", "--colour"},
		`greeter: unknown command "x" for "greeter serve"`: {"serve", "x"},
		`greeter: invalid argument "soon" for "--after" flag: found "soon", expected a duration with its unit, such as 24h or 1.8s`: {"serve", "--after", "soon"},
		`greeter: lookup: "x" is no record type; such as A, AAAA, TXT or TYPE65`:                                                    {"lookup", "a", "x"},
		`greeter: control: there is no socket /nonexistent/x: is the daemon running, and with this config?`:                         {"ctl", "status", "--control", "/nonexistent/x"},
		`greeter: control: there is no socket /nonexistent/strata/greeter.sock: is the daemon running, and with this config?`:       {"ctl", "status"},
		`greeter: ctl: read config: open /nonexistent/x: no such file or directory; or give --control PATH`:                         {"ctl", "status", "--config", "/nonexistent/x"},
	} {
		code, out, errs := runProgram(t, args...)
		if first, _, _ := strings.Cut(errs, "; Did you mean"); code != 1 || out != "" || strings.TrimSuffix(first, "\n") != want || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: %d %q %q", args, code, out, errs)
		}
	}
}

// The socket is found in a config that is wrong elsewhere.
func TestControlWithBrokenConfig(t *testing.T) {
	file := writeConfig(t, "control: /nonexistent/y\nunknown: {key: 1}\n")
	if _, _, errs := runProgram(t, "ctl", "status", "--config", file); !strings.Contains(errs, "no socket /nonexistent/y") {
		t.Errorf("got %q", errs)
	}
	if _, _, errs := runProgram(t, "ctl", "status", "--config", writeConfig(t, "control: \"\"\n")); !strings.Contains(errs, "the control socket is off") {
		t.Errorf("got %q", errs)
	}
	t.Setenv("STRATA_CONTROL", "/nonexistent/z")
	if _, _, errs := runProgram(t, "ctl", "status", "--config", file); !strings.Contains(errs, "no socket /nonexistent/z") {
		t.Errorf("got %q", errs)
	}
}

// Lookup asks the config's own server, on loopback if it listens everywhere.
func TestLookupOwnServer(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		rr, _ := dns.NewRR(q.Question[0].Name + " 60 A 192.0.2.1")
		reply.Answer = []dns.RR{rr}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	defer func() { _ = server.Shutdown() }()
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	for _, listen := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port} {
		code, out, errs := runProgram(t, "lookup", "a.example", "--short", "--config", writeConfig(t, "listen: [\""+listen+"\", \"10.0.0.1:53\"]\n"))
		if code != 0 || out != "192.0.2.1\n" {
			t.Errorf("%s: %d %q %q", listen, code, out, errs)
		}
	}
	if code, out, errs := runProgram(t, "lookup", "a.example", "--short", "--server", "127.0.0.1:"+port); code != 0 || out != "192.0.2.1\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if _, _, errs := runProgram(t, "lookup", "a.example", "--config", writeConfig(t, "listen: []\n")); errs == "" {
		t.Error("a config without listen has a server")
	}
}

// A service's own keys go without their section's name, those that all have do not.
func TestOwnSection(t *testing.T) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, name := range []string{"admin", "monitor.admin", "monitor.manifests", "monitor.external.zone", "probe.tries"} {
		flags.String(name, "", "")
	}
	shorten(flags, "monitor")
	if err := flags.Parse([]string{"--manifests", "a", "--external.zone=b", "--admin", "c", "--monitor.admin", "d", "--probe.tries", "e"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"monitor.manifests": "a", "monitor.external.zone": "b", "admin": "c", "monitor.admin": "d", "probe.tries": "e"} {
		if got, err := flags.GetString(name); got != want || err != nil || !flags.Changed(name) {
			t.Errorf("--%s is %q, not %q, %v", name, got, want, err)
		}
	}
	if err := flags.Parse([]string{"--tries", "f"}); err == nil {
		t.Error("another section's key was taken")
	}
}
