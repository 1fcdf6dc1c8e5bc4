package node

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/daemon/config"
)

// A shape is a config of the section alone.
type shape struct {
	Listen []netip.AddrPort `mapstructure:"listen"`
	Node   Config           `mapstructure:"node"`
}

func (s *shape) Validate(report *config.Report) {
	report.Under("node", func(report *config.Report) { s.Node.Validate(s.Listen, report) })
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ link, addresses, listen, want string }{
		{"", "", "127.0.0.1:53", ""},
		{"strata0", "169.254.20.10", "169.254.20.10:53", ""},
		{"lo", "169.254.20.10", "0.0.0.0:53", ""},
		{"", "169.254.20.10", "169.254.20.10:53", "node.interface: missing"},
		{"a-name-of-16-oct", "169.254.20.10", "169.254.20.10:53", "can be no interface's name"},
		{"a/b", "169.254.20.10", "169.254.20.10:53", "can be no interface's name"},
		{"lo", "127.0.0.1", "127.0.0.1:53", "no address to add"},
		{"lo", "0.0.0.0", "0.0.0.0:53", "no address to add"},
		{"lo", "fe80::1%lo", "[::]:53", "no address to add"},
		{"lo", "fe80::1", "[::]:53", "no address to add"},
		{"lo", "169.254.20.10,169.254.20.10", "169.254.20.10:53", "node.addresses[1]: 169.254.20.10 stands in the list twice"},
		{"lo", "169.254.20.10", "127.0.0.1:53", `node.addresses[0]: nobody would listen there: add "169.254.20.10:53" to listen`},
	} {
		t.Setenv("STRATA_NODE_INTERFACE", c.link)
		t.Setenv("STRATA_NODE_ADDRESSES", c.addresses)
		t.Setenv("STRATA_LISTEN", c.listen)
		err := config.Load("", new(shape), nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
