package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/authoritative/probe"
	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// exportPage is how many records are held at a time.
const exportPage = 2000

func (r *records) exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export --zone ZONE",
		Short: "write an owner's records in a zone as a master file that import takes",
		Long: "Writes an owner's records in a zone, all of one revision, as a master file without SOA:\n" +
			"`import` makes the same records of it. With --all, all owners', each with its owner behind a semicolon.\n" +
			"How addresses are probed stands there, too, as probe=tcp:80: import reads it.",
		Example: "  authoritative records export --zone prd.example.com --owner team-a > prd.zone",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&r.owner, "owner", byHand, "whose records")
	c.Flags().StringVar(&r.zone, "zone", "", "the zone")
	all := c.Flags().Bool("all", false, "all owners' records")
	format := formatFlag(c, "master")
	_ = c.MarkFlagRequired("zone") // it fails only for a flag that is not there
	c.MarkFlagsMutuallyExclusive("owner", "all")
	c.RunE = r.open(func(client *store.Client, conf *Config, cmd *cobra.Command, _ []string) error {
		if err := checkFormat(*format, "master"); err != nil {
			return err
		}
		apex, err := r.apex(conf)
		if err != nil {
			return err
		}
		owner := r.owner
		if *all {
			owner = ""
		}
		e := exporter{client: client, apex: apex, owner: owner, w: bufio.NewWriter(cmd.OutOrStdout())}
		write := e.master
		if *format == "json" {
			write = e.json
		}
		return errors.Join(write(cmd), e.w.Flush())
	})
	return c
}

// An exporter writes the records of a zone.
type exporter struct {
	client *store.Client
	apex   []byte
	owner  string // "": all
	w      *bufio.Writer
}

// pages has f see all records of one revision, some at a time.
func (e *exporter) pages(cmd *cobra.Command, f func(store.Page) error) error {
	q := store.PageQuery{Under: e.apex, Limit: exportPage}
	q.Keep = func(rec store.Record) bool { return e.owner == "" || rec.Owner == e.owner }
	for {
		page, err := e.client.Page(cmd.Context(), q)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if err := f(page); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if q.After = page.Next; q.After == (store.Place{}) {
			return nil
		}
	}
}

func (e *exporter) master(cmd *cobra.Command) error {
	headed := false
	return e.pages(cmd, func(page store.Page) error {
		if !headed {
			headed = true
			whose := "of " + e.owner
			if e.owner == "" {
				whose = "of all owners"
			}
			fmt.Fprintf(e.w, "; zone %s, records %s, revision %d of etcd\n", wire.NameString(e.apex), whose, page.Revision)
		}
		for i := range page.Records {
			if err := e.lines(&page.Records[i].Record); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *exporter) lines(rec *store.Record) error {
	text, err := rec.Text()
	if err != nil {
		return err
	}
	note := e.note(rec)
	for _, data := range text {
		fmt.Fprintf(e.w, "%s\t%d\tIN\t%s\t%s%s\n", wire.NameString(rec.Name), rec.TTL, store.TypeString(rec.Type), data, note)
	}
	return nil
}

// note is the comment behind a record. A probe that is none comes in a way that import
// does not read.
func (e *exporter) note(rec *store.Record) string {
	note := ""
	if e.owner == "" {
		note = " " + printable(rec.Owner)
	}
	if rec.Probe != "" {
		if _, err := probe.Parse(rec.Probe); err == nil {
			note += " " + probeMark + rec.Probe
		} else {
			note += " no probe: " + strconv.Quote(rec.Probe)
		}
	}
	if note == "" {
		return ""
	}
	return " ;" + note
}

// printable quotes what would end a comment, or not be seen in it.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(text)
	}
	return text
}

// probeMark begins the word of a record's comment that says how its addresses are probed.
// It is the last one.
const probeMark = "probe="

// probeOf reads the comment of an address in a master file; "": it says nothing of probes.
func probeOf(comment string) (string, error) {
	at := strings.LastIndex(comment, probeMark)
	if at <= 0 || !strings.Contains("; \t", comment[at-1:at]) {
		return "", nil
	}
	how := strings.ReplaceAll(comment[at+len(probeMark):], " ;", ";") // the parser puts the blank
	if how = strings.TrimSpace(how); strings.ContainsAny(how, " \t") {
		return "", nil
	}
	if _, err := probe.Parse(how); err != nil && how != store.NoProbe {
		return "", fmt.Errorf("comment %s: %w", probeMark, err)
	}
	return how, nil
}

// json writes {"zone", "revision", "records": […]}, a record a line.
func (e *exporter) json(cmd *cobra.Command) error {
	headed, between := false, "\n"
	err := e.pages(cmd, func(page store.Page) error {
		if !headed {
			headed = true
			zone, err := json.Marshal(wire.NameString(e.apex))
			if err != nil {
				return err
			}
			fmt.Fprintf(e.w, `{"zone":%s,"revision":%d,"records":[`, zone, page.Revision)
		}
		for _, rec := range page.Records {
			j, err := jsonOf(rec.Record, rec.Revision)
			if err != nil {
				return err
			}
			text, err := json.Marshal(j)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.w, "%s%s", between, text)
			between = ",\n"
		}
		return nil
	})
	if err == nil {
		fmt.Fprint(e.w, "\n]}\n")
	}
	return err
}
