package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/strata-dns/strata/core/daemon/admin"
	"github.com/strata-dns/strata/core/daemon/control"
)

// addCommands registers the commands that every daemon has.
func (d *Daemon) addCommands() {
	d.commands.Add(
		control.Command{Name: "status", Help: "what the daemon says of itself: tasks, config, its parts", Run: d.commandStatus},
		control.Command{Name: "stats", Args: "[WORD]", Help: "the counters, or those with WORD in their name", Run: d.commandStats},
		control.Command{Name: "reload", Help: "take the config up again, as SIGHUP does", Run: d.commandReload},
		control.Command{Name: "handover", Args: "STEP ID", Help: "what a new process says that takes over (serve --takeover)", Run: d.commandHandover},
	)
}

func (d *Daemon) commandStatus(_ context.Context, call *control.Call) error {
	return call.Value(d.Status(), nil)
}

func (d *Daemon) commandReload(ctx context.Context, call *control.Call) error {
	// An operator who gives up waiting must not leave a config half taken up.
	if err := d.Reload(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return call.Value(d.LastReload(), func(w io.Writer) { fmt.Fprintf(w, "reloaded %s\n", d.configFile) })
}

func (d *Daemon) commandStats(_ context.Context, call *control.Call) error {
	figures, err := admin.Figures(d.registry)
	if err != nil {
		return fmt.Errorf("stats: %w", err)
	}
	var word string
	if len(call.Args) > 0 {
		word = call.Args[0]
	}
	kept := make([]admin.Figure, 0, len(figures))
	for _, figure := range figures {
		if strings.Contains(figure.Name+figure.Labels, word) {
			kept = append(kept, figure)
		}
	}
	if len(kept) == 0 && word != "" {
		return errors.New("stats: no counter has " + strconv.Quote(word) + " in its name")
	}
	return call.Value(kept, func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, figure := range kept {
			fmt.Fprintf(table, "%s%s\t%s\n", figure.Name, figure.Labels, figure.Text())
		}
		_ = table.Flush() // w keeps its own first error
	})
}
