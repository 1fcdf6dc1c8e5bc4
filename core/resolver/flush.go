package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
)

var errFlush = errors.New("flush what? `flush NAME [TYPE]`, `flush --under ZONE`, `flush --type TYPE` or `flush --all`")

func underFlag(set *pflag.FlagSet) { set.String("under", "", "at and below this name") }

func flushFlags(set *pflag.FlagSet) {
	underFlag(set)
	set.String("type", "", "of this type only")
	set.Bool("all", false, "everything")
}

func (r *Resolver) flushCommand(_ context.Context, call *control.Call) error {
	under, _ := call.Flags.GetString("under")
	typ, _ := call.Flags.GetString("type")
	all, _ := call.Flags.GetBool("all")
	m, err := parseMatch(call.Args, under, typ, all)
	if err != nil {
		return err
	}
	n := r.cache.Flush(m)
	return call.Value(map[string]int{"flushed": n}, func(w io.Writer) { fmt.Fprintf(w, "flushed %d answers\n", n) })
}

// parseMatch reads what to flush: by flags, which may be combined, or in words:
// "under ZONE", "type TYPE", "all", or a name and a type.
func parseMatch(words []string, under, typ string, all bool) (m cache.Match, err error) {
	flags := under != "" || typ != "" || all
	switch {
	case len(words) > 2, len(words) == 0 && !flags, all && (len(words) > 0 || under != "" || typ != ""):
		return m, errFlush
	case len(words) == 0:
	case flags && (len(words) == 2 || under != ""):
		return m, errFlush
	case words[0] == "all" && len(words) == 1 && !flags:
		return m, nil
	case words[0] == "under" && len(words) == 2:
		under = words[1]
	case words[0] == "type" && len(words) == 2:
		typ = words[1]
	default:
		if m.Name, err = wire.ParseName(words[0]); err != nil {
			return m, err
		}
		if len(words) == 2 {
			typ = words[1]
		}
	}
	if under != "" {
		if m.Under, err = wire.ParseName(under); err != nil {
			return m, err
		}
	}
	if typ != "" {
		m.Type, err = ParseType(typ)
	}
	return m, err
}
