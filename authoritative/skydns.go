package main

import (
	"strconv"
	"strings"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/wire"
)

// skyDNS gives the folders that external-dns writes to, as the store reads them.
func (c *Config) skyDNS() (layouts []store.SkyDNS) {
	for _, s := range c.Etcd.SkyDNS {
		layout := store.SkyDNS{Prefix: s.Prefix}
		for _, zone := range s.Zones {
			layout.Zones = append(layout.Zones, wire.MustName(zone)) // validated
		}
		layouts = append(layouts, layout)
	}
	return layouts
}

func (c *Config) validateSkyDNS(report *config.Report) {
	for i, s := range c.Etcd.SkyDNS {
		key := "skydns[" + strconv.Itoa(i) + "]"
		if len(s.Prefix) < 2 || !strings.HasPrefix(s.Prefix, "/") || strings.HasSuffix(s.Prefix, "/") {
			report.Add(key+".prefix", "%q; it begins with a slash and ends without, such as /skydns", s.Prefix)
		} else if other := c.overlaps(i); other != "" {
			report.Add(key+".prefix", "%s and %s overlap; each has a folder of its own", s.Prefix, other)
		}
		for j, zone := range s.Zones {
			name, err := wire.ParseName(zone)
			if err == nil {
				_, err = c.etcdZone(name)
			}
			if err != nil {
				report.Add(key+".zones["+strconv.Itoa(j)+"]", "%v", err)
			}
		}
	}
}

// overlaps gives the folder that a SkyDNS folder is in, or that is in it.
func (c *Config) overlaps(i int) string {
	own := c.Etcd.SkyDNS[i].Prefix + "/"
	folders := []string{c.Etcd.Prefix}
	for _, s := range c.Etcd.SkyDNS[:i] {
		folders = append(folders, s.Prefix)
	}
	for _, folder := range folders {
		if other := folder + "/"; strings.HasPrefix(own, other) || strings.HasPrefix(other, own) {
			return folder
		}
	}
	return ""
}
