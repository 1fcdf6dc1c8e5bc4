package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// status is the part of `ctl status --json` that the stories look at.
type status struct {
	Ready  bool `json:"ready"`
	Config struct {
		Reload struct {
			Failed bool   `json:"failed"`
			Error  string `json:"error"`
		} `json:"reload"`
	} `json:"config"`
}

// statusOf asks a daemon over its control socket, with its own program.
func statusOf(t *testing.T, s *stack.Stack, server *stack.Server) (st status) {
	t.Helper()
	out := run(t, s, filepath.Base(server.Path), "ctl", "status", "--json", "--config", server.Config)
	must(t, json.Unmarshal([]byte(out), &st))
	return st
}

// rewrite replaces text in a file, which must be there.
func rewrite(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q", path, old)
	}
	must(t, os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600))
}

// SIGHUP with a bad config: each daemon keeps the old one, goes on answering, and
// says why in its status, its log and its metrics. With a good one it is well.
func TestReloadBadConfig(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.Whole)
	for _, server := range daemons(s) {
		t.Run(server.Name, func(t *testing.T) {
			rewrite(t, server.Config, "workers: 2", "wrokers: 2")
			must(t, server.Signal(syscall.SIGHUP))
			want := `wrokers: unknown key, did you mean "workers"?`
			within(t, "the refusal", func() bool { return strings.HasSuffix(statusOf(t, s, server).Config.Reload.Error, want) })
			st := statusOf(t, s, server)
			if file := server.Config + ":3: "; !strings.HasPrefix(st.Config.Reload.Error, file) || !st.Ready || !st.Config.Reload.Failed {
				t.Errorf("status %+v", st)
			}
			if !strings.Contains(server.Log(), `did you mean \"workers\"?`) {
				t.Errorf("not in the log:\n%s", server.Log())
			}
			counters, err := server.Counters(t.Context())
			must(t, err)
			if counters.Sum("strata_config_reload_failed") != 1 {
				t.Error("strata_config_reload_failed is not 1")
			}
			if reply, err := exchange(server, "db.dc1.prd.example.com", dns.TypeA); !answered(reply, err, "10.1.1.10") {
				t.Errorf("after the refusal: %v, %v", reply, err)
			}
			rewrite(t, server.Config, "wrokers: 2", "workers: 2")
			if out := run(t, s, filepath.Base(server.Path), "ctl", "reload", "--config", server.Config); !strings.Contains(out, "reloaded") {
				t.Errorf("ctl reload says %q", out)
			}
			if st := statusOf(t, s, server); st.Config.Reload.Failed {
				t.Errorf("after mending: %+v", st)
			}
		})
	}
}

// A changed master file is taken up by SIGHUP; one with an error is reported by
// file and line, and the zone stays as it was.
func TestReloadZoneFile(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.AuthoritativesOnly)
	server := s.Authoritatives[1]
	file := filepath.Join(s.Dir, "example.org.zone")
	serves := func(address string) func() bool {
		return func() bool {
			reply, err := exchange(server, "www.example.org", dns.TypeA)
			return answered(reply, err, address)
		}
	}
	within(t, "the zone of the start", serves("192.0.2.80"))

	rewrite(t, file, "hostmaster 1 ", "hostmaster 2 ")
	rewrite(t, file, "192.0.2.80", "192.0.2.180")
	must(t, server.Signal(syscall.SIGHUP))
	within(t, "the changed zone", serves("192.0.2.180"))
	if soa := ask(t, server, "example.org", dns.TypeSOA).Answer[0].(*dns.SOA); soa.Serial != 2 {
		t.Errorf("the serial is %d", soa.Serial)
	}

	for name, test := range map[string]struct{ old, new, says string }{
		"not an address":  {"IN A    192.0.2.180", "IN A    192.0.2.380", ":11:"},
		"unknown type":    {"IN MX   10 mail", "IN MXX  10 mail", ":6:"},
		"alias with data": {"_sip._tcp IN SRV  0 5 5060 web", "web IN CNAME mail", ":"},
		"no number":       {"IN MX   10 mail", "IN MX   ten mail", ":6:"},
	} {
		t.Run(name, func(t *testing.T) {
			rewrite(t, file, test.old, test.new)
			defer func() {
				rewrite(t, file, test.new, test.old)
				must(t, server.Signal(syscall.SIGHUP))
				within(t, "the mended zone", func() bool { return !statusOf(t, s, server).Config.Reload.Failed })
			}()
			must(t, server.Signal(syscall.SIGHUP))
			within(t, "the refusal", func() bool { return strings.Contains(statusOf(t, s, server).Config.Reload.Error, file+test.says) })
			if !serves("192.0.2.180")() {
				t.Error("the zone did not stay as it was")
			}
			_, err := s.Run(t.Context(), "authoritative", "check", "--config", server.Config)
			if err == nil || !strings.Contains(err.Error(), file+test.says) {
				t.Errorf("check says %v", err)
			}
		})
	}
}
