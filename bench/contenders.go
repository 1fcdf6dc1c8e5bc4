package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed peers
var templates embed.FS

// A Contender is a server that can be measured, as data.
type Contender struct {
	Name    string            // as the tables print it
	Ours    bool              // Strata itself; the others are peers
	Part    bool              // ours as well, but a row that others are not held against
	Package string            // what installs it: a Debian package, or a go install path
	Program string            // looked up in bin/, .cache/bin/, $PATH and the sbin directories
	Version []string          // arguments that make it print its version
	Files   map[string]string // template under peers/ → file name in the contender's directory
	Args    []string          // templates over Seat
	Env     []string          // NAME=value, beside this program's environment
}

// coredns is pinned: two runs a month apart meet the same program.
const coredns = "github.com/coredns/coredns@v1.15.0"

// authoritatives are the contenders of the tables authoritative and memory.
var authoritatives = []Contender{
	{Name: "Strata", Ours: true, Program: "authoritative", Version: []string{"version"},
		Files: map[string]string{"authoritative.yaml": "authoritative.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/authoritative.yaml"}},
	{Name: "Knot", Package: "knot", Program: "knotd", Version: []string{"--version"},
		Files: map[string]string{"knot.conf": "knot.conf"},
		Args:  []string{"-c", "{{.Dir}}/knot.conf"}},
	{Name: "NSD", Package: "nsd", Program: "nsd", Version: []string{"-v"},
		Files: map[string]string{"nsd.conf": "nsd.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/nsd.conf"}},
	{Name: "BIND", Package: "bind9", Program: "named", Version: []string{"-v"},
		Files: map[string]string{"named.conf": "named.conf"},
		Args:  []string{"-g", "-n", "{{.Workers}}", "-c", "{{.Dir}}/named.conf"}},
	{Name: "PowerDNS", Package: "pdns-server pdns-backend-bind", Program: "pdns_server", Version: []string{"--version"},
		Files: map[string]string{"pdns.conf": "pdns.conf", "pdns-bind.conf": "bind.conf"},
		Args:  []string{"--config-dir={{.Dir}}"}},
	{Name: "CoreDNS", Package: coredns, Program: "coredns", Version: []string{"-version"},
		Files: map[string]string{"Corefile.authoritative": "Corefile"},
		Args:  []string{"-quiet", "-conf", "{{.Dir}}/Corefile"}},
}

// caches are the contenders of the table nodecache.
var caches = []Contender{
	{Name: "Strata", Ours: true, Program: "nodecache", Version: []string{"version"},
		Files: map[string]string{"nodecache.yaml": "nodecache.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/nodecache.yaml"}},
	{Name: "unbound", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
	{Name: "dnsmasq", Package: "dnsmasq-base", Program: "dnsmasq", Version: []string{"--version"},
		Files: map[string]string{"dnsmasq.conf": "dnsmasq.conf"},
		Args:  []string{"--keep-in-foreground", "--conf-file={{.Dir}}/dnsmasq.conf"}},
	{Name: "CoreDNS cache", Package: coredns, Program: "coredns", Version: []string{"-version"},
		Files: map[string]string{"Corefile.nodecache": "Corefile"},
		Args:  []string{"-quiet", "-conf", "{{.Dir}}/Corefile"}},
	{Name: "PowerDNS Recursor", Package: "pdns-recursor", Program: "pdns_recursor", Version: []string{"--version"},
		Files: map[string]string{"recursor.conf": "recursor.conf"},
		Args:  []string{"--config-dir={{.Dir}}"}},
	{Name: "dnsdist", Package: "dnsdist", Program: "dnsdist", Version: []string{"--version"},
		Files: map[string]string{"dnsdist.conf": "dnsdist.conf"},
		Args:  []string{"--supervised", "--disable-syslog", "-C", "{{.Dir}}/dnsdist.conf"}},
}

// contenders are all there are; some are in several tables.
func contenders() []Contender {
	return slices.Concat(authoritatives, caches, ruled, junked, stormed, left, recursors, forwarders, abandoned, replacedContenders(), memifRows, xdpRows, []Contender{stores, keepers}, clustered, fedRows, changeRows, boundedRows(50_000))
}

// A Seat is where one start of a contender stands: what its templates read.
type Seat struct {
	Dir      string // its own directory, removed after the run
	Port     int    // UDP and TCP, 127.0.0.1
	Admin    int    // TCP, for those that have a second listener
	Upstream int    // port on 127.0.0.1 whom a cache asks; 0 for authoritatives
	Origin   string // zone name without the final dot
	Zone     string // master file
	Dead     int    // port on 127.0.0.1 that takes questions and never answers
	Rules    *Rules // of the tables whose contenders have some

	Address   string // that is listened on; "": 127.0.0.1
	Workers   int    // 0: one
	Namespace string // network namespace; "": this program's

	Plane, Device, Lcores, Idle string // of authoritative on DPDK's ports
	Socket                      string // of memif
	Etcd, Changes               string // endpoint, and the zone that is there
	Store                       string // directory of an etcd member
	Token                       string // file with the secret of those who may write records
}

// find locates the program below root or in the system's directories. A
// relative root would not survive taskset's own lookup, so the path is absolute.
func (c Contender) find(root string) (string, error) {
	places := append([]string{filepath.Join(root, "bin"), filepath.Join(root, ".cache/bin")},
		filepath.SplitList(os.Getenv("PATH"))...)
	if !c.Ours {
		places = append(places[1:], "/usr/local/sbin", "/usr/sbin", "/sbin")
	} else {
		places = places[:1] // never a stranger's program of the same name
	}
	for _, dir := range places {
		path := filepath.Join(dir, c.Program)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return filepath.Abs(path)
		}
	}
	if c.Ours {
		return "", fmt.Errorf("bin/%s is missing: make build", c.Program)
	}
	return "", fmt.Errorf("%s is missing: bench/deps installs it (%s)", c.Program, c.Package)
}

var versionNumber = regexp.MustCompile(`\d+\.\d+[\w.+~-]*`)

// version asks the program; the first thing that looks like a version number,
// or else the first line, is its answer.
func (c Contender) version(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, c.Version...).CombinedOutput()
	if c.Ours { // "authoritative 1.2.3", or a commit where there is no tag
		_, v, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		v, _, _ = strings.Cut(v, "\n")
		return v
	}
	if v := versionNumber.Find(out); v != nil {
		return string(v)
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); line != "" && err == nil {
		return line
	}
	return "unknown"
}

// settle writes the contender's files into the seat's directory and returns its
// arguments.
func (c Contender) settle(seat Seat) ([]string, error) {
	seat.Workers = max(seat.Workers, 1)
	if seat.Address == "" {
		seat.Address = "127.0.0.1"
	}
	for name, file := range c.Files {
		text, err := templates.ReadFile("peers/" + name)
		if err != nil {
			return nil, fmt.Errorf("configure %s: %w", c.Name, err)
		}
		filled, err := fill(string(text), seat)
		if err != nil {
			return nil, fmt.Errorf("configure %s: %w", c.Name, err)
		}
		if err := os.WriteFile(filepath.Join(seat.Dir, file), []byte(filled), 0o644); err != nil {
			return nil, fmt.Errorf("configure %s: %w", c.Name, err)
		}
	}
	args := make([]string, len(c.Args))
	for i, arg := range c.Args {
		filled, err := fill(arg, seat)
		if err != nil {
			return nil, fmt.Errorf("configure %s: %w", c.Name, err)
		}
		args[i] = filled
	}
	return args, nil
}

func fill(text string, seat Seat) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, seat)
	return b.String(), err
}

// choose keeps the contenders whose names are listed; an empty list keeps all.
// Strata is always kept: without it there is nothing to compare.
func choose(all []Contender, names []string) ([]Contender, error) {
	if len(names) == 0 {
		return all, nil
	}
	known := map[string]bool{}
	var kept []Contender
	for _, c := range contenders() {
		known[strings.ToLower(c.Name)] = true
	}
	for _, name := range names {
		if !known[strings.ToLower(name)] {
			return nil, errors.New("choose peers: no contender is called " + name)
		}
	}
	for _, c := range all {
		for _, name := range names {
			if c.Ours || strings.EqualFold(c.Name, name) {
				kept = append(kept, c)
				break
			}
		}
	}
	return kept, nil
}
