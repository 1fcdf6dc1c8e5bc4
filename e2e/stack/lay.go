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

// A role is what the template of a config knows of its process.
type role struct {
	Kind            Kind
	Dir, Name, ID   string
	Site            string
	Port, AdminPort int
	EtcdDir         string // of the authoritative that has the member
	Listen6         bool

	// What all know of the others.
	Authoritative, External, Recursor [2]int
	WorldPort, EtcdPort, PeerPort     int
	DeadPort                          int // where nobody listens
}

// lay chooses ports, writes zone files and configs, and makes the servers.
func (s *Stack) lay(o Options) error {
	if err := s.copyZones(); err != nil {
		return err
	}
	s.shared = role{Dir: s.Dir, Listen6: HasIPv6()}
	for _, port := range []*int{
		&s.shared.Authoritative[0], &s.shared.Authoritative[1], &s.shared.External[0], &s.shared.External[1],
		&s.shared.Recursor[0], &s.shared.Recursor[1], &s.shared.WorldPort, &s.shared.EtcdPort, &s.shared.PeerPort, &s.shared.DeadPort,
	} {
		var err error
		if *port, err = s.ports.Take(); err != nil {
			return err
		}
	}
	switch o.Parts {
	case Nothing:
		return nil
	case AuthoritativesOnly:
		return s.layAuthoritatives()
	}
	if err := s.layAuthoritatives(); err != nil {
		return err
	}
	return s.layAbove()
}

func (s *Stack) layAuthoritatives() (err error) {
	for i := range s.Authoritatives {
		r := s.shared
		r.Kind, r.Name, r.ID, r.Port = Authoritative, fmt.Sprint("authoritative ", i+1), fmt.Sprint("authoritative-", i+1), r.Authoritative[i]
		if i == 0 {
			r.EtcdDir = filepath.Join(s.Dir, "etcd")
		}
		if s.Authoritatives[i], err = s.place(r, "authoritative", exampleText("authoritative.yaml")); err != nil {
			return err
		}
	}
	return nil
}

// layAbove makes all but the authoritatives.
func (s *Stack) layAbove() (err error) {
	r := s.shared
	r.Kind, r.Name, r.ID, r.Port = World, "the world", "world", r.WorldPort
	if s.World, err = s.place(r, "authoritative", exampleText("world.yaml")); err != nil {
		return err
	}
	for i, site := range Sites {
		r := s.shared
		r.Kind, r.Name, r.ID, r.Site, r.Port = External, "external "+site, "external-"+site, site, r.External[i]
		if s.External[i], err = s.place(r, "unbound", exampleText("unbound.conf")); err != nil {
			return err
		}
		r.Kind, r.Name, r.ID, r.Port = Recursor, "recursor "+site, "recursor-"+site, r.Recursor[i]
		if s.Recursors[i], err = s.place(r, "recursor", exampleText("recursor.yaml")); err != nil {
			return err
		}
	}
	r = s.shared
	r.Kind, r.Name, r.ID = Nodecache, "nodecache", "nodecache"
	s.Nodecache, err = s.place(r, "nodecache", exampleText("nodecache.yaml"))
	return err
}

// Extra adds a server to the stack, which Close ends with the rest. It is not
// started. The config is a template as those in example/ are.
func (s *Stack) Extra(id, program, config string) (*Server, error) {
	kinds := map[string]Kind{"nodecache": Nodecache, "recursor": Recursor, "authoritative": Authoritative}
	r := s.shared
	r.Kind, r.Name, r.ID = kinds[program], id, id
	server, err := s.place(r, program, config)
	if err != nil {
		return nil, fmt.Errorf("add %s: %w", id, err)
	}
	s.extra = append(s.extra, server)
	return server, nil
}

// place writes a role's config and makes its server.
func (s *Stack) place(r role, program, config string) (*Server, error) {
	for _, port := range []*int{&r.Port, &r.AdminPort} {
		if *port == 0 {
			var err error
			if *port, err = s.ports.Take(); err != nil {
				return nil, err
			}
		}
	}
	server := &Server{Kind: r.Kind, Address: Loopback(r.Port), Control: filepath.Join(s.Dir, r.ID+".sock")}
	server.Name, server.LogFile = r.Name, filepath.Join(s.Dir, r.ID+".log")
	if r.Kind == External {
		server.Config = filepath.Join(s.Dir, r.ID+".conf")
		server.Args = []string{"-d", "-p", "-c", server.Config}
		var err error
		if server.Path, err = unboundProgram(s.Dir); err != nil {
			return nil, err
		}
	} else {
		server.Config, server.Admin = filepath.Join(s.Dir, r.ID+".yaml"), Loopback(r.AdminPort)
		server.Path, server.Args = filepath.Join(s.Bin, program), []string{"serve", "--config", server.Config}
	}
	tmpl, err := template.New(r.ID).Parse(config)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, r); err != nil {
		return nil, err
	}
	return server, os.WriteFile(server.Config, b.Bytes(), 0o600)
}

// exampleText is a file of example/, which is part of this program.
func exampleText(name string) string {
	text, err := example.ReadFile("example/" + name)
	if err != nil {
		panic(err)
	}
	return string(text)
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
	if _, err := os.Stat(own); err == nil {
		return own, nil
	}
	return own, os.WriteFile(own, program, 0o700)
}
