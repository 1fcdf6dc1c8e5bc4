package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/hosts"
)

// A machine is a host whose programs see an /etc/resolv.conf of their own.
type machine struct {
	*hosts.Host
	t    *testing.T
	pid  int
	file string // /etc/resolv.conf, as seen from outside
}

// newMachine mounts over /etc, and where it is not whole over /etc/resolv.conf once
// more as a container engine does, in a mount namespace that a process holds until
// the story's end.
func newMachine(t *testing.T, h *hosts.Host, whole bool, text string) *machine {
	t.Helper()
	need(t, "unshare", "nsenter")
	etc := t.TempDir()
	m := &machine{Host: h, t: t, file: filepath.Join(etc, "resolv.conf")}
	writeFile(t, m.file, text)
	writeFile(t, filepath.Join(etc, "nsswitch.conf"), "hosts: files dns\n")
	script := `mount --bind "$0" /etc && echo && exec sleep 600`
	if !whole {
		m.file = filepath.Join(t.TempDir(), "resolv.conf")
		writeFile(t, m.file, text)
		script = `mount --bind "$0" /etc && mount --bind "$1" /etc/resolv.conf && echo && exec sleep 600`
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, etc, m.file)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, h.Start(cmd))
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if n, err := out.Read(make([]byte, 1)); n != 1 {
		t.Skipf("no mount namespace: %v", err)
	}
	m.pid = cmd.Process.Pid
	return m
}

// run runs a program on the machine.
func (m *machine) run(program string, args ...string) (string, error) {
	return m.Run("nsenter", append([]string{fmt.Sprintf("--mount=/proc/%d/ns/mnt", m.pid), program}, args...)...)
}

// resolve is what the C library finds for a name.
func (m *machine) resolve(name string) string {
	m.t.Helper()
	out, err := m.run("getent", "ahostsv4", name)
	if err != nil {
		m.t.Errorf("%s does not resolve: %v", name, err)
	}
	address, _, _ := strings.Cut(out, " ")
	return address
}

func (m *machine) text() string {
	m.t.Helper()
	text, err := os.ReadFile(m.file)
	must(m.t, err)
	return string(text)
}

// The C library asks nodecache once resolv.conf is written, the site's recursor while
// nodecache hangs or is gone, and whom it asked before when that is restored.
func TestResolvConf(t *testing.T) {
	t.Parallel() // it mostly waits
	const before = "# by hand\nsearch a.example b.example\nnameserver 10.1.0.53 # the recursor\n"
	const ask = "who.corp.example"
	w := newTown(t)
	site := w.site("a", 1)
	recursor := w.settle(w.newHost(site, "recursor", "10.1.0.53"), "recursor",
		"listen: [\"10.1.0.53:53\"]\nzones: [{names: [x.example], servers: [\"10.1.0.99:53\"]}]\n"+
			"policy: {static: [corp.example], data: [\"who.corp.example 0 A 192.0.2.2\"]}")
	config := "listen: [\"127.0.0.1:53\"]\nupstreams: [\"10.1.0.53:53\"]\n" +
		"policy: {static: [corp.example], data: [\"who.corp.example 0 A 192.0.2.1\"]}"
	for name, whole := range map[string]bool{"host": true, "container": false} {
		t.Run(name, func(t *testing.T) {
			h := w.newHost(site, name, map[string]string{"host": "10.1.0.21", "container": "10.1.0.22"}[name])
			m := newMachine(t, h, whole, before)
			nodecache := w.settle(h, "nodecache", config)
			w.ready(recursor, nodecache)
			see := func(want string) {
				t.Helper()
				begin := time.Now()
				// The C library waits a second for one and then asks the other, as when the machine stands still.
				got := ""
				if !eventually(t, 20*time.Second, func() bool { got = m.resolve(ask); return got == want }) {
					t.Errorf("%s is %s, want %s", ask, got, want)
				}
				t.Logf("%s after %s", want, time.Since(begin).Round(time.Millisecond))
			}
			see("192.0.2.2")
			command := func(what string) (string, error) {
				return m.run(nodecache.Path, "resolv-conf", what, "--config", nodecache.Config)
			}
			if out, err := command("--check"); err == nil || !strings.Contains(out, "- nameserver 10.1.0.53\n+ nameserver 127.0.0.1\n+ nameserver 10.1.0.53\n") {
				t.Errorf("check: %v\n%s", err, out)
			}
			_, err := command("--write")
			must(t, err)
			if out, err := command("--check"); err != nil {
				t.Errorf("check: %v\n%s", err, out)
			}
			see("192.0.2.1")
			must(t, nodecache.Signal(syscall.SIGSTOP))
			see("192.0.2.2")
			must(t, nodecache.Signal(syscall.SIGCONT))
			must(t, nodecache.Stop())
			see("192.0.2.2")
			must(t, nodecache.Start())
			w.ready(nodecache)
			see("192.0.2.1")
			_, err = command("--restore")
			must(t, err)
			if got := m.text(); got != before {
				t.Errorf("restored is %q", got)
			}
			see("192.0.2.2")
		})
	}
}
