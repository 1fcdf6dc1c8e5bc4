package command

import (
	"cmp"
	"context"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
)

// serviceCommand makes a subcommand that runs a service.
func (s *Spec[C]) serviceCommand(service Service[C]) *cobra.Command {
	cmd := &cobra.Command{
		Use:   service.Name,
		Short: service.Short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return s.run(cmd, service) },
	}
	s.addConfigFlag(cmd)
	config.Flags(cmd.Flags(), new(C))
	cmd.Flags().Bool("linger", false, "when another process has taken over, stay until told to end, or until nobody answers: for supervisors that start again what ends")
	shorten(cmd.Flags(), service.Name)
	return cmd
}

// shorten lets a service's flags go without the name of its own section, --manifests for
// --monitor.manifests, but for those that are keys of all, such as --admin.
func shorten(flags *pflag.FlagSet, section string) {
	whole := map[string]string{}
	flags.VisitAll(func(f *pflag.Flag) {
		if key, ok := strings.CutPrefix(f.Name, section+"."); ok && flags.Lookup(key) == nil {
			whole[key] = f.Name
		}
	})
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(cmp.Or(whole[name], name))
	})
}

// run builds a service and runs it until it is told to stop.
func (s *Spec[C]) run(cmd *cobra.Command, service Service[C]) error {
	c, err := s.load(cmd)
	if err != nil {
		return err
	}
	base := s.Base(c)
	level := new(slog.LevelVar)
	level.Set(base.Log.Level)
	log := daemon.NewLog(cmd.ErrOrStderr(), level, base.Log.Format == "json")
	slog.SetDefault(log) // for libraries

	ctx, cancel := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	d := daemon.New(daemon.Options{
		Name:       s.Name,
		Admin:      base.Admin,
		Control:    base.Control,
		ConfigFile: configFile(cmd),
		Planes:     s.Planes,
		Log:        log,
	})
	defer d.Leave()
	if base.Takeover {
		if err := d.TakeOver(ctx); err != nil {
			return err
		}
	}
	apply, err := service.Build(ctx, d, c)
	if ctx.Err() != nil { // told to stop while building
		return nil
	}
	if err != nil {
		return err
	}
	if apply != nil {
		d.OnReload(s.reload(cmd, apply, level))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "starting", s.summary(cmd, c)...)
	err = d.Run(ctx)
	if lingers, _ := cmd.Flags().GetBool("linger"); lingers && err == nil {
		return linger(ctx, base.Control, log)
	}
	return err
}

// reload reads the config again and has it taken up.
func (s *Spec[C]) reload(cmd *cobra.Command, apply func(context.Context, *C) error, level *slog.LevelVar) func(context.Context) error {
	return func(ctx context.Context) error {
		fresh, err := s.load(cmd)
		if err != nil {
			return err
		}
		if err := apply(ctx, fresh); err != nil {
			return err
		}
		level.Set(s.Base(fresh).Log.Level)
		return nil
	}
}

// summary says in one line what runs.
func (s *Spec[C]) summary(cmd *cobra.Command, c *C) []slog.Attr {
	base := s.Base(c)
	attrs := []slog.Attr{
		slog.String("daemon", s.Name),
		slog.String("service", cmd.Name()),
		slog.String("version", daemon.Version),
		slog.String("config", configFile(cmd)),
		slog.Any("listen", base.Listen),
		slog.Int("workers", base.Workers),
		slog.String("admin", base.Admin),
		slog.String("control", base.Control),
	}
	if s.Summary != nil {
		attrs = append(attrs, s.Summary(c)...)
	}
	return attrs
}
