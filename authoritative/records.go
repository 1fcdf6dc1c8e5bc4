package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/authoritative/probe"
	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/wire"
)

// defaultTTL of records that come without, in seconds.
const defaultTTL = 300

// records holds what the flags of `authoritative records …` say. The commands
// write to etcd, from any machine that reaches it, and every server sees it through
// its watch.
type records struct {
	load    command.Load[Config]
	owner   string
	probe   string
	ttl     uint32
	zone    string
	replace bool
	force   bool
	view    string
}

func recordsCommands(load command.Load[Config]) []*cobra.Command {
	r := &records{load: load}
	root := &cobra.Command{
		Use:   "records",
		Short: "add, remove, list, import and export records in etcd, and show their history",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&r.view, "view", "", "the `view` whose records these are; none: those that everybody sees")
	root.AddCommand(r.addCommand(), r.removeCommand(), r.listCommand(), r.importCommand(), r.exportCommand(), r.historyCommand())
	return []*cobra.Command{root}
}

// A written is a command that writes, with the client and config it needs.
type written func(ctx context.Context, client *store.Client, conf *Config, args []string) (store.Result, error)

// writing makes the run function of a command that writes: it opens etcd, and says
// what was done.
func (r *records) writing(f written) func(*cobra.Command, []string) error {
	return r.open(func(client *store.Client, conf *Config, cmd *cobra.Command, args []string) error {
		res, err := f(cmd.Context(), client, conf, args)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "written %d, deleted %d, unchanged %d, revision %d\n", res.Written, res.Deleted, res.Unchanged, res.Revision)
		return err
	})
}

// open gives a command its config and a client.
func (r *records) open(f func(*store.Client, *Config, *cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		conf, err := r.load(cmd)
		if err != nil {
			return err
		}
		if conf, err = conf.in(r.view); err != nil {
			return fmt.Errorf("records: %w", err)
		}
		if !conf.usesEtcd() {
			return errors.New("records: the config has no zone with source etcd, so there is nowhere to keep records")
		}
		client, err := openStore(conf, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		if err != nil {
			return err
		}
		defer client.Close()
		return f(client, conf, cmd, args)
	}
}

// ownerFlag is for the commands that write.
func (r *records) ownerFlag(c *cobra.Command) {
	c.Flags().StringVar(&r.owner, "owner", byHand, "whose records these are: each owner's are kept apart, and merged in answers")
}

func (r *records) addCommand() *cobra.Command {
	var c *cobra.Command
	c = &cobra.Command{
		Use:     "add NAME TYPE DATA...",
		Short:   "add values to a name's RRset",
		Long:    "Adds values to what the owner has at a name. Its TTL stays, unless --ttl gives another.\nNames are given in full, with or without the last dot.",
		Example: "  authoritative records add db.prd.example.com A 10.0.0.1 10.0.0.2 --ttl 30\n  authoritative records add _sip._tcp.prd.example.com SRV \"0 5 5060 sip.prd.example.com\"",
		Args:    cobra.MinimumNArgs(3),
		RunE: r.writing(func(ctx context.Context, client *store.Client, conf *Config, args []string) (store.Result, error) {
			rec, err := r.record(conf, args, r.ttl)
			if err != nil {
				return store.Result{}, err
			}
			if err := takeProbe(&rec, r.probe); err != nil {
				return store.Result{}, fmt.Errorf("--%w", err)
			}
			if c.Flags().Changed("ttl") {
				return client.Add(ctx, rec)
			}
			return client.Write(ctx, store.Edit{Op: store.Extend, Record: rec})
		}),
	}
	r.ownerFlag(c)
	c.Flags().Uint32Var(&r.ttl, "ttl", defaultTTL, "`seconds` that resolvers may keep it; the default is for what is new")
	c.Flags().StringVar(&r.probe, "probe", "", "`how` the addresses are probed: tcp:PORT, udp:PORT, http:PORT/PATH, icmp; none: no longer")
	return c
}

func (r *records) removeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "remove NAME TYPE [DATA...]",
		Short:   "remove values from a name's RRset, all where none are given",
		Example: "  authoritative records remove db.prd.example.com A 10.0.0.2",
		Args:    cobra.MinimumNArgs(2),
		RunE: r.writing(func(ctx context.Context, client *store.Client, conf *Config, args []string) (store.Result, error) {
			rec, err := r.record(conf, args, 0)
			if err != nil {
				return store.Result{}, err
			}
			res, err := client.Remove(ctx, rec)
			if err == nil && !res.Changed() {
				err = fmt.Errorf("%s holds no such record of %s %s; `authoritative records list %[2]s` shows who does", r.owner, args[0], strings.ToUpper(args[1]))
			}
			return res, err
		}),
	}
	r.ownerFlag(c)
	return c
}

// takeProbe takes up how a record's addresses are to be probed; "": nothing is said of it.
func takeProbe(rec *store.Record, how string) error {
	if how == "" {
		return nil
	}
	if rec.Type != dns.TypeA && rec.Type != dns.TypeAAAA {
		return fmt.Errorf("probe is for addresses, and %s records have none", store.TypeString(rec.Type))
	}
	if _, err := probe.Parse(how); err != nil && how != store.NoProbe {
		return fmt.Errorf("probe: %w", err)
	}
	rec.Probe = how
	return nil
}

// record makes a record of NAME TYPE [DATA...], in a zone of the config.
func (r *records) record(conf *Config, args []string, ttl uint32) (store.Record, error) {
	return conf.newRecord(r.owner, args[0], args[1], ttl, args[2:])
}

// newRecord makes a record that may be written to etcd. Where its name is the only
// thing that is wrong the record comes with the error, which is errNotKept.
func (c *Config) newRecord(owner, name, typ string, ttl uint32, data []string) (store.Record, error) {
	rec, err := store.NewRecord(name, typ, owner, ttl, data...)
	if err != nil {
		return rec, orderError(typ, data, err)
	}
	if rec.Type == dns.TypeSOA {
		return rec, errSOA
	}
	z, err := c.etcdZone(rec.Name)
	if err != nil {
		return rec, err
	}
	if err := unfit(wire.MustName(z.Name), rec.Name, rec.Type); err != nil {
		return rec, fmt.Errorf("%s: %w", wire.NameString(rec.Name), err)
	}
	return rec, c.mayOwn(owner)
}

func (r *records) listCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list [NAME]",
		Short: "list the records at and below a name, as lines of a master file",
		Args:  cobra.MaximumNArgs(1),
	}
	var owner string
	c.Flags().StringVar(&owner, "owner", "", "only this owner's")
	c.Flags().Bool("all", false, "all owners' (the default)")
	c.MarkFlagsMutuallyExclusive("owner", "all")
	c.RunE = r.open(func(client *store.Client, _ *Config, cmd *cobra.Command, args []string) error {
		under, err := nameArg(args)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		for rec, err := range client.List(cmd.Context(), under, owner) {
			if err == nil {
				err = list(out, &rec)
			}
			if err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		return out.Flush()
	})
	return c
}

func list(w io.Writer, rec *store.Record) error {
	for _, data := range rec.Data {
		text, err := presentation(rec.Name, rec.Type, rec.TTL, data)
		if err != nil {
			return fmt.Errorf("list %s: %w", rec, err)
		}
		how := ""
		if rec.Probe != "" {
			how = ", probe " + rec.Probe
		}
		if _, err := fmt.Fprintf(w, "%s ; %s%s\n", text, rec.Owner, how); err != nil {
			return err
		}
	}
	return nil
}

var errNotKept = errors.New("is in none of the zones kept in etcd")

// etcdZone gives the zone of the config that holds a name, an error where it is
// not one that comes from etcd.
func (c *Config) etcdZone(name []byte) (*Zone, error) {
	var holder *Zone
	var most int
	var known []string
	for i := range c.Zones {
		z := &c.Zones[i]
		apex := wire.MustName(z.Name) // validated
		if wire.IsSubdomain(name, apex) && len(apex) > most {
			holder, most = z, len(apex)
		}
		if z.Source == fromEtcd {
			known = append(known, z.Name)
		}
	}
	if holder != nil && holder.Source == fromEtcd {
		return holder, nil
	}
	err := fmt.Errorf("%s %w: %s (names are given in full)", wire.NameString(name), errNotKept, strings.Join(known, ", "))
	if holder != nil {
		err = fmt.Errorf("%w; the records of zone %s are in %s", err, holder.Name, holder.File)
	}
	return nil, err
}

// nameArg reads a name that need not be given: the root then, which holds all.
func nameArg(args []string) ([]byte, error) {
	if len(args) == 0 {
		return []byte{0}, nil
	}
	return wire.ParseName(args[0])
}

// presentation gives one record as a line of a master file.
func presentation(name []byte, typ uint16, ttl uint32, data []byte) (string, error) {
	b := append([]byte(nil), name...)
	b = append(b, byte(typ>>8), byte(typ), 0, 1, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(data)>>8), byte(len(data)))
	rr, _, err := dns.UnpackRR(append(b, data...), 0)
	if err != nil {
		return "", err
	}
	return rr.String(), nil
}
