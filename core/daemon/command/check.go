package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon/config"
)

// checkCommand makes the subcommand that only reads the config.
func (s *Spec[C]) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "say whether a config is right, and if not, what is wrong on which line",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := s.load(cmd)
			var problems config.Problems
			if errors.As(err, &problems) {
				fmt.Fprint(cmd.ErrOrStderr(), problems.Lines())
				return errShown
			}
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", configFile(cmd))
			}
			return err
		},
	}
	s.addConfigFlag(cmd)
	return cmd
}
