// Nodecache is the cache on every host: it answers from memory, keeps answering
// when the network does not, and answers noise itself.
//
// A query's way is core/resolver's, up to where memory has no answer: from there
// on it is in answer.go.
package main

import (
	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
)

func main() {
	command.Main(command.Spec[Config]{
		Name:     "nodecache",
		Short:    "the DNS cache on every host",
		Defaults: defaults,
		Base:     func(c *Config) *config.Base { return &c.Base },
		Build:    build,
		Summary:  summary,
		Planes:   []string{"socket"},
		Extra: func(load command.Load[Config]) []*cobra.Command {
			return []*cobra.Command{resolvConfCommand(load)}
		},
	})
}
