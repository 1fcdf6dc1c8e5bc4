package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// exposure is the most that `systemd-analyze security` may find, in tenths.
const exposure = "20"

// The unit files are right, and leave the services little to do harm with. Programs
// must be where units say, so copies of the units name those that were built.
func TestUnitFiles(t *testing.T) {
	needBinaries(t)
	need(t, "systemd-analyze")
	files, err := filepath.Glob("../configs/systemd/*")
	must(t, err)
	if len(files) != 8 {
		t.Fatalf("found %d unit files, want a socket and a service for each of three servers, and the prober's and the monitor's: %v", len(files), files)
	}
	built, err := filepath.Abs(bin)
	must(t, err)
	dir := t.TempDir()
	var units []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		unit := filepath.Join(dir, filepath.Base(file))
		writeFile(t, unit, strings.ReplaceAll(string(text), "/usr/bin/", built+"/"))
		units = append(units, unit)
	}
	analyze(t, append([]string{"verify", "--man=no", "--recursive-errors=no"}, units...)...)
	for _, unit := range units {
		if strings.HasSuffix(unit, ".service") {
			analyze(t, "security", "--offline=true", "--threshold="+exposure, unit)
		}
	}
}

// Units give commands that there are, with flags that they have.
func TestUnitCommands(t *testing.T) {
	needBinaries(t)
	files, err := filepath.Glob("../configs/systemd/*.service")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/(\w+) (\w+)(.*)$`).FindAllStringSubmatch(string(text), -1) {
			help, err := exec.CommandContext(t.Context(), filepath.Join(bin, m[1]), m[2], "--help").Output()
			must(t, err)
			if !strings.Contains(string(help), "\n  "+m[1]+" "+m[2]) {
				t.Errorf("%s: %s knows no %s", file, m[1], m[2])
			}
			for _, flag := range regexp.MustCompile(`--\w+`).FindAllString(m[3], -1) {
				if !strings.Contains(string(help), flag+" ") {
					t.Errorf("%s: %s %s knows no %s", file, m[1], m[2], flag)
				}
			}
		}
	}
}

// Master files that the example names are found from where the unit starts.
func TestUnitFolder(t *testing.T) {
	unit, err := os.ReadFile("../configs/systemd/strata-authoritative.service")
	must(t, err)
	config := regexp.MustCompile(`(?m)^ExecStart=.* --config (\S+)$`).FindSubmatch(unit)
	if config == nil || !strings.Contains(string(unit), "\nWorkingDirectory="+filepath.Dir(string(config[1]))+"\n") {
		t.Errorf("the config is %s, and master files are looked for elsewhere:\n%s", config, unit)
	}
}

func analyze(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil || args[0] == "verify" && len(out) > 0 { // unknown keys are said, no error
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

var (
	listenStream   = regexp.MustCompile(`(?m)^ListenStream=(.*)$`)
	listenDatagram = regexp.MustCompile(`(?m)^ListenDatagram=(.*)$`)
	listenKey      = regexp.MustCompile(`(?m)^listen: \["(.*)"\]$`)
)

// The sockets are those that the example configs listen on.
func TestUnitAddresses(t *testing.T) {
	for _, name := range []string{"nodecache", "recursor", "authoritative"} {
		unit, err := os.ReadFile("../configs/systemd/strata-" + name + ".socket")
		must(t, err)
		config, err := os.ReadFile("../configs/" + name + ".yaml")
		must(t, err)
		want := listenKey.FindSubmatch(config)
		if want == nil {
			t.Fatalf("%s.yaml has no listen", name)
		}
		for _, kind := range []*regexp.Regexp{listenStream, listenDatagram} {
			if got := kind.FindSubmatch(unit); got == nil || string(got[1]) != string(want[1]) {
				t.Errorf("%s.socket: %q, the config listens on %s", name, got, want[1])
			}
		}
	}
}

// A nodecache that systemd starts for its first query uses the socket it is given,
// of either kind, and opens the other one itself.
func TestSocketActivate(t *testing.T) {
	t.Parallel() // it mostly waits
	need(t, "systemd-socket-activate")
	program, err := exec.LookPath("systemd-socket-activate")
	must(t, err)
	for kind, flags := range map[string][]string{"udp": {"-d"}, "tcp": nil} {
		t.Run(kind, func(t *testing.T) {
			s := newStack(t, stack.Nothing)
			server, err := s.Extra("activated", "nodecache", `
listen: ["127.0.0.1:{{.Port}}"]
workers: 2
upstreams: ["127.0.0.1:{{.DeadPort}}"]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
			must(t, err)
			server.Args = append(append(flags, "-l", server.Address, server.Path), server.Args...)
			server.Path = program
			must(t, server.Start())
			within(t, "somebody listens", func() bool { return listens(kind, server.Address) })
			for _, network := range []string{kind, "udp", "tcp"} {
				// Nobody to ask: SERVFAIL, which is an answer.
				client := dns.Client{Net: network, Timeout: 20 * time.Second} // it starts for it
				reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), server.Address)
				if err != nil || reply.Rcode != dns.RcodeServerFailure {
					t.Errorf("over %s: %v, %v", network, reply, err)
				}
			}
			must(t, server.Stop())
		})
	}
}

// listens tells whether an address is bound, as the kernel lists it: a query would start
// the daemon, and whoever tries to bind it has it for a moment, in which nobody else can.
func listens(network, address string) bool {
	table, err := os.ReadFile("/proc/net/" + network)
	if err != nil {
		return false
	}
	at := netip.MustParseAddrPort(address)
	octets := at.Addr().As4()
	own := fmt.Sprintf(" %08X:%04X 00000000:0000 ", binary.NativeEndian.Uint32(octets[:]), at.Port())
	return strings.Contains(string(table), own)
}
