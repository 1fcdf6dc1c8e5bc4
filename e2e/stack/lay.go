package stack

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// example holds the zone files, and the configs as text/template.
//
//go:embed example
var example embed.FS

// A role is what the templates of configs know of one process.
type role struct {
	Dir, Name, ID, Site   string
	Port, AdminPort       int
	EtcdPort, PeerPort    int
	EtcdDir               string
	Authoritative         [2]int
	External              [2]int
	WorldPort             int
	RecursorPort          int
	Listen6               bool
	kind                  Kind
	template, config, bin string
}

// lay chooses ports, writes zone files and configs, and makes the servers.
func (s *Stack) lay(o Options) error {
	if err := s.copyZones(); err != nil {
		return err
	}
	shared := role{Dir: s.Dir, Listen6: HasIPv6()}
	for _, port := range []*int{
		&shared.Authoritative[0], &shared.Authoritative[1], &shared.External[0], &shared.External[1],
		&shared.WorldPort, &shared.EtcdPort, &shared.PeerPort,
	} {
		var err error
		if *port, err = s.ports.take(); err != nil {
			return err
		}
	}
	for i := range s.Authoritatives {
		r := shared
		r.kind, r.Name, r.ID, r.Port = Authoritative, fmt.Sprint("authoritative ", i+1), fmt.Sprint("authoritative-", i+1), shared.Authoritative[i]
		if i == 0 {
			r.EtcdDir = filepath.Join(s.Dir, "etcd")
		}
		if err := s.place(&s.Authoritatives[i], r, "authoritative"); err != nil {
			return err
		}
	}
	if o.AuthoritativesOnly {
		return nil
	}
	return s.layAbove(shared)
}

// layAbove makes all but the authoritatives.
func (s *Stack) layAbove(shared role) error {
	r := shared
	r.kind, r.Name, r.ID, r.Port, r.template = World, "the world", "world", shared.WorldPort, "world.yaml"
	if err := s.place(&s.World, r, "authoritative"); err != nil {
		return err
	}
	unbound, err := unboundProgram(s.Dir)
	if err != nil {
		return err
	}
	var home int
	for i, site := range Sites {
		r := shared
		r.kind, r.Name, r.ID, r.Site, r.Port = External, "external "+site, "external-"+site, site, shared.External[i]
		r.template, r.config, r.bin = "unbound.conf", r.ID+".conf", unbound
		if err := s.place(&s.External[i], r, "unbound"); err != nil {
			return err
		}
		r = shared
		r.kind, r.Name, r.ID, r.Site = Recursor, "recursor "+site, "recursor-"+site, site
		if r.Port, err = s.ports.take(); err != nil {
			return err
		}
		if i == 0 {
			home = r.Port
		}
		if err := s.place(&s.Recursors[i], r, "recursor"); err != nil {
			return err
		}
	}
	r = shared
	r.kind, r.Name, r.ID, r.RecursorPort = Nodecache, "nodecache", "nodecache", home
	if r.Port, err = s.ports.take(); err != nil {
		return err
	}
	return s.place(&s.Nodecache, r, "nodecache")
}

// place writes a role's config and makes its server.
func (s *Stack) place(at **Server, r role, program string) error {
	if r.template == "" {
		r.template = program + ".yaml"
	}
	if r.config == "" {
		r.config = r.ID + ".yaml"
	}
	server := &Server{Kind: r.kind, Address: loopback(r.Port), Control: filepath.Join(s.Dir, r.ID+".sock"), Config: filepath.Join(s.Dir, r.config)}
	server.Name, server.LogFile = r.Name, filepath.Join(s.Dir, r.ID+".log")
	if r.kind == External {
		server.Path, server.Args = r.bin, []string{"-d", "-p", "-c", server.Config}
	} else {
		var err error
		if r.AdminPort, err = s.ports.take(); err != nil {
			return err
		}
		server.Admin = loopback(r.AdminPort)
		server.Path, server.Args = filepath.Join(s.Bin, program), []string{"serve", "--config", server.Config}
	}
	text, err := example.ReadFile("example/" + r.template)
	if err != nil {
		return err
	}
	tmpl, err := template.New(r.template).Parse(string(text))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, r); err != nil {
		return err
	}
	*at = server
	return os.WriteFile(server.Config, b.Bytes(), 0o600)
}

// copyZones writes the example zone files to the folder.
func (s *Stack) copyZones() error {
	names, err := fs.Glob(example, "example/*.zone")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := example.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.Dir, filepath.Base(name)), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// unboundProgram finds unbound. Where AppArmor confines Debian's to its own
// folders, by its path, a copy in dir does the work.
func unboundProgram(dir string) (string, error) {
	path, err := exec.LookPath("unbound")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/unbound"); err != nil {
			return "", fmt.Errorf("find unbound, the external resolvers: %w; `make run-deps` installs it", err)
		}
	}
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || len(enabled) == 0 || enabled[0] != 'Y' {
		return path, nil // also where there is no such file: no AppArmor
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	own := filepath.Join(dir, "unbound")
	return own, os.WriteFile(own, program, 0o700)
}
