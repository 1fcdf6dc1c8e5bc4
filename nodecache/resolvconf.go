package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/nodecache/resolvconf"
)

// resolvConfFlags are those of the command resolv-conf.
type resolvConfFlags struct {
	check, write, restore bool
	file                  resolvconf.File
	search                string
	replaceLink           bool
}

const resolvConfLong = `Have the host's programs ask nodecache first, and the site's recursors when it is gone.

--check says what is wrong with the file, why, and what ndots costs; exit status 1.
--write changes it: nodecache's address, two recursors, a domain instead of a search
list, timeout and attempts where the file has none. Comments and other lines stay. What
was there before is kept in FILE.strata-backup, and never written over.
--restore puts that back as it was, and refuses to when somebody else has changed
the file since.`

func resolvConfCommand(load command.Load[Config]) *cobra.Command {
	var f resolvConfFlags
	cmd := &cobra.Command{
		Use:   "resolv-conf --check|--write|--restore",
		Short: "have the host's programs ask nodecache: check, write or restore /etc/resolv.conf",
		Long:  resolvConfLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.restore { // as of a host that has no config any more
				return show(cmd.OutOrStdout())(f.file.Restore())
			}
			c, err := load(cmd)
			if err != nil {
				return err
			}
			return f.run(cmd, c)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.check, "check", false, "say what is wrong with the file, and what ndots costs")
	flags.BoolVar(&f.write, "write", false, "change the file, and keep the old one beside it")
	flags.BoolVar(&f.restore, "restore", false, "put back what was there before")
	flags.StringVar(&f.file.Path, "file", "/etc/resolv.conf", "the `path` of the file")
	flags.StringVar(&f.search, "search", "domain", "what becomes of a search list: domain, its first one alone, or keep")
	flags.BoolVar(&f.replaceLink, "replace-link", false, "with --write: replace a symbolic link, which another program made")
	flags.BoolVar(&f.file.Force, "force", false, "with --restore: also when somebody else has changed the file since")
	cmd.MarkFlagsOneRequired("check", "write", "restore")
	cmd.MarkFlagsMutuallyExclusive("check", "write", "restore")
	return cmd
}

// run checks or writes the file of a config.
func (f *resolvConfFlags) run(cmd *cobra.Command, c *Config) error {
	if _, err := config.Choose([]byte(f.search), "domain", "keep"); err != nil {
		return fmt.Errorf("--search: %w", err)
	}
	recursors, warnings := fallBacks(c.Upstreams)
	want, more, err := resolvconf.Want(c.Listen, recursors)
	if err != nil {
		return fmt.Errorf("resolv-conf: %w", err)
	}
	for _, warning := range append(warnings, more...) {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
	want.KeepSearch = f.search == "keep"
	if f.write {
		return show(cmd.OutOrStdout())(f.file.Write(want, f.replaceLink))
	}
	return f.report(cmd.OutOrStdout(), want, c)
}

// junkDomains are the search domains whose junk is answered here.
func junkDomains(c *Config) []string {
	switch under := c.Policy.Junk.Under; under {
	case "", "auto":
		return c.Policy.Search
	case "off":
		return nil
	default:
		return strings.Fields(under)
	}
}

// fallBacks are the recursors that a C library can ask: over UDP, by address.
func fallBacks(upstreams []upstream.Server) (recursors []netip.AddrPort, warnings []string) {
	for _, u := range upstreams {
		if u.Transport == upstream.TLS {
			warnings = append(warnings, fmt.Sprintf("%s is no fall-back: a C library speaks no TLS", u.Addr))
			continue
		}
		recursors = append(recursors, u.Addr)
	}
	return recursors, warnings
}

// show writes what was done.
func show(w io.Writer) func(resolvconf.Result, error) error {
	return func(r resolvconf.Result, err error) error {
		if err != nil {
			return err
		}
		for _, l := range r.Lines {
			fmt.Fprintln(w, l)
		}
		return nil
	}
}

var errNotRight = errors.New("is not as it should be; --write changes that")

func (f *resolvConfFlags) report(w io.Writer, want resolvconf.Wanted, c *Config) error {
	r, err := f.file.Check(want, junkDomains(c))
	if err != nil {
		return err
	}
	for _, wrong := range r.Wrong {
		fmt.Fprintln(w, wrong)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, "note:", note)
	}
	if len(r.Wrong) > 0 {
		return fmt.Errorf("resolv-conf: %s %w", f.file.Path, errNotRight)
	}
	fmt.Fprintf(w, "%s is right\n", f.file.Path)
	return nil
}
