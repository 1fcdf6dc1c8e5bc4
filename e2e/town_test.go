package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
)

// A town is hosts, each with one server of ours or none, for one story.
type town struct {
	*hosts.Network
	t       *testing.T
	dir     string
	servers []*stack.Server
}

// newTown makes one without hosts. Its servers must end well: with 0, when they
// still run at the story's end.
func newTown(t *testing.T) *town {
	t.Helper()
	needBinaries(t)
	network, err := hosts.New()
	if errors.Is(err, hosts.ErrUnable) {
		t.Skip(err)
	}
	must(t, err)
	dir, err := os.MkdirTemp("", "strata-") // unix sockets need a short path
	must(t, err)
	beat.watch()
	stories.Store(t.Name(), time.Now())
	w := &town{Network: network, t: t, dir: dir}
	t.Cleanup(w.end)
	return w
}

func (w *town) end() {
	var wait sync.WaitGroup
	for _, s := range w.servers {
		wait.Go(func() {
			if err := s.Stop(); err != nil {
				w.t.Error(err)
			}
		})
	}
	wait.Wait()
	if w.t.Failed() || w.t.Skipped() {
		var b bytes.Buffer
		for _, s := range w.servers {
			fmt.Fprintf(&b, "--- %s\n%s", s.Name, lastLines(s.Log(), 60))
		}
		w.t.Logf("what the processes wrote:\n%s", b.String())
	}
	w.Close()
	os.RemoveAll(w.dir)
}

// lastLines are the last n lines of a text.
func lastLines(text string, n int) string {
	lines := bytes.SplitAfter([]byte(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n-1):], nil))
}

// site adds a site with the addresses 10.net.0.0/16.
func (w *town) site(name string, net int) *hosts.Site {
	w.t.Helper()
	s, err := w.Site(name, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(net)}), 16))
	must(w.t, err)
	return s
}

// newHost adds a host to a site.
func (w *town) newHost(site *hosts.Site, name, address string) *hosts.Host {
	w.t.Helper()
	h, err := site.Host(name, netip.MustParseAddr(address))
	must(w.t, err)
	return h
}

// A resident is a server and the host it runs on.
type resident struct {
	*stack.Server
	host *hosts.Host
}

// settle puts one of our three programs on a host. The config says all but
// workers, admin, control and log.
func (w *town) settle(h *hosts.Host, program, config string) *resident {
	w.t.Helper()
	id := h.Name
	s := &stack.Server{Admin: "127.0.0.1:9350", Control: filepath.Join(w.dir, id+".sock"), Config: filepath.Join(w.dir, id+".yaml")}
	s.Name, s.LogFile, s.Launch = id, filepath.Join(w.dir, id+".log"), h.Start
	path, err := filepath.Abs(filepath.Join(bin, program))
	must(w.t, err)
	s.Path, s.Args = path, []string{"serve", "--config", s.Config}
	writeFile(w.t, s.Config, fmt.Sprintf("%s\nworkers: 1\nadmin: %q\ncontrol: %q\nlog: {level: info, format: text}\n", config, s.Admin, s.Control))
	return w.add(h, s)
}

// add starts a server on a host.
func (w *town) add(h *hosts.Host, s *stack.Server) *resident {
	w.t.Helper()
	w.servers = append(w.servers, s)
	must(w.t, s.Start())
	return &resident{s, h}
}

// ready waits until all servers that have an admin page say that they serve.
func (w *town) ready(all ...*resident) {
	w.t.Helper()
	for _, r := range all {
		pages := r.host.Pages()
		comesAbout(w.t, r.Name+" is ready", func() bool {
			if !r.Running() {
				w.t.Fatalf("%s ended; its log:\n%s", r.Name, r.Log())
			}
			response, err := pages.Get("http://" + r.Admin + "/readyz")
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
}

// freeze stops a server's processor for so long.
func (r *resident) freeze(t *testing.T, long time.Duration) {
	t.Helper()
	must(t, r.Signal(syscall.SIGSTOP))
	time.Sleep(long) // is what is tested
	must(t, r.Signal(syscall.SIGCONT))
}

// counted is the sum of a counter of the server over labels with all these words.
func (r *resident) counted(t *testing.T, name string, words ...string) float64 {
	t.Helper()
	c, err := r.Counters(t.Context())
	must(t, err)
	return c.Sum(name, words...)
}

// together runs stories side by side: they mostly wait. (t.Parallel would have
// them go on when the stories that are not parallel have all ended.)
func together(t *testing.T, stories map[string]func(*testing.T)) {
	var wait sync.WaitGroup
	for name, story := range stories {
		wait.Go(func() { t.Run(name, story) })
	}
	wait.Wait()
}
