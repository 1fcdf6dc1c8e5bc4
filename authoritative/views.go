package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
	"github.com/strata-dns/strata/policy"
)

// A View is zones as some clients see them. For all that is in none of them they see
// what everybody sees.
type View struct {
	Name    string         `mapstructure:"name"`
	Clients []netip.Prefix `mapstructure:"clients"`
	Prefix  string         `mapstructure:"prefix"` // in etcd, of its zones with source etcd
	Zones   []Zone         `mapstructure:"zones"`
}

// in gives the config as it is for a view: "", what everybody sees, is the config itself.
func (c *Config) in(view string) (*Config, error) {
	if view == "" {
		return c, nil
	}
	for i := range c.Views {
		if v := &c.Views[i]; v.Name == view {
			of := *c
			of.Zones, of.Views, of.API, of.Memory = v.Zones, nil, API{}, Memory{}
			of.Etcd.Prefix, of.Etcd.SkyDNS, of.Etcd.Embedded = v.Prefix, nil, Embedded{}
			if c.Snapshot != "" {
				of.Snapshot = c.Snapshot + "." + v.Name
			}
			return &of, nil
		}
	}
	return nil, fmt.Errorf("the config has no view %q", view)
}

func (c *Config) validateViews(report *config.Report) {
	names, clients, prefixes := map[string]bool{}, map[netip.Prefix]string{}, map[string]bool{c.Etcd.Prefix: true}
	for i := range c.Views {
		v := &c.Views[i]
		report.Under("views["+strconv.Itoa(i)+"]", func(part *config.Report) {
			v.validate(part, c.Zones)
			if names[v.Name] {
				part.Add("name", "view %s stands twice", v.Name)
			}
			names[v.Name] = true
			for j, p := range v.Clients {
				if other, ok := clients[p.Masked()]; ok {
					part.Add("clients["+strconv.Itoa(j)+"]", "%s are clients of view %s", p, other)
				}
				clients[p.Masked()] = v.Name
			}
			if !usesEtcd(v.Zones) {
				return
			}
			if !c.usesEtcd() {
				part.Add("zones", "a view has source etcd, but no zone that everybody sees")
			}
			if prefixes[v.Prefix] {
				part.Add("prefix", "%s is the prefix of another view, or that of everybody", v.Prefix)
			}
			prefixes[v.Prefix] = true
		})
	}
}

// validate checks a view beside the zones that everybody sees.
func (v *View) validate(report *config.Report, all []Zone) {
	if v.Name == "" || strings.ContainsAny(v.Name, "/ \t\n") {
		report.Add("name", "%q; a word that the view is called by, such as inside", v.Name)
	}
	if len(v.Clients) == 0 {
		report.Add("clients", "missing; whose view this is, such as [10.0.0.0/8, \"fd00::/8\"]")
	}
	for i, p := range v.Clients {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
			report.Add("clients["+strconv.Itoa(i)+"]", "%s is not a network; %s is", p, p.Masked())
		}
	}
	if len(v.Zones) == 0 {
		report.Add("zones", "missing; a view without zones is everybody's")
	}
	seen := map[string]bool{}
	for i := range v.Zones {
		report.Under("zones["+strconv.Itoa(i)+"]", func(part *config.Report) { v.Zones[i].validate(part, seen) })
	}
	if usesEtcd(v.Zones) && (!strings.HasPrefix(v.Prefix, "/") || strings.HasSuffix(v.Prefix, "/")) {
		report.Add("prefix", "%q; where the view's records are in etcd: it begins with a slash and ends without, such as /strata/views/%s", v.Prefix, v.Name)
	}
	for _, z := range all {
		apex, err := wire.ParseName(z.Name)
		if err != nil || seen[string(apex)] {
			continue
		}
		for above := range seen {
			if wire.IsSubdomain(apex, []byte(above)) {
				report.Add("zones", "%s is below %s, so the view would hide it: name it in the view, too", z.Name, wire.NameString([]byte(above)))
			}
		}
	}
}

// A viewer knows which server answers which clients.
type viewer struct {
	servers []*server
	now     atomic.Pointer[viewed]
}

// A viewed is the views as the config has them, which a reload replaces as a whole.
type viewed struct {
	views []View          // as many as there are servers, of the same names and prefixes
	of    policy.Prefixes // values are places in servers, from 1 on
}

func newViewed(views []View) *viewed {
	of := map[netip.Prefix]int32{}
	for i := range views {
		for _, p := range views[i].Clients {
			of[p] = int32(i + 1)
		}
	}
	return &viewed{views, policy.NewPrefixes(of)}
}

// addViews makes a server of each view. All are filled as the one of everybody is: in
// memory, from files, before the first query.
func (s *server) addViews(d *daemon.Daemon, c *Config) error {
	if len(c.Views) == 0 {
		return nil
	}
	v := new(viewer)
	for i := range c.Views {
		conf, err := c.in(c.Views[i].Name)
		if err != nil {
			return err
		}
		child, err := newServer(s.log.With(slog.String("view", c.Views[i].Name)), s.maxUDP)
		if err != nil {
			return err
		}
		child.view, child.etcdUsers = c.Views[i].Name, s.etcdUsers
		if err := child.setZones(conf.Zones); err != nil {
			return err
		}
		if err := child.addEtcd(d, conf); err != nil {
			return err
		}
		v.servers = append(v.servers, child)
	}
	v.now.Store(newViewed(c.Views))
	s.views = v
	d.AddStatus("views", s.viewStatus)
	d.AddCommand(control.Command{Name: "view", Args: "ADDRESS", Help: "say which view a client has", Run: s.viewCommand})
	return nil
}

// stays finds what a reload cannot change: a view's watch of etcd, its snapshot and the
// readers of its table begin with the process.
func (v *viewed) stays(views []View) error {
	if len(v.views) != len(views) {
		return fmt.Errorf("there are %d views, and the config has %d: what they read begins with the process: restart it", len(v.views), len(views))
	}
	for i, is := range v.views {
		if to := views[i]; to.Name != is.Name || to.Prefix != is.Prefix {
			return fmt.Errorf("views[%d] is %s with prefix %q, and in the config %s with %q: what it reads begins with the process: restart it",
				i, is.Name, is.Prefix, to.Name, to.Prefix)
		}
	}
	return nil
}

// prepareViews sees whether a reload can take the views up, and gives what does so.
func (s *server) prepareViews(c *Config) (take func() error, err error) {
	if s.views == nil {
		return func() error { return nil }, new(viewed).stays(c.Views)
	}
	if err := s.views.now.Load().stays(c.Views); err != nil {
		return nil, err
	}
	confs := make([]*Config, len(c.Views))
	for i, child := range s.views.servers {
		if confs[i], err = c.in(child.view); err != nil {
			return nil, err
		}
		if err := child.prepareZones(confs[i]); err != nil {
			return nil, fmt.Errorf("view %s: %w", child.view, err)
		}
	}
	return func() error {
		for i, child := range s.views.servers {
			if err := child.takeZones(confs[i]); err != nil {
				return fmt.Errorf("view %s: %w", child.view, err)
			}
		}
		s.views.now.Store(newViewed(c.Views)) // who comes to a view finds its zones
		return nil
	}, nil
}

// inFront gives readers of the views, everybody's behind each of them.
func (s *server) inFront(everybody *zone.Reader) (front []*zone.Reader) {
	if s.views == nil {
		return nil
	}
	for _, child := range s.views.servers {
		r := child.table.NewReader()
		r.Before(everybody)
		front = append(front, r)
	}
	return front
}

// viewStatus is the section of /status about views.
func (s *server) viewStatus() any {
	type status struct {
		View    string         `json:"view"`
		Clients []netip.Prefix `json:"clients"`
		Zones   any            `json:"zones"`
		Records string         `json:"records,omitempty"`
	}
	var all []status
	views := s.views.now.Load().views
	for i, child := range s.views.servers {
		one := status{View: child.view, Clients: views[i].Clients, Zones: child.zoneStatus()}
		if child.watcher != nil {
			one.Records = child.freshness()
		}
		all = append(all, one)
	}
	return all
}

func (s *server) viewCommand(_ context.Context, call *control.Call) error {
	if len(call.Args) != 1 {
		return errors.New("view takes an address")
	}
	addr, err := netip.ParseAddr(call.Args[0])
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	said := struct {
		View string `json:"view"` // "": everybody's
	}{}
	if at := s.views.now.Load().of.Find(addr); at > 0 {
		said.View = s.views.servers[at-1].view
	}
	return call.Value(said, func(w io.Writer) {
		if said.View == "" {
			fmt.Fprintln(w, "none: it sees what everybody sees")
			return
		}
		fmt.Fprintln(w, said.View)
	})
}

// named puts a view's name behind what a task is called.
func (s *server) named(task string) string {
	if s.view == "" {
		return task
	}
	return task + " of view " + s.view
}

// checkEachView does for the views' zones what f does for everybody's.
func (c *Config) checkEachView(report *config.Report, f func(*Config, *config.Report)) {
	for i := range c.Views {
		if of, err := c.in(c.Views[i].Name); err == nil {
			report.Under("views["+strconv.Itoa(i)+"]", func(part *config.Report) { f(of, part) })
		}
	}
}
