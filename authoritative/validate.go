package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/wire"
)

// maxNegativeTTL: above a day negative answers have been found to be trouble
// (RFC 2308 §5).
const maxNegativeTTL = 24 * time.Hour

// Validate implements config.Validator.
func (c *Config) Validate(report *config.Report) {
	c.Base.Validate(report)
	listen.ValidateAddresses(c.Listen, report)
	listen.ValidateMaxUDP(c.MaxUDP, report)
	report.Under("tcp", c.TCP.Validate)
	if c.Takeover && c.Etcd.Embedded.Dir != "" {
		report.Add("takeover", "two processes cannot have the member's directory etcd.embedded.dir: stop the old one first")
	}
	c.validatePlane(report)
	if !(c.Brake.MaxDelete >= 0 && c.Brake.MaxDelete <= 1) { // nor NaN
		report.Add("brake.max_delete", "%v is not a share between 0 and 1, such as 0.3", c.Brake.MaxDelete)
	}
	if len(c.Zones) == 0 {
		report.Add("zones", "no zone is configured: there is nothing to answer; add {name: example.org, source: file, file: …}")
	}
	seen := map[string]bool{}
	for i := range c.Zones {
		report.Under("zones["+strconv.Itoa(i)+"]", func(part *config.Report) { c.Zones[i].validate(part, seen) })
	}
	c.validateViews(report)
	if c.Memory.MaxNames < 0 {
		report.Add("memory.max_names", "%d; 0 for all, or how many names of etcd's zones are held in memory", c.Memory.MaxNames)
	}
	if c.Memory.MaxNames > 0 && len(c.Etcd.SkyDNS) > 0 {
		report.Add("memory.max_names", "names below etcd.skydns cannot be read one by one: it goes without that key")
	}
	report.Under("monitor", func(part *config.Report) { c.Monitor.validate(part, c.Zones) })
	report.Under("probe", c.Probe.validate)
	report.Under("etcd", func(part *config.Report) {
		c.Etcd.validate(part, c.usesEtcd())
		c.validateSkyDNS(part)
	})
	report.Under("api", func(part *config.Report) { c.API.validate(part, c) })
}

// validate adds the zone's apex to those that were seen.
func (z *Zone) validate(report *config.Report, seen map[string]bool) {
	apex, err := wire.ParseName(z.Name)
	switch {
	case z.Name == "":
		report.Add("name", "missing; the zone's apex, such as example.org")
	case err != nil:
		report.Add("name", "%v", err)
	case seen[string(apex)]:
		report.Add("name", "zone %s stands twice", z.Name)
	default:
		seen[string(apex)] = true
	}
	z.validateOrder(report)
	switch z.Source {
	case fromFile:
		z.validateFile(report)
	case fromEtcd:
		z.validateEtcd(report)
	case "":
		report.Add("source", "missing; one of etcd, file")
	default:
		report.Add("source", "%q is unknown; known: etcd, file", z.Source)
	}
}

func (z *Zone) validateFile(report *config.Report) {
	if z.File == "" {
		report.Add("file", "missing; a zone with source file needs the path of its master file")
	}
	if len(z.NS) > 0 {
		report.Add("ns", "is for zones with source etcd; this one's name servers are in its file")
	}
	if z.MinTTL != 0 {
		report.Add("negative_ttl", "is for zones with source etcd; this one's is in the SOA of its file")
	}
}

func (z *Zone) validateEtcd(report *config.Report) {
	if z.File != "" {
		report.Add("file", "%s is never read: the source is etcd", z.File)
	}
	for i, ns := range z.NS {
		if _, err := wire.ParseName(ns); err != nil || strings.Trim(ns, ".") == "" {
			report.Add("ns["+strconv.Itoa(i)+"]", "%q is not the name of a server, such as ns1.example.org", ns)
		}
	}
	if ttl := z.negativeTTL(); ttl < time.Second || ttl > maxNegativeTTL || ttl%time.Second != 0 {
		report.Add("negative_ttl", "%s; whole seconds from 1s to 24h", ttl)
	}
}

func (e *Etcd) validate(report *config.Report, used bool) {
	if used && len(e.Endpoints) == 0 {
		report.Add("endpoints", "missing; a zone has source etcd, so say where it is: [\"http://127.0.0.1:2379\"]")
	}
	for i, endpoint := range e.Endpoints {
		validateURL(report, "endpoints["+strconv.Itoa(i)+"]", endpoint, "http", "https")
	}
	if !strings.HasPrefix(e.Prefix, "/") || strings.HasSuffix(e.Prefix, "/") {
		report.Add("prefix", "%q; it begins with a slash and ends without, such as /strata/v1", e.Prefix)
	}
	if e.Compare < time.Second {
		report.Add("compare", "%s; every 10m is the default, and below 1s is only load", e.Compare)
	}
	if (e.TLS.Cert == "") != (e.TLS.Key == "") {
		report.Add("tls", "cert and key go together")
	}
	if (e.User == "") != (e.Password == "") {
		report.Add("user", "user and password go together")
	}
	report.Under("embedded", func(part *config.Report) { e.Embedded.validate(part, e.Endpoints) })
}

func (e *Embedded) validate(report *config.Report, endpoints []string) {
	if e.Dir == "" {
		if e.Name != "" || e.Client != "" || e.Peer != "" || len(e.Cluster) > 0 {
			report.Add("dir", "missing; without it there is no member in this process")
		}
		return
	}
	if e.Client == "" && len(endpoints) == 0 {
		report.Add("client", "missing, and there is no endpoint to take it from; such as http://127.0.0.1:2379")
	}
	for key, url := range map[string]string{"client": e.Client, "peer": e.Peer} {
		if url != "" {
			validateURL(report, key, url, "http")
		}
	}
	own := len(e.Cluster) == 0
	for i, m := range e.Cluster {
		key := "cluster[" + strconv.Itoa(i) + "]"
		if m.Name == "" {
			report.Add(key+".name", "missing; the member's etcd.embedded.name")
		}
		validateURL(report, key+".url", m.URL, "http")
		own = own || m.Name == e.Name
	}
	if !own {
		report.Add("name", "%q is none of the cluster's members", e.Name)
	}
}

func validateURL(report *config.Report, key, text string, schemes ...string) {
	u, err := url.Parse(text)
	if err == nil && u.Port() != "" && (u.Path == "" || u.Path == "/") {
		for _, scheme := range schemes {
			if u.Scheme == scheme {
				return
			}
		}
	}
	report.Add(key, "%q is not %s://host:port", text, strings.Join(schemes, ":// or "))
}

// checkPlaces looks at the folder the snapshot is to be in.
func checkPlaces(c *Config, report *config.Report) {
	if c.Snapshot == "" {
		return
	}
	dir := filepath.Dir(c.Snapshot)
	if info, err := os.Stat(dir); err != nil {
		report.Add("snapshot", "%v; make the folder, or leave the key out to go without", err)
	} else if !info.IsDir() {
		report.Add("snapshot", "%s is not a folder", dir)
	}
}

// checkOpen sees whether the master files can be opened.
func checkOpen(c *Config, report *config.Report) {
	c.checkEachView(report, checkOpen)
	c.checkEachFile(report, func(z Zone) error {
		file, err := os.Open(z.File)
		if err != nil {
			return err
		}
		return file.Close()
	})
}

// checkFiles reads all master files.
func checkFiles(c *Config, report *config.Report) {
	c.checkEachView(report, checkFiles)
	c.checkEachFile(report, tryZone)
}

func (c *Config) checkEachFile(report *config.Report, try func(Zone) error) {
	for i, z := range c.Zones {
		if z.Source != fromFile {
			continue
		}
		if err := try(z); err != nil {
			report.Add("zones["+strconv.Itoa(i)+"].file", "%v", err)
		}
	}
}
