package command

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon/lookup"
)

// lookupCommand makes the subcommand that asks a DNS question.
func (s *Spec[C]) lookupCommand() *cobra.Command {
	var query lookup.Query
	var short, reverse bool
	cmd := &cobra.Command{
		Use:   "lookup NAME [TYPE]",
		Short: "ask a DNS server, by default the one of the config",
		Example: fmt.Sprintf("  %[1]s lookup www.example.com\n  %[1]s lookup example.com MX --short\n"+
			"  %[1]s lookup -x 192.0.2.1 --server 192.0.2.53", s.Name),
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := query.Parse(args, reverse); err != nil {
				return err
			}
			if query.Server == "" {
				if query.Server, err = s.ownServer(cmd); err != nil {
					return err
				}
			}
			answer, err := lookup.Ask(cmd.Context(), query)
			if err != nil {
				return err
			}
			if short {
				return answer.WriteShort(cmd.OutOrStdout())
			}
			return answer.Write(cmd.OutOrStdout())
		},
	}
	s.addConfigFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&query.Server, "server", "", "the server's `address`, port 53 unless it has one (default: the config's first listen)")
	flags.BoolVar(&query.TCP, "tcp", false, "over TCP")
	flags.BoolVar(&query.DNSSEC, "dnssec", false, "with the DO bit set")
	flags.BoolVar(&short, "short", false, "only the data of the answer")
	flags.BoolVarP(&reverse, "reverse", "x", false, "NAME is an address: ask for its PTR")
	flags.DurationVar(&query.Timeout, "timeout", 5*time.Second, "how long to wait, retries among it")
	return cmd
}

// ownServer is the first address the config's daemon listens on, as it is
// reached from this host.
func (s *Spec[C]) ownServer(cmd *cobra.Command) (string, error) {
	listen, err := s.peek(cmd, "listen", "STRATA_LISTEN")
	if err != nil {
		return "", fmt.Errorf("lookup: %w; or give --server ADDRESS", err)
	}
	var address netip.AddrPort
	if c := s.Defaults(); len(listen) > 0 {
		first, _, _ := strings.Cut(listen[0], ",")
		if address, err = netip.ParseAddrPort(strings.TrimSpace(first)); err != nil {
			return "", fmt.Errorf("lookup: listen in %s: %w", configFile(cmd), err)
		}
	} else if own := s.Base(&c).Listen; len(own) > 0 {
		address = own[0]
	} else {
		return "", fmt.Errorf("lookup: %s has no listen: give --server ADDRESS", configFile(cmd))
	}
	switch address.Addr() {
	case netip.IPv4Unspecified():
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	case netip.IPv6Unspecified():
		address = netip.AddrPortFrom(netip.IPv6Loopback(), address.Port())
	}
	return address.String(), nil
}
