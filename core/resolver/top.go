package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/observe"
)

// topRanks is how many `ctl top` shows of each sort, if it is not told.
const topRanks = 10

var errTop = errors.New("top of what? `top [names|clients|junk|missing|suffixes] [N]`")

func (r *Resolver) topCommand(_ context.Context, call *control.Call) error {
	sorts, n, err := parseTop(call.Args)
	if err != nil {
		return err
	}
	var rankings []observe.Ranking
	for _, s := range sorts {
		ranking, err := r.observer.Top(s, n)
		if err != nil {
			return err
		}
		rankings = append(rankings, ranking)
	}
	return call.Value(rankings, func(w io.Writer) { writeTop(w, rankings) })
}

// parseTop reads what is to be ranked, all sorts if it is not said, and how many.
func parseTop(words []string) (sorts []observe.Sort, n int, err error) {
	sorts, n = observe.Sorts(), topRanks
	if len(words) > 0 {
		if i := slices.IndexFunc(sorts, func(s observe.Sort) bool { return s.String() == words[0] }); i >= 0 {
			sorts, words = sorts[i:i+1], words[1:]
		}
	}
	if len(words) == 1 {
		if n, err = strconv.Atoi(words[0]); err != nil || n < 1 {
			return nil, 0, errTop
		}
		words = nil
	}
	if len(words) > 0 {
		return nil, 0, errTop
	}
	return sorts, n, nil
}

// writeTop writes rankings for people.
func writeTop(w io.Writer, rankings []observe.Ranking) {
	first := rankings[0]
	fmt.Fprintf(w, "about %d queries in %.0fs", first.Queries, first.Seconds)
	if first.Sample > 1 {
		fmt.Fprintf(w, ", from one in %d", first.Sample)
	}
	fmt.Fprintln(w)
	for _, r := range rankings {
		fmt.Fprintf(w, "\n%s\n", r.What)
		if len(r.Ranks) == 0 {
			fmt.Fprintln(w, "  none")
			continue
		}
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, rank := range r.Ranks {
			fmt.Fprintf(table, "%s\t%.1f%%\t  %s\n", bounds(rank), 100*float64(rank.Queries)/float64(max(r.Queries, 1)), rank.Key)
		}
		_ = table.Flush() // w keeps its own first error
	}
}

// bounds are how many queries there were: one number where it is exact.
func bounds(r observe.Rank) string {
	if r.AtLeast == r.Queries {
		return strconv.FormatUint(r.Queries, 10)
	}
	return fmt.Sprintf("%d–%d", r.AtLeast, r.Queries)
}
