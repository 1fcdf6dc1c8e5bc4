package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon/config"
)

// errShown is a failure whose reasons have been printed already.
var errShown = errors.New("already shown")

// Main runs the program with the process's arguments and ends the process.
func Main[C any](spec Spec[C]) {
	os.Exit(Run(context.Background(), spec, os.Args[1:], os.Stdout, os.Stderr))
}

// Run runs the program and returns its exit status.
func Run[C any](ctx context.Context, spec Spec[C], args []string, stdout, stderr io.Writer) int {
	root := Root(spec)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errShown) {
		fmt.Fprintf(stderr, "%s: %s\n", spec.Name, oneLine(err))
	}
	return 1
}

// Root makes the program's command tree.
func Root[C any](spec Spec[C]) *cobra.Command {
	root := &cobra.Command{
		Use:           spec.Name,
		Short:         spec.Short,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(spec.serviceCommand(Service[C]{Name: "serve", Short: "answer until told to stop", Build: spec.Build}))
	for _, service := range spec.Services {
		root.AddCommand(spec.serviceCommand(service))
	}
	root.AddCommand(spec.checkCommand(), spec.controlCommand(), spec.lookupCommand(), spec.versionCommand())
	if spec.Extra != nil {
		for _, extra := range spec.Extra(spec.load) {
			spec.addConfigFlag(extra)
			root.AddCommand(extra)
		}
	}
	return root
}

// oneLine keeps a message on one line, whatever it was wrapped around.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}

// defaultFile is where the program's config is looked for.
func (s *Spec[C]) defaultFile() string { return "/etc/strata/" + s.Name + ".yaml" }

// addConfigFlag gives a command, and those below it, the flag --config.
func (s *Spec[C]) addConfigFlag(cmd *cobra.Command) {
	if cmd.PersistentFlags().Lookup("config") == nil {
		cmd.PersistentFlags().String("config", s.defaultFile(), "the config `file`")
	}
}

func configFile(cmd *cobra.Command) string {
	file, _ := cmd.Flags().GetString("config") // every command that asks has it
	return file
}

// load reads the config that cmd was given.
func (s *Spec[C]) load(cmd *cobra.Command) (*C, error) {
	c := s.Defaults()
	var checks []func(*config.Report)
	if s.Check != nil {
		checks = append(checks, func(report *config.Report) { s.Check(&c, report) })
	}
	if err := config.Load(configFile(cmd), &c, cmd.Flags(), checks...); err != nil {
		return nil, err
	}
	return &c, nil
}
