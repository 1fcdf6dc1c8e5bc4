package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/strata-dns/strata/authoritative/probe"
	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
)

// Probe is the section about which addresses answer: for `authoritative probe`, and
// expire for servers.
type Probe struct {
	Name      string        `mapstructure:"name"` // "": the host's
	Interval  time.Duration `mapstructure:"interval"`
	Timeout   time.Duration `mapstructure:"timeout"`
	Tries     int           `mapstructure:"tries"`
	Sockets   int           `mapstructure:"sockets"`
	Lease     time.Duration `mapstructure:"lease"`
	Expire    time.Duration `mapstructure:"expire"`
	Brake     float64       `mapstructure:"brake"`
	Reference []Reference   `mapstructure:"reference"`
	Admin     string        `mapstructure:"admin"`
	Control   string        `mapstructure:"control"`
}

// A Reference is an address that answers unless the prober is cut off.
type Reference struct {
	Address netip.Addr `mapstructure:"address"`
	Check   string     `mapstructure:"check"`
}

func probeDefaults() Probe {
	return Probe{
		Interval: 15 * time.Second, Timeout: 2 * time.Second, Tries: 3, Sockets: 8192,
		Lease: 10 * time.Second, Expire: defaultExpire, Brake: 0.5,
		Admin: "127.0.0.1:9357", Control: "/run/strata/authoritative-probe.sock",
	}
}

// probeService is `authoritative probe`.
func probeService() command.Service[Config] {
	return command.Service[Config]{
		Name:  "probe",
		Short: "find out which addresses of records answer, and say so in etcd",
		Build: buildProbe,
	}
}

// validate looks at what can be said of the section whoever reads it.
func (p *Probe) validate(report *config.Report) {
	if strings.ContainsAny(p.Name, "/ \t\n") || len(p.Name) > store.MaxOwner {
		report.Add("name", "%q is not a short name without spaces and slashes, such as the host's", p.Name)
	}
	for key, d := range map[string]time.Duration{"interval": p.Interval, "timeout": p.Timeout} {
		if d < 10*time.Millisecond {
			report.Add(key, "%s; 10ms at least", d)
		}
	}
	if p.Tries < 1 || p.Tries > 100 {
		report.Add("tries", "%d; from 1 to 100", p.Tries)
	} else if p.Interval > 0 && p.Timeout*time.Duration(p.Tries) > p.Interval {
		report.Add("interval", "%s is shorter than %d tries of %s (timeout)", p.Interval, p.Tries, p.Timeout)
	}
	if p.Sockets < 8 || p.Sockets > 1_000_000 {
		report.Add("sockets", "%d; from 8 to 1,000,000", p.Sockets)
	}
	if p.Lease < 2*time.Second || p.Lease%time.Second != 0 || p.Lease > time.Hour {
		report.Add("lease", "%s; whole seconds from 2s to 1h", p.Lease)
	}
	if p.Expire < time.Second {
		report.Add("expire", "%s; 1s at least, and more than probe.lease", p.Expire)
	} else if p.Expire <= p.Lease {
		report.Add("expire", "%s is not more than probe.lease, %s: what a prober found would be gone before another has its share", p.Expire, p.Lease)
	}
	if math.IsNaN(p.Brake) || p.Brake < 0 || p.Brake > 1 {
		report.Add("brake", "%v is not a share between 0 and 1, such as 0.5", p.Brake)
	}
	config.ValidatePages(p.Admin, p.Control, report)
	for i, ref := range p.Reference {
		key := fmt.Sprintf("reference[%d]", i)
		if _, err := probe.Parse(ref.Check); err != nil {
			report.Add(key+".check", "%v", err)
		}
		if !ref.Address.IsValid() || ref.Address.Is4In6() || ref.Address.IsUnspecified() || ref.Address.IsMulticast() {
			report.Add(key+".address", "missing, or not an address to probe, such as the gateway's")
		}
	}
}

// checkProbe looks at what the prober needs and a server does not.
func checkProbe(c *Config, report *config.Report) {
	if len(c.Etcd.Endpoints) == 0 {
		report.Add("etcd.endpoints", "missing; the prober reads records there, and writes what it finds")
	}
	checkEtcdFiles(c, report)
}

// buildProbe makes the prober of a config.
func buildProbe(_ context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	p := &c.Probe
	name := p.Name
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("find the host's name: %w; set probe.name", err)
		}
		name = host
	}
	client, err := openStore(c, d.Log())
	if err != nil {
		return nil, err
	}
	opts := probe.Options{
		Client: client, Name: name, Lease: p.Lease, Interval: p.Interval, Timeout: p.Timeout, Tries: p.Tries,
		Sockets: probe.Sockets(p.Sockets, d.Log()), Brake: p.Brake, Log: d.Log(),
	}
	for _, ref := range p.Reference {
		check, err := probe.Parse(ref.Check)
		if err != nil {
			return nil, err
		}
		opts.Reference = append(opts.Reference, probe.Target{Address: ref.Address, Check: check})
	}
	prober, err := probe.New(opts)
	if err != nil {
		return nil, err
	}
	d.Add(&proberTask{Prober: prober, client: client})
	d.Registry().MustRegister(prober)
	d.AddStatus("probe", func() any { return prober.Status() })
	return checked(d.Log(), c, liveProbe), nil
}

// A proberTask is a Prober with a client of its own.
type proberTask struct {
	*probe.Prober
	client *store.Client
}

// Run implements daemon.Task.
func (p *proberTask) Run(ctx context.Context) error {
	defer p.client.Close()
	return p.Prober.Run(ctx)
}
