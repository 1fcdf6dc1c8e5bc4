// Authoritative is the name server of the house: zones from etcd and from master
// files, answered out of memory.
//
// A query's way is in answer.go; what feeds the zones in zones.go (files) and
// sink.go (etcd); `authoritative records` in records.go.
package main

import (
	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
)

func main() {
	command.Main(command.Spec[Config]{
		Name:     "authoritative",
		Short:    "an authoritative name server fed from etcd and master files",
		Defaults: defaults,
		Base:     func(c *Config) *config.Base { return &c.Base },
		Build:    build,
		Check:    checkFiles,
		Summary:  summary,
		Extra:    recordsCommands,
		Planes:   []string{"socket"},
	})
}
