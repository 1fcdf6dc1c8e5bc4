// Package command makes a daemon's program of a [Spec]: serve, check, ctl,
// lookup and version, the same in all binaries, and whatever else a binary adds.
//
//	func main() {
//		command.Main(command.Spec[Config]{
//			Name:     "nodecache",
//			Short:    "a host's own DNS cache",
//			Defaults: defaults,
//			Base:     func(c *Config) *config.Base { return &c.Base },
//			Build:    build,
//		})
//	}
//
// Errors are one line on stderr, begin with the program's name, and end it with
// status 1.
package command
