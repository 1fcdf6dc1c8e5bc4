// Recursor is the resolver pool of a site: our own zones go to the authoritative
// tier, everything else to external resolvers, those of the other site where this
// one's fail.
//
// A query's way is core/resolver's, up to where memory has no answer: from there
// on it is in answer.go. What the external side does is in external.go.
package main

import (
	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
)

func main() {
	command.Main(command.Spec[Config]{
		Name:     "recursor",
		Short:    "the resolver pool of a site",
		Defaults: defaults,
		Base:     func(c *Config) *config.Base { return &c.Base },
		Build:    build,
		Summary:  summary,
		Planes:   []string{"socket"},
	})
}
