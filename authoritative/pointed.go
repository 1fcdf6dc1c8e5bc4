package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
)

// checkPointed looks at files that a config points to, master files aside: what is
// wrong in them is said with the key, not when the server is half up.
func checkPointed(c *Config, report *config.Report) {
	checkEtcdFiles(c, report)
	var read []bearer
	for i := range c.API.Tokens {
		b, err := c.API.Tokens[i].read(read)
		if err != nil {
			report.Add("api.tokens["+strconv.Itoa(i)+"].file", "%v", err)
			continue
		}
		read = append(read, b)
	}
	if c.API.TLS.Cert != "" {
		if _, err := new(listen.Certificate).Prepare(c.API.TLS.files()); err != nil {
			key, text, _ := strings.Cut(err.Error(), ": ") // tls.cert or tls.key
			report.Add("api."+key, "%s", text)
		}
	}
	if info, err := os.Stat(c.Snapshot); c.Snapshot != "" && err == nil && info.IsDir() {
		report.Add("snapshot", "%s is a folder; a file in it is wanted, such as %[1]s/authoritative.snapshot", c.Snapshot)
	}
	c.Etcd.checkMember(report)
}

// checkMember looks at where the member of this process is to be.
func (e *Etcd) checkMember(report *config.Report) {
	if e.Embedded.Dir == "" {
		return
	}
	if info, err := os.Stat(e.Embedded.Dir); err == nil && !info.IsDir() {
		report.Add("etcd.embedded.dir", "%s is not a folder", e.Embedded.Dir)
	}
	if e.Embedded.Client == "" && len(e.Endpoints) > 0 && !strings.HasPrefix(e.Endpoints[0], "http://") {
		report.Add("etcd.embedded.client", "missing; the member speaks http, and the first endpoint, %s, does not", e.Endpoints[0])
	}
}

// checkEtcdFiles looks at how etcd is to be talked to.
func checkEtcdFiles(c *Config, report *config.Report) {
	tls := store.TLS{CA: c.Etcd.TLS.CA, Cert: c.Etcd.TLS.Cert, Key: c.Etcd.TLS.Key}
	if tls == (store.TLS{}) {
		return
	}
	for i, endpoint := range c.Etcd.Endpoints { // there all would go in the clear
		if !strings.HasPrefix(endpoint, "https://") {
			report.Add("etcd.endpoints["+strconv.Itoa(i)+"]", "%s is not spoken to over TLS, for which etcd.tls is; https://… is", endpoint)
		}
	}
	if err := tls.Check(); err != nil {
		report.Add("etcd.tls", "%v", err)
	}
}
