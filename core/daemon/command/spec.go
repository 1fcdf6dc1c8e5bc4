package command

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
)

// A Spec describes a program whose config is a C.
type Spec[C any] struct {
	Name  string // "nodecache"; the config is /etc/strata/NAME.yaml by default
	Short string // one line for the help

	// Defaults returns a config as it is before the file is read.
	Defaults func() C
	// Base returns the part of a config that all daemons share.
	Base func(*C) *config.Base
	// Build is the service behind "serve".
	Build Build[C]
	// Check looks at what a config points to (zone files, and the like), beyond
	// C's own Validate. It is asked by "check" and before a start or reload; nil
	// if there is nothing.
	Check func(c *C, report *config.Report)
	// Summary says in a few attributes what a config amounts to, for the line
	// that is logged at the start, beside file, addresses and version; may be nil.
	Summary func(c *C) []slog.Attr
	// Services are further subcommands that run until they are told to stop, with
	// the same config.
	Services []Service[C]
	// Extra adds other subcommands; load reads the config of the command's
	// --config flag, which all of them have.
	Extra func(load Load[C]) []*cobra.Command
	// Planes names the planes built into this binary, for "version".
	Planes []string
}

// A Build adds to d what the config asks for. ctx is for the building alone: it
// ends as soon as the process is told to stop, which tasks only do when drained.
// The function it returns takes up a changed config at
// a reload, and must leave everything as it was when it returns an error; nil if
// this service cannot reload.
type Build[C any] func(ctx context.Context, d *daemon.Daemon, c *C) (reload func(ctx context.Context, c *C) error, err error)

// A Service is a subcommand that runs until it is told to stop.
type Service[C any] struct {
	Name  string // the subcommand: "monitor"
	Short string
	Build Build[C]
}

// A Load reads the config that a command was given.
type Load[C any] func(cmd *cobra.Command) (*C, error)
