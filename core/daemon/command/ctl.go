package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/daemon/control"
)

// controlCommand makes the subcommand that calls a running daemon.
func (s *Spec[C]) controlCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ctl [COMMAND [ARGS...]]",
		Short: "have a running daemon do or tell something; \"ctl help\" asks it what it can",
		Example: fmt.Sprintf("  %[1]s ctl status --json\n  %[1]s ctl stats queries\n  %[1]s ctl help",
			s.Name),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("control") {
				var err error
				if path, err = s.socketPath(cmd); err != nil {
					return err
				}
			}
			if path == "" {
				return fmt.Errorf("ctl: the control socket is off in %s", configFile(cmd))
			}
			return control.Do(cmd.Context(), path, control.Request{Args: args, JSON: asJSON}, cmd.OutOrStdout())
		},
	}
	s.addConfigFlag(cmd)
	cmd.Flags().StringVar(&path, "control", "", "the control socket's `path` (default: that of the config)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "data as JSON")
	return cmd
}

// socketPath finds the control socket as the daemon does, but without asking
// the rest of the config to be right: a config being mended is when one calls.
func (s *Spec[C]) socketPath(cmd *cobra.Command) (string, error) {
	paths, err := s.peek(cmd, "control", "STRATA_CONTROL")
	if err != nil {
		return "", fmt.Errorf("ctl: %w; or give --control PATH", err)
	}
	if len(paths) > 0 {
		return paths[0], nil
	}
	c := s.Defaults()
	return s.Base(&c).Control, nil
}

// peek reads one setting from the environment or the config file; nothing if
// neither has it. A default file that is not there is no error.
func (s *Spec[C]) peek(cmd *cobra.Command, key, variable string) ([]string, error) {
	if value, ok := os.LookupEnv(variable); ok {
		return []string{value}, nil
	}
	values, err := config.Peek(configFile(cmd), key)
	if errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
		return nil, nil
	}
	return values, err
}
