package listen

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/strata-dns/strata/core/daemon/config"
)

// TLS is the section tls of a config: DNS over TLS (RFC 7858), with the limits of
// the section tcp.
type TLS struct {
	Listen []netip.AddrPort `mapstructure:"listen"` // where queries are answered over TLS; none: nowhere
	Cert   string           `mapstructure:"cert"`   // PEM file: the certificate, then those that lead to its root
	Key    string           `mapstructure:"key"`    // PEM file
}

// Validate finds what types alone do not. plain is where queries are answered over
// UDP and TCP.
func (t *TLS) Validate(plain []netip.AddrPort, report *config.Report) {
	for i, a := range t.Listen {
		switch key := fmt.Sprintf("listen[%d]", i); {
		case slices.Contains(t.Listen[:i], a):
			report.Add(key, "%s stands in the list twice", a)
		case slices.Contains(plain, a):
			report.Add(key, "%s is where queries come over TCP; TLS needs a port of its own, such as 853", a)
		}
	}
	if len(t.Listen) == 0 {
		return
	}
	if key, _, err := t.read(); err != nil {
		report.Add(key, "%v", err)
	}
}
