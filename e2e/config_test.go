package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// The examples people start from are right, as the binaries see them. What they
// keep in /var/lib/strata is kept elsewhere here; relative files are beside them.
func TestExampleConfigs(t *testing.T) {
	needBinaries(t)
	dir, err := filepath.Abs(bin)
	must(t, err)
	state := t.TempDir()
	for _, name := range []string{"nodecache", "recursor", "authoritative"} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, name), "check", "--config", name+".yaml")
		cmd.Dir = "../configs"
		cmd.Env = append(os.Environ(), "STRATA_SNAPSHOT="+filepath.Join(state, "snapshot"), "STRATA_CACHE_FILE="+filepath.Join(state, "cache"))
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != name+".yaml: ok\n" {
			t.Errorf("%s check: %v: %s", name, err, out)
		}
	}
}

// failure runs a command that must end with status 1, and gives what it said.
func failure(t *testing.T, s *stack.Stack, program string, args ...string) string {
	t.Helper()
	_, err := s.Run(t.Context(), program, args...)
	var failed *stack.Failure
	if !errors.As(err, &failed) || failed.Status != 1 {
		t.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	return failed.Stderr
}

// What is wrong with a config is said in one line, which names file, line and
// key, and the exit status is 1; by check as by serve.
func TestBadConfigs(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.Nothing)
	base := map[string]string{
		"nodecache":     "upstreams: [\"127.0.0.1:53\"]\n",
		"recursor":      "zones: [{names: [a.example], servers: [\"127.0.0.1:53\"]}]\n",
		"authoritative": "zones: [{name: example.org, source: file, file: \"" + s.Dir + "/example.org.zone\"}]\n",
	}
	for program, good := range base {
		for name, test := range map[string]struct{ text, want string }{
			"unknown key": {good + "lissten: []\n", `FILE:2: lissten: unknown key, did you mean "listen"?`},
			"wrong type":  {good + "workers: many\n", `FILE:2: workers: found "many", expected a whole number`},
			"not YAML":    {good + "listen: [\n", "FILE:"},
			"no port":     {good + "listen: [127.0.0.1]\n", `FILE:2: listen[0]: found "127.0.0.1", expected an address with port`},
			"nothing":     {"", "FILE: "},
		} {
			t.Run(program+"/"+name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "bad.yaml")
				must(t, os.WriteFile(file, []byte(test.text), 0o600))
				for _, command := range []string{"check", "serve"} {
					said := failure(t, s, program, command, "--config", file)
					if strings.Count(said, "\n") != 1 || !strings.Contains(said, strings.ReplaceAll(test.want, "FILE", file)) {
						t.Errorf("%s says %q, want one line with %q", command, said, strings.ReplaceAll(test.want, "FILE", file))
					}
				}
			})
		}
		t.Run(program+"/not there", func(t *testing.T) {
			said := failure(t, s, program, "check", "--config", "/nonexistent/file.yaml")
			if said != program+": read config: open /nonexistent/file.yaml: no such file or directory\n" {
				t.Errorf("it says %q", said)
			}
		})
	}
	t.Run("authoritative/unreadable zone file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "bad.yaml")
		must(t, os.WriteFile(file, []byte("zones:\n  - {name: example.org, source: file, file: /nonexistent/zone}\n"), 0o600))
		said := failure(t, s, "authoritative", "check", "--config", file)
		if want := file + ":2: zones[0].file: "; strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, want) || !strings.Contains(said, "/nonexistent/zone") {
			t.Errorf("it says %q", said)
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root reads any file")
		}
		file := filepath.Join(t.TempDir(), "bad.yaml")
		must(t, os.WriteFile(file, nil, 0))
		if said := failure(t, s, "nodecache", "check", "--config", file); !strings.Contains(said, "permission denied") {
			t.Errorf("it says %q", said)
		}
	})
}

// A port that somebody has: one line that names it, status 1. For queries that
// somebody is another process of the same program: SO_REUSEPORT must not let two
// share the queries without anybody's knowing.
func TestPortInUse(t *testing.T) {
	s := newStack(t, stack.Nothing)
	configs := map[string]string{
		"nodecache":     "upstreams: [\"127.0.0.1:53\"]\n",
		"recursor":      "zones: [{names: [a.example], servers: [\"127.0.0.1:53\"]}]\n",
		"authoritative": "zones: [{name: example.org, source: file, file: \"{{.Dir}}/example.org.zone\"}]\n",
	}
	for program, text := range configs {
		text += "admin: \"127.0.0.1:{{.AdminPort}}\"\ncontrol: \"{{.Dir}}/{{.ID}}.sock\"\nlog: {level: error}\n"
		first := extra(t, s, program+"-first", program, text+"listen: [\"127.0.0.1:{{.Port}}\"]\n")
		must(t, s.Ready(t.Context(), first))
		t.Run(program+"/queries", func(t *testing.T) {
			second := extra(t, s, program+"-second", program, text+"listen: [\""+first.Address+"\"]\n")
			ends(t, second, 1)
			oneLine(t, second, first.Address, "address already in use")
		})
		t.Run(program+"/admin", func(t *testing.T) {
			third := extra(t, s, program+"-third", program, strings.Replace(text, "127.0.0.1:{{.AdminPort}}", first.Admin, 1)+"listen: [\"127.0.0.1:{{.Port}}\"]\n")
			ends(t, third, 1)
			oneLine(t, third, first.Admin, "address already in use")
		})
		t.Run(program+"/another's", func(t *testing.T) {
			taken, err := net.ListenPacket("udp", "127.0.0.1:0")
			must(t, err)
			defer taken.Close()
			address := taken.LocalAddr().String()
			fourth := extra(t, s, program+"-fourth", program, text+"listen: [\""+address+"\"]\n")
			ends(t, fourth, 1)
			oneLine(t, fourth, address, "address already in use")
		})
		if reply, err := exchange(first, "example.org", dns.TypeNS); err != nil {
			t.Errorf("the first %s does not answer: %v, %v", program, reply, err)
		}
	}
}

// oneLine holds what a daemon wrote against what it should say.
func oneLine(t *testing.T, server *stack.Server, parts ...string) {
	t.Helper()
	said := server.Log()
	for _, part := range parts {
		if strings.Count(said, "\n") != 1 || !strings.Contains(said, part) {
			t.Errorf("it says %q, want one line with %q", said, part)
		}
	}
}
