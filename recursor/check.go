package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
)

// Check says how external resolvers are checked.
type Check struct {
	Interval time.Duration `mapstructure:"interval"`
	Timeout  time.Duration `mapstructure:"timeout"`
	Fall     int           `mapstructure:"fall"`
	Rise     int           `mapstructure:"rise"`
	HoldDown time.Duration `mapstructure:"hold_down"`
	Zone     string        `mapstructure:"zone"`
	Expect   []Expect      `mapstructure:"expect"`
}

// Expect is a question whose answer is known.
type Expect struct {
	Name string `mapstructure:"name"`
	Type string `mapstructure:"type"`
	Data string `mapstructure:"data"` // "": any answer will do
}

// validate checks what is to be asked of so many sites' resolvers.
func (c *Check) validate(sites int, report *config.Report) {
	const at = "external.check."
	if sites > 1 && c.Zone == "" && len(c.Expect) == 0 {
		report.Add("external.check", "neither zone nor expect: nothing would be checked, and no other site ever join when this one fails")
	}
	if zone, err := wire.ParseName(c.Zone); err != nil {
		report.Add(at+"zone", "%q: %v", c.Zone, err)
	} else if failover.LabelLen+1+len(zone) > wire.MaxName {
		report.Add(at+"zone", "no room for the random label of a check in front of %s", c.Zone)
	}
	for _, d := range []struct {
		key          string
		value, least time.Duration
	}{{"interval", c.Interval, 10 * time.Millisecond}, {"timeout", c.Timeout, time.Millisecond}, {"hold_down", c.HoldDown, 0}} {
		if d.value < d.least {
			report.Add(at+d.key, "%s is too short; at least %s", d.value, d.least)
		}
	}
	if c.Fall < 1 {
		report.Add(at+"fall", "%d; at least 1 failure takes a server down", c.Fall)
	}
	if c.Rise < 1 {
		report.Add(at+"rise", "%d; at least 1 success brings a server back", c.Rise)
	}
	for i, e := range c.Expect {
		e.validate(fmt.Sprintf("%sexpect[%d]", at, i), report)
	}
}

func (e *Expect) validate(at string, report *config.Report) {
	if _, err := wire.ParseName(e.Name); err != nil || e.Name == "" {
		report.Add(at+".name", "%q is no name to ask for", e.Name)
		return
	}
	typ, err := resolver.ParseType(e.Type)
	if err != nil {
		report.Add(at+".type", "%v", err)
		return
	}
	if e.Data != "" {
		if _, err := parseData(typ, e.Data); err != nil {
			report.Add(at+".data", "%q is no data of a record of type %s", e.Data, e.Type)
		}
	}
}

// parseData makes a record of data in master-file form.
func parseData(typ uint16, data string) (dns.RR, error) {
	rr, err := dns.NewRR(fmt.Sprintf(". 0 IN %s %s", dns.Type(typ), strings.ReplaceAll(data, "\n", " ")))
	if err == nil && rr == nil {
		err = fmt.Errorf("%q is no data", data)
	}
	return rr, err
}

// plan is what the checks ask. One in ten goes over TCP.
func (c *Check) plan() failover.Plan {
	p := failover.Plan{StreamEvery: 10}
	if c.Zone != "" {
		p.Zones = []string{c.Zone}
	}
	for _, e := range c.Expect {
		p.Expect = append(p.Expect, failover.Question{Name: e.Name, Type: e.Type, Data: e.Data})
	}
	return p
}

// asks reports whether there is anything to check by.
func (c *Check) asks() bool { return c.Zone != "" || len(c.Expect) > 0 }

// fleet is the configuration of failover.
func (c *Config) fleet() failover.Config {
	check := c.External.Check
	f := failover.Config{Home: c.Site, Pace: failover.Pace{
		Interval: check.Interval, Timeout: check.Timeout, Fall: check.Fall, Rise: check.Rise, HoldDown: check.HoldDown,
	}}
	for _, s := range c.External.Sites {
		site := failover.Site{Name: s.Name}
		for _, a := range s.Servers {
			site.Servers = append(site.Servers, a.Text())
		}
		f.Sites = append(f.Sites, site)
	}
	return f
}
