package command

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon"
)

// versionCommand makes the subcommand that says what this binary is.
func (s *Spec[C]) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "say what this binary was made of",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			build := daemon.ThisBuild()
			build.Planes = s.Planes
			if asJSON {
				return json.NewEncoder(out).Encode(build)
			}
			fmt.Fprintf(out, "%s %s\n", s.Name, build.Version)
			if build.Commit != "" {
				fmt.Fprintf(out, "commit %s\n", build.Commit)
			}
			fmt.Fprintf(out, "built with %s\n", build.Go)
			if len(build.Planes) > 0 {
				fmt.Fprintf(out, "planes %s\n", strings.Join(build.Planes, ", "))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}
