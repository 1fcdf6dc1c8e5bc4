// Authoritative is the name server of the house: zones from etcd and from master
// files, answered out of memory.
//
// A query's way is in answer.go. What feeds the zones is in zones.go (files),
// sink.go (etcd) and snapshot.go (while etcd is away); `authoritative records` is
// in records.go and import.go, `authoritative monitor` in monitor.go and kube,
// `authoritative probe` in probe.go and probe; what it finds comes by health.go.
package main

import (
	"context"
	"io"
	"os"

	"google.golang.org/grpc/grpclog"

	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
)

func main() {
	// What gRPC says of connections to etcd goes to stderr in its own form; what matters
	// of it comes back as errors, which our log has.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return command.Run(ctx, spec(args), args, stdout, stderr)
}

func spec(args []string) command.Spec[Config] {
	s := command.Spec[Config]{
		Name:     "authoritative",
		Short:    "an authoritative name server fed from etcd and master files",
		Defaults: defaults,
		Base:     func(c *Config) *config.Base { return &c.Base },
		Build:    build,
		Summary:  summary,
		Services: []command.Service[Config]{monitorService(), probeService()},
		Extra:    recordsCommands,
		Planes:   planes(),
	}
	// Master files may be large. A server finds what is wrong in them by reading
	// them, once; `records` works where they are not at all.
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			s.Check = all(checkPlaces, checkPointed, checkOpen)
		case "check":
			s.Check = all(checkPlaces, checkPointed, checkFiles)
		case "monitor":
			s.Base, s.Check = func(c *Config) *config.Base { return c.besideServer(c.Monitor.Admin, c.Monitor.Control) }, checkMonitor
		case "probe":
			s.Base, s.Check = func(c *Config) *config.Base { return c.besideServer(c.Probe.Admin, c.Probe.Control) }, checkProbe
		}
	}
	return s
}

type check func(*Config, *config.Report)

func all(checks ...check) check {
	return func(c *Config, report *config.Report) {
		for _, one := range checks {
			one(c, report)
		}
	}
}
