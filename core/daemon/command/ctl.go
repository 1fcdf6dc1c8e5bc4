package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

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
		Example: fmt.Sprintf("  %[1]s ctl status --json\n  %[1]s ctl stats queries\n  %[1]s ctl help [COMMAND]",
			s.Name),
		// Which other flags there are, the daemon knows.
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			args, err := ownFlags(cmd, args)
			if err != nil {
				return err
			}
			if help, _ := cmd.Flags().GetBool("help"); help && len(args) == 0 {
				return cmd.Help()
			} else if help {
				args = append(args, "--help")
			}
			if !cmd.Flags().Changed("control") {
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

// ownFlags takes the flags of ctl itself out of its arguments, wherever they stand,
// and gives the daemon's part.
func ownFlags(cmd *cobra.Command, args []string) (rest []string, err error) {
	flags := cmd.Flags()
	flags.AddFlagSet(cmd.PersistentFlags())
	var own []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			if len(rest) == 0 { // in front of the command it says nothing
				i++
			}
			rest = append(rest, args[i:]...)
			break
		}
		name, _, whole := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		flag := flags.Lookup(name)
		if args[i] == "-h" {
			flag = flags.Lookup("help")
		}
		switch {
		case flag == nil || args[i][0] != '-':
			rest = append(rest, args[i])
		case whole || flag.NoOptDefVal != "" || i+1 == len(args):
			own = append(own, args[i])
		default:
			own = append(own, args[i], args[i+1])
			i++
		}
	}
	return rest, flags.Parse(own)
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
