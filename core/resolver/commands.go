package resolver

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/control"
)

// Commands are what `ctl` can do with policy and cache.
func (r *Resolver) Commands() []control.Command {
	return []control.Command{
		{Name: "flush", Args: "NAME [TYPE] | --under ZONE | --type TYPE | --all", Help: "forget answers", Flags: flushFlags, Run: r.flushCommand},
		{Name: "dump", Args: "[--under ZONE]", Help: "write the answers in memory, at and below a name or all", Flags: underFlag, Run: r.dumpCommand},
		{Name: "lookup", Args: "NAME [TYPE] [--client ADDRESS]", Help: "resolve a name and say where the answer came from", Flags: clientFlag, Run: r.lookupCommand},
		{Name: "top", Args: "[names|clients|junk|missing|suffixes] [N]", Help: "who and what is asked for most, in the last one to two minutes", Run: r.topCommand},
		{Name: "policy explain", Args: "NAME [TYPE [CLIENT]]", Help: "say which rule decides about a question, and why", Run: r.explainCommand},
	}
}

// ParseType reads the name of a type.
func ParseType(s string) (uint16, error) {
	if typ, ok := dns.StringToType[strings.ToUpper(s)]; ok {
		return typ, nil
	}
	digits, ok := strings.CutPrefix(strings.ToUpper(s), "TYPE")
	typ, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil {
		return 0, fmt.Errorf("unknown type %q; a name such as AAAA, or TYPE65280 (RFC 3597 §5)", s)
	}
	return uint16(typ), nil
}

func (r *Resolver) explainCommand(_ context.Context, call *control.Call) error {
	name, typ, err := parseQuestion(call.Args, 3)
	if err != nil {
		return err
	}
	var client netip.Addr
	if len(call.Args) == 3 {
		if client, err = netip.ParseAddr(call.Args[2]); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	why, err := r.explain(name, typ, client)
	if err != nil {
		return err
	}
	return call.Value(why, func(w io.Writer) { fmt.Fprintln(w, why) })
}

// Status is the section of /status about policy and cache.
func (r *Resolver) Status() any {
	type ruleStatus struct {
		Kind string `json:"kind"`
		Rule string `json:"rule"`
		Path string `json:"path"`
		N    uint64 `json:"decided"`
	}
	var rules []ruleStatus
	for c := range r.rules.Load().Policy.Counts() {
		rules = append(rules, ruleStatus{c.Kind.String(), c.Name, c.Path, c.N})
	}
	slices.SortStableFunc(rules, func(a, b ruleStatus) int { return cmp.Compare(b.N, a.N) })
	return struct {
		Cache cache.Figures `json:"cache"`
		Rules []ruleStatus  `json:"rules,omitempty"`
	}{r.cache.Stats(), rules[:min(len(rules), 50)]}
}
