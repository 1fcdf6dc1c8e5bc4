package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"strings"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon/command"
	"github.com/strata-dns/strata/core/wire"
)

// recordsCommands are `authoritative records …`: they write to etcd, from any
// machine that reaches it, and every server sees it through its watch.
func recordsCommands(load command.Load[Config]) []*cobra.Command {
	r := &records{load: load}
	root := &cobra.Command{
		Use:   "records",
		Short: "add, remove, list and import records in etcd",
	}
	root.AddCommand(r.addCommand(), r.removeCommand(), r.listCommand(), r.importCommand())
	for _, c := range root.Commands() {
		c.Flags().StringVar(&r.owner, "owner", "static", "whose records these are; each owner's are kept apart and merged in answers")
	}
	return []*cobra.Command{root}
}

// records holds what the commands' flags say.
type records struct {
	load    command.Load[Config]
	owner   string
	ttl     uint32
	zone    string
	replace bool
	force   bool
	all     bool
}

func (r *records) addCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "add NAME TYPE DATA...",
		Short:   "add values to a name's RRset",
		Example: "  authoritative records add db.prd.example.com A 10.0.0.1 10.0.0.2 --ttl 30",
		Args:    cobra.MinimumNArgs(3),
		RunE: r.run(func(ctx context.Context, c *store.Client, cmd *cobra.Command, args []string) error {
			rec, err := store.NewRecord(args[0], args[1], r.owner, r.ttl, args[2:]...)
			if err != nil {
				return err
			}
			res, err := c.Add(ctx, rec)
			return say(cmd.OutOrStdout(), res, err)
		}),
	}
	c.Flags().Uint32Var(&r.ttl, "ttl", 300, "seconds that resolvers may keep it")
	return c
}

func (r *records) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME TYPE [DATA...]",
		Short: "remove values from a name's RRset, all where none are given",
		Args:  cobra.MinimumNArgs(2),
		RunE: r.run(func(ctx context.Context, c *store.Client, cmd *cobra.Command, args []string) error {
			rec, err := store.NewRecord(args[0], args[1], r.owner, 0, args[2:]...)
			if err != nil {
				return err
			}
			res, err := c.Remove(ctx, rec)
			if err == nil && !res.Changed() {
				return fmt.Errorf("%s holds no such record of %s %s; `records list %s --all` shows who does", r.owner, args[0], strings.ToUpper(args[1]), args[0])
			}
			return say(cmd.OutOrStdout(), res, err)
		}),
	}
}

func (r *records) listCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list [UNDER]",
		Short: "list the records at and below a name, as a master file",
		Args:  cobra.MaximumNArgs(1),
	}
	c.RunE = r.open(func(ctx context.Context, client *store.Client, cmd *cobra.Command, args []string, _ *Config) error {
		under, err := parseZoneName(args)
		if err != nil {
			return err
		}
		owner := r.owner
		if r.all || !cmd.Flags().Changed("owner") {
			owner = ""
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		for rec, err := range client.List(ctx, under, owner) {
			if err != nil {
				return errors.Join(err, out.Flush())
			}
			for _, data := range rec.Data {
				text, err := presentation(rec.Name, rec.Type, rec.TTL, data)
				if err != nil {
					return fmt.Errorf("list %s: %w", rec, err)
				}
				fmt.Fprintf(out, "%s ; %s\n", text, rec.Owner)
			}
		}
		return out.Flush()
	})
	c.Flags().BoolVar(&r.all, "all", false, "all owners' records (also without --owner)")
	return c
}

func (r *records) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE --zone ZONE",
		Short: "write a master file's records as one owner's",
		Long:  "Writes a master file's records as one owner's, SOA aside: an etcd zone has its own, with etcd's revision as the serial.\nWith --replace the owner's records in the zone become exactly those of the file; more deletions than brake.max_delete allows stop it before anything is changed.",
		Args:  cobra.ExactArgs(1),
	}
	c.RunE = r.open(func(ctx context.Context, client *store.Client, cmd *cobra.Command, args []string, conf *Config) error {
		apex, err := wire.ParseName(r.zone)
		if err != nil {
			return err
		}
		if err := conf.inEtcdZone(apex); err != nil {
			return err
		}
		in := store.Import{Owner: r.owner, Under: apex, Replace: r.replace, MaxDelete: conf.Brake.MaxDelete}
		if r.force {
			in.MaxDelete = 1
		}
		res, err := client.Import(ctx, in, masterRecords(args[0], apex, r.owner))
		return say(cmd.OutOrStdout(), res, err)
	})
	c.Flags().StringVar(&r.zone, "zone", "", "the zone the file is of")
	c.Flags().BoolVar(&r.replace, "replace", false, "delete the owner's records that are not in the file")
	c.Flags().BoolVar(&r.force, "force", false, "delete however many it takes, past brake.max_delete")
	_ = c.MarkFlagRequired("zone") // it fails only for a flag that is not there
	return c
}

type recordsFunc func(ctx context.Context, c *store.Client, cmd *cobra.Command, args []string) error

// run is open for commands whose first argument must be in a zone of ours.
func (r *records) run(f recordsFunc) func(*cobra.Command, []string) error {
	return r.open(func(ctx context.Context, c *store.Client, cmd *cobra.Command, args []string, conf *Config) error {
		name, err := wire.ParseName(args[0])
		if err != nil {
			return err
		}
		if err := conf.inEtcdZone(name); err != nil {
			return err
		}
		return f(ctx, c, cmd, args)
	})
}

func (r *records) open(f func(context.Context, *store.Client, *cobra.Command, []string, *Config) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		conf, err := r.load(cmd)
		if err != nil {
			return err
		}
		client, err := openStore(conf, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		if err != nil {
			return err
		}
		defer client.Close()
		return f(cmd.Context(), client, cmd, args, conf)
	}
}

// inEtcdZone reports an error where no etcd zone of the config holds a name.
func (c *Config) inEtcdZone(name []byte) error {
	var zones []string
	for _, z := range c.Zones {
		apex, err := wire.ParseName(z.Name)
		if err != nil || z.Source != "etcd" {
			continue
		}
		if wire.IsSubdomain(name, apex) {
			return nil
		}
		zones = append(zones, z.Name)
	}
	if len(zones) == 0 {
		return fmt.Errorf("%s: the config has no zone with source etcd", wire.NameString(name))
	}
	return fmt.Errorf("%s is in none of the zones kept in etcd: %s", wire.NameString(name), strings.Join(zones, ", "))
}

// say prints what a write did.
func say(out io.Writer, res store.Result, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "written %d, deleted %d, unchanged %d, revision %d\n", res.Written, res.Deleted, res.Unchanged, res.Revision)
	return err
}

// masterRecords reads a master file's records, one at a time, without its SOA.
func masterRecords(path string, apex []byte, owner string) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		defer f.Close()
		zp := dns.NewZoneParser(f, wire.NameString(apex), path)
		for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
			if rr.Header().Rrtype == dns.TypeSOA {
				continue
			}
			rec, err := recordOf(rr, owner)
			if !yield(rec, err) || err != nil {
				return
			}
		}
		if err := zp.Err(); err != nil {
			yield(store.Record{}, err)
		}
	}
}

func recordOf(rr dns.RR, owner string) (store.Record, error) {
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return store.Record{}, err
	}
	h := rr.Header()
	at := wire.NameLen(buf)
	name := buf[:at:at]
	wire.Fold(name)
	return store.Record{Name: name, Type: h.Rrtype, Owner: owner, TTL: h.Ttl, Data: [][]byte{buf[at+10 : n]}}, nil
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
