package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/strata-dns/strata/authoritative/kube"
	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/wire"
)

// Monitor is the service monitor's section: records of a Kubernetes cluster.
type Monitor struct {
	Kubeconfig string        `mapstructure:"kubeconfig"`
	Manifests  string        `mapstructure:"manifests"`
	Cluster    string        `mapstructure:"cluster"`
	Zone       string        `mapstructure:"zone"`
	TTL        time.Duration `mapstructure:"ttl"`
	Pods       bool          `mapstructure:"pods"`
	Resync     time.Duration `mapstructure:"resync"`
	External   External      `mapstructure:"external"`
	Admin      string        `mapstructure:"admin"`
	Control    string        `mapstructure:"control"`
}

// External says which addresses from outside a Service is found by, and where.
type External struct {
	Zone    string   `mapstructure:"zone"`
	Sources []string `mapstructure:"sources"`
}

// Where a Service's external addresses are.
const (
	loadBalancer = "load_balancer"
	externalIPs  = "external_ips"
)

func monitorDefaults() Monitor {
	return Monitor{
		Zone: "cluster.local", TTL: 5 * time.Second, Resync: 10 * time.Minute,
		External: External{Sources: []string{loadBalancer, externalIPs}},
		Admin:    "127.0.0.1:9356", Control: "/run/strata/authoritative-monitor.sock",
	}
}

// monitorService is `authoritative monitor`.
func monitorService() command.Service[Config] {
	return command.Service[Config]{
		Name:  "monitor",
		Short: "keep the records of a Kubernetes cluster's Services in etcd",
		Build: buildMonitor,
	}
}

// besideServer is what a monitor or prober has of a config's common keys: a server
// that runs with the same file keeps its own page and socket.
func (c *Config) besideServer(admin, control string) *config.Base {
	base := c.Base
	base.Listen, base.Workers, base.Takeover = nil, 0, false
	base.Admin, base.Control = admin, control
	return &base
}

// validate looks at what can be said of the section whoever reads it.
func (m *Monitor) validate(report *config.Report, zones []Zone) {
	if m.Kubeconfig != "" && m.Manifests != "" {
		report.Add("manifests", "kubeconfig is there too: objects come from a cluster or from files")
	}
	if m.Resync < time.Second {
		report.Add("resync", "%s; every 10m is the default, and below 1s is only load", m.Resync)
	}
	if m.TTL < 0 || m.TTL > store.MaxTTL*time.Second || m.TTL%time.Second != 0 {
		report.Add("ttl", "%s; whole seconds, such as 5s", m.TTL)
	}
	if strings.ContainsAny(m.Cluster, "/ \t\n") || len(kube.Owner(m.Cluster)) > store.MaxOwner {
		report.Add("cluster", "%q is not a short name without spaces and slashes, such as prod-a", m.Cluster)
	}
	config.ValidatePages(m.Admin, m.Control, report)
	if m.Cluster != "" { // the section is in use
		validateFed(report, "zone", m.Zone, zones)
	}
	for i, source := range m.External.Sources {
		if source != loadBalancer && source != externalIPs {
			report.Add(fmt.Sprintf("external.sources[%d]", i), "%q is unknown; known: %s, %s", source, loadBalancer, externalIPs)
		}
	}
	if m.External.Zone != "" {
		validateFed(report, "external.zone", m.External.Zone, zones)
		m.validateApart(report)
		if len(m.External.Sources) == 0 {
			report.Add("external.sources", "missing; one of %s, %s, or both", loadBalancer, externalIPs)
		}
	}
}

// validateApart finds out whether names of Services as they are found from outside would be
// those of the cluster itself.
func (m *Monitor) validateApart(report *config.Report) {
	outside, err1 := wire.ParseName(m.External.Zone)
	cluster, err2 := wire.ParseName(m.Zone)
	if err1 != nil || err2 != nil { // said already
		return
	}
	for _, of := range []string{"svc", "pod"} {
		if own := append([]byte{3}, of+string(cluster)...); string(outside) == string(cluster) || wire.IsSubdomain(outside, own) {
			report.Add("external.zone", "%q holds names of the cluster's own; another one, such as ext.%s", m.External.Zone, m.Zone)
			return
		}
	}
}

// validateFed finds out whether records put under a name would be served.
func validateFed(report *config.Report, key, name string, zones []Zone) {
	apex, err := wire.ParseName(name)
	if err != nil {
		report.Add(key, "%v", err)
		return
	}
	for _, z := range zones {
		if of, err := wire.ParseName(z.Name); err == nil && z.Source == fromEtcd && len(apex) > 1 && wire.IsSubdomain(apex, of) {
			return
		}
	}
	report.Add(key, "%q is in none of the zones with source etcd", name)
}

// checkMonitor looks at what the monitor needs and a server does not.
func checkMonitor(c *Config, report *config.Report) {
	checkEtcdFiles(c, report)
	if c.Monitor.Cluster == "" {
		report.Add("monitor.cluster", "missing; a name for the cluster, such as prod-a: its records in etcd belong to kubernetes:NAME")
	}
	for key, path := range map[string]string{"monitor.kubeconfig": c.Monitor.Kubeconfig, "monitor.manifests": c.Monitor.Manifests} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err != nil {
			report.Add(key, "%v", err)
		} else if info.IsDir() != (key == "monitor.manifests") {
			report.Add(key, "%s: a file for kubeconfig, a folder for manifests", path)
		}
	}
}

// kubeOptions turn the section, which is validated, into which records there are.
func (c *Config) kubeOptions() kube.Options {
	m := &c.Monitor
	opts := kube.Options{Zone: wire.MustName(m.Zone), TTL: uint32(m.TTL / time.Second), Pods: m.Pods}
	if m.External.Zone != "" {
		opts.External.Zone = wire.MustName(m.External.Zone)
		for _, source := range m.External.Sources {
			opts.External.LoadBalancer = opts.External.LoadBalancer || source == loadBalancer
			opts.External.ExternalIPs = opts.External.ExternalIPs || source == externalIPs
		}
	}
	for _, z := range c.Zones {
		if apex := wire.MustName(z.Name); z.Source == fromEtcd {
			opts.Zones = append(opts.Zones, apex)
		} else {
			opts.Others = append(opts.Others, apex)
		}
	}
	return opts
}

// collectAt is by how many percent a large heap may grow between two collections: a
// quarter of Go's default, since what is kept is large and seldom changes.
const collectAt = 25

// buildMonitor makes the monitor of a config: a source of objects, and what keeps
// their records in etcd.
func buildMonitor(_ context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	m := &c.Monitor
	spaceCollections(collectAt)
	client, err := openStore(c, d.Log())
	if err != nil {
		return nil, err
	}
	state := kube.NewState(c.kubeOptions(), d.Log())
	opts := kube.WriterOptions{Client: client, Cluster: m.Cluster, Resync: m.Resync, MaxDelete: c.Brake.MaxDelete, Log: d.Log()}
	var source daemon.Task
	if m.Manifests != "" {
		source = kube.NewManifests(state, m.Manifests, d.Log())
	} else {
		api, err := kube.Connect(m.Kubeconfig)
		if err != nil {
			return nil, err
		}
		cluster := kube.NewCluster(state, api, m.Pods, d.Log())
		source, opts.Rewound = cluster, cluster.Rewound
	}
	writer := kube.NewWriter(state, opts)
	d.Add(&recorder{Writer: writer, client: client}, source)
	d.Registry().MustRegister(writer)
	d.AddStatus("monitor", func() any { return writer.Status() })
	return checked(d.Log(), c, liveMonitor), nil
}

// A recorder is a Writer with a client of its own.
type recorder struct {
	*kube.Writer
	client *store.Client
}

// Run implements daemon.Task.
func (r *recorder) Run(ctx context.Context) error {
	defer r.client.Close()
	return r.Writer.Run(ctx)
}

// checked is the reload of who takes up no more than log.level: what is wrong with the
// config is said all the same.
func checked(log *slog.Logger, started *Config, live []string) func(context.Context, *Config) error {
	return func(_ context.Context, c *Config) error {
		log.Info("config is right; log.level is taken up")
		config.Reloaded(log, started, c, live...)
		return nil
	}
}
