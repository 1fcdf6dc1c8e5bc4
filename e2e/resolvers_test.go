package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/hosts"
)

// A street is two hosts: one with a nodecache and programs that ask it as
// /etc/resolv.conf says, and one with an authoritative and a port to connect to.
type street struct {
	t          *testing.T
	dir        string
	home, away *hosts.Host
	programs   map[string][]string // by resolver; those that can be made here
}

const (
	homeAddress = "10.8.0.10"
	awayAddress = "10.8.0.20" // of all names; their AAAA leads nowhere
	awayPort    = "7000"
)

// names are the zones' of the world: whatever is asked under them is there.
var names = []string{"example.com", "google.com", "plain.test"}

// newStreet makes a street with programs.
func newStreet(t *testing.T) *street {
	t.Helper()
	need(t, "unshare")
	s := newEmptyStreet(t)
	s.build()
	s.run(s.away, "", s.programs["Go"][0], "-listen", awayAddress+":"+awayPort)
	return s
}

// newEmptyStreet makes the two hosts, and the authoritative.
func newEmptyStreet(t *testing.T) *street {
	t.Helper()
	needBinaries(t)
	n, err := hosts.New()
	if errors.Is(err, hosts.ErrUnable) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(n.Close)
	s := &street{t: t, dir: t.TempDir()}
	site, err := n.Site("street", netip.MustParsePrefix("10.8.0.0/16"))
	must(t, err)
	s.home, err = site.Host("home", netip.MustParseAddr(homeAddress))
	must(t, err)
	s.away, err = site.Host("away", netip.MustParseAddr(awayAddress))
	must(t, err)
	s.serveNames()
	return s
}

// build compiles the programs of e2e/resolvers.
func (s *street) build() {
	s.t.Helper()
	s.programs = map[string][]string{}
	for _, p := range []struct {
		resolver, needs string
		command         []string
	}{
		{"glibc", "gcc", []string{"gcc", "resolvers/testdata/connect.c"}},
		{"musl", "musl-gcc", []string{"musl-gcc", "-static", "resolvers/testdata/connect.c"}},
		{"c-ares", "/usr/include/ares.h", []string{"gcc", "resolvers/testdata/cares.c", "-lcares"}},
		{"Go", "go", []string{"go", "build", "./resolvers/connect"}},
		{"Node.js", "node", nil},
	} {
		if !there(p.needs) {
			s.t.Run(p.resolver, func(t *testing.T) { t.Skipf("no %s: make deps installs it", p.needs) })
			continue
		}
		if p.command == nil {
			s.programs[p.resolver] = []string{p.needs, "resolvers/testdata/connect.mjs"}
			continue
		}
		program := filepath.Join(s.dir, p.resolver)
		at := slices.IndexFunc(p.command, func(word string) bool { return strings.Contains(word, "resolvers/") })
		cmd := exec.Command(p.command[0], slices.Insert(p.command[1:], at-1, "-o", program)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
		}
		s.programs[p.resolver] = []string{program}
	}
}

// there tells whether a program can be found, or a file exists.
func there(name string) bool {
	if filepath.IsAbs(name) {
		_, err := os.Stat(name)
		return err == nil
	}
	_, err := exec.LookPath(name)
	return err == nil
}

// serveNames starts the authoritative.
func (s *street) serveNames() {
	s.t.Helper()
	config := fmt.Sprintf("listen: [\"%s:53\"]\nworkers: 1\nadmin: \"%[1]s:9355\"\ncontrol: \"\"\nsnapshot: \"\"\nzones:\n", awayAddress)
	for _, name := range names {
		zone := filepath.Join(s.dir, name+".zone")
		writeFile(s.t, zone, fmt.Sprintf("$ORIGIN %s.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A %s\n"+
			"*.there A %[2]s\n*.there AAAA 2001:db8::20\nwww A %[2]s\nwww AAAA 2001:db8::20\n", name, awayAddress))
		config += fmt.Sprintf("  - {name: %s, source: file, file: %q}\n", name, zone)
	}
	s.daemon(s.away, "authoritative", config, "http://"+awayAddress+":9355")
}

// cache starts a nodecache with a policy and gives the way to end it.
func (s *street) cache(policy string) (end func()) {
	s.t.Helper()
	config := fmt.Sprintf("listen: [\"127.0.0.1:53\"]\nworkers: 1\nupstreams: [\"%s:53\"]\nadmin: \"127.0.0.1:9353\"\ncontrol: \"%s/nodecache.sock\"\npolicy:\n%s",
		awayAddress, s.dir, policy)
	return s.daemon(s.home, "nodecache", config, "http://127.0.0.1:9353")
}

// daemon starts one of ours and waits until it is ready.
func (s *street) daemon(on *hosts.Host, program, config, admin string) (end func()) {
	s.t.Helper()
	file := filepath.Join(s.dir, program+".yaml")
	writeFile(s.t, file, config)
	end = s.run(on, program+".log", filepath.Join(bin, program), "serve", "--config", file)
	within(s.t, program+" is ready", func() bool {
		resp, err := on.Pages().Get(admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return end
}

// run starts a program that runs until it is ended, at the latest with the test.
// What it writes is shown when the test fails.
func (s *street) run(on *hosts.Host, log, program string, args ...string) (end func()) {
	s.t.Helper()
	var wrote strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &wrote, &wrote
	must(s.t, on.Start(cmd))
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	var done bool
	end = func() {
		if done {
			return
		}
		done = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			<-ended
			s.t.Errorf("%s did not end within a minute of SIGTERM", program)
		}
		if s.t.Failed() && log != "" {
			s.t.Logf("%s:\n%s", log, wrote.String())
		}
	}
	s.t.Cleanup(end)
	return end
}

// connect has a resolver's program connect to a name, on a host whose
// /etc/resolv.conf names nodecache and has these further lines. It gives the address,
// or what the program takes the name for, and the time from question to connection.
func (s *street) connect(resolver, name, settings string) (to string, took time.Duration) {
	s.t.Helper()
	file := filepath.Join(s.dir, "resolv.conf")
	writeFile(s.t, file, "nameserver 127.0.0.1\n"+settings)
	// A mount namespace of its own has its own /etc/resolv.conf.
	args := []string{"--mount", "--propagation", "private", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`, "sh", file}
	args = append(args, s.programs[resolver]...)
	out, err := s.home.Run("unshare", append(args, name, awayPort)...)
	if err != nil {
		s.t.Errorf("%s: %v", resolver, err)
	}
	to, micro, _ := strings.Cut(strings.TrimSpace(out), " ")
	n, _ := strconv.Atoi(micro)
	return to, time.Duration(n) * time.Microsecond
}

// counted sums the lines of a page of metrics that begin with a name and hold all
// the words.
func (s *street) counted(on *hosts.Host, admin, name string, words ...string) (sum float64) {
	s.t.Helper()
	resp, err := on.Pages().Get(admin + "/metrics")
	must(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(s.t, err)
next:
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, name+"{") {
			continue
		}
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
		must(s.t, err)
		sum += n
	}
	return sum
}

// upstream is how many questions the authoritative was asked.
func (s *street) upstream() int {
	s.t.Helper()
	return int(s.counted(s.away, "http://"+awayAddress+":9355", "strata_answers_total"))
}

// asked is how many questions nodecache was asked.
func (s *street) asked() int {
	s.t.Helper()
	return int(s.counted(s.home, "http://127.0.0.1:9353", "strata_answers_total"))
}

// soon is less than any resolver waits before it asks again or gives up (c-ares 2 s,
// musl 2.5 s, glibc and Go 5 s).
const soon = 2 * time.Second

// podSettings are a pod's, on a host with a search domain of its own.
const podSettings = "search default.svc.cluster.local svc.cluster.local cluster.local prd.example.com\noptions ndots:5\n"

// What programs make of a blocked AAAA, where A is there: all connect, by one question
// for each family that is answered at once. NXDOMAIN is another matter: musl (Alpine
// Linux) takes it for the name's whatever A says. A search list's junk stays here.
func TestResolversOfPrograms(t *testing.T) {
	s := newStreet(t)
	for _, answer := range []string{"nodata", "nxdomain"} {
		end := s.cache("  block_aaaa: [example.com, google.com]\n  block_aaaa_answer: " + answer +
			"\n  search: [prd.example.com, default.svc.cluster.local, svc.cluster.local, cluster.local]\n")
		searching := 0
		for resolver := range s.programs {
			want, searched := awayAddress, 4*2 // search domains, both types
			if answer == "nxdomain" && resolver == "musl" {
				want = "none"
			}
			if resolver == "Node.js" { // dns.resolve4 has no search list
				searched = 0
			} else {
				searching++
			}
			for _, c := range []struct {
				what, domain, settings string
				to                     string
				junk, upstream         int
			}{
				{"blocked", "example.com", "", want, 0, 1},
				{"not blocked", "plain.test", "", awayAddress, 0, 2},
				{"a pod's search list", "google.com", podSettings, want, searched, 1},
			} {
				t.Run(answer+"/"+resolver+"/"+c.what, func(t *testing.T) {
					s.see(t, resolver, resolver+"."+answer+".there."+c.domain, c.settings, c.to, c.junk, c.upstream)
				})
			}
		}
		for _, rule := range []string{"example.com.", "google.com."} {
			if n := s.decided("aaaa", rule); n != len(s.programs) {
				t.Errorf("%s: the rule for %s is counted %d times for %d programs", answer, rule, n, len(s.programs))
			}
		}
		for _, domain := range []string{"default.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", "prd.example.com."} {
			if n := s.decided("junk", domain); n != 2*searching {
				t.Errorf("%s: the rule for %s is counted %d times", answer, domain, n)
			}
		}
		end()
	}
}

// see has a program connect, and holds against what should be where it connects to,
// how many junk names were asked before, and how many questions went upstream.
func (s *street) see(t *testing.T, resolver, name, settings, to string, junk, upstream int) {
	t.Helper()
	askedBefore, upstreamBefore := s.asked(), s.upstream()
	got, took := s.connect(resolver, name, settings)
	t.Logf("%s after %v", got, took)
	if got != to || took >= soon {
		t.Errorf("%s: %q after %v, want %s", name, got, took, to)
	}
	// A batch is counted when it is answered, which late replies may precede.
	within(t, "all questions counted", func() bool { return s.asked()-askedBefore >= junk+2 && s.upstream()-upstreamBefore >= upstream })
	if n := s.asked() - askedBefore; n != junk+2 {
		t.Errorf("%s: %d questions to nodecache, want %d of junk and one for each family", name, n, junk)
	}
	if n := s.upstream() - upstreamBefore; n != upstream {
		t.Errorf("%s: %d questions went upstream, want %d", name, n, upstream)
	}
}

// decided is how often a rule of nodecache decided.
func (s *street) decided(kind, rule string) int {
	s.t.Helper()
	return int(s.counted(s.home, "http://127.0.0.1:9353", "strata_policy_rule_decided_total", `kind="`+kind+`"`, `rule="`+rule+`"`))
}
