package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// A historyJSON is what etcd remembers of a name.
type historyJSON struct {
	Name    string     `json:"name"`
	From    int64      `json:"from"` // what was before this revision is forgotten
	To      int64      `json:"to"`   // etcd's revision now
	Changes []pastJSON `json:"changes"`
}

// What a change did.
const (
	wasThere = "before" // it was there already at the first revision that is known
	wasPut   = "put"
	wasGone  = "deleted"
	wasBad   = "unreadable" // the value is none of ours
)

type pastJSON struct {
	Change   string   `json:"change"`
	Revision int64    `json:"revision"`
	Type     string   `json:"type"`
	Owner    string   `json:"owner"`
	TTL      *uint32  `json:"ttl,omitempty"`
	Data     []string `json:"data,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func historyOf(name []byte, h store.History) (historyJSON, error) {
	out := historyJSON{Name: wire.NameString(name), From: h.From, To: h.To, Changes: []pastJSON{}}
	for _, past := range h.Changes {
		j := pastJSON{Change: wasPut, Revision: past.Revision, Type: store.TypeString(past.Type), Owner: past.Owner}
		switch {
		case past.Deleted:
			j.Change = wasGone
		case past.Bad != nil:
			j.Change, j.Error = wasBad, past.Bad.Error()
		case past.Before:
			j.Change = wasThere
		}
		if !past.Deleted && past.Bad == nil {
			text, err := past.Text()
			if err != nil {
				return out, err
			}
			j.TTL, j.Data = &past.TTL, text
		}
		out.Changes = append(out.Changes, j)
	}
	return out, nil
}

// history answers what etcd remembers of a name in the token's zones.
func (a *api) history(r *request) (reply, error) {
	name, err := wire.ParseName(r.path[0])
	if err != nil {
		return reply{}, refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	if !r.by.may(name) {
		return reply{}, r.forbidden(name)
	}
	if _, err := r.conf.etcdZone(name); err != nil {
		return reply{}, refuse(http.StatusNotFound, "%v", err)
	}
	h, err := a.client.History(r.Context(), name)
	if err != nil {
		return reply{}, err
	}
	body, err := historyOf(name, h)
	return reply{status: http.StatusOK, body: body}, err
}

// formatFlag lets people choose text or JSON.
func formatFlag(c *cobra.Command, text string) *string {
	return c.Flags().String("format", text, text+" or json")
}

func checkFormat(format, text string) error {
	if format != text && format != "json" {
		return fmt.Errorf("--format %q is unknown; known: %s, json", format, text)
	}
	return nil
}

func (r *records) historyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "history NAME",
		Short: "show what was changed at a name, as far back as etcd remembers",
		Long: "Shows each change of a name's records, all owners', by etcd's revisions.\n" +
			"etcd forgets what it compacts (the embedded member after an hour), and keeps no times.",
		Args: cobra.ExactArgs(1),
	}
	format := formatFlag(c, "text")
	c.RunE = r.open(func(client *store.Client, _ *Config, cmd *cobra.Command, args []string) error {
		if err := checkFormat(*format, "text"); err != nil {
			return err
		}
		name, err := wire.ParseName(args[0])
		if err != nil {
			return err
		}
		h, err := client.History(cmd.Context(), name)
		if err != nil {
			return err
		}
		out, err := historyOf(name, h)
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(cmd.OutOrStdout(), out)
		}
		return out.write(cmd.OutOrStdout())
	})
	return c
}

func writeJSON(w io.Writer, value any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

// write writes the history for people, a line a change.
func (h *historyJSON) write(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "; %s: revisions %d to %d", h.Name, h.From, h.To)
	if h.From > 1 {
		fmt.Fprintf(out, "; what was before %d etcd has forgotten", h.From)
	}
	fmt.Fprintln(out)
	for _, past := range h.Changes {
		fmt.Fprintf(out, "%d\t%s\t%s\t%s", past.Revision, past.Change, past.Owner, past.Type)
		if past.TTL != nil {
			fmt.Fprintf(out, "\t%d\t%s", *past.TTL, strings.Join(past.Data, ", "))
		}
		if past.Error != "" {
			fmt.Fprintf(out, "\t%s", past.Error)
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}
