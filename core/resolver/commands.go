package resolver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
)

// Commands are what `ctl` can do with policy and cache.
func (r *Resolver) Commands() []control.Command {
	return []control.Command{
		{Name: "flush", Args: "NAME [TYPE] | under ZONE | type TYPE | all", Help: "forget answers", Run: r.flushCommand},
		{Name: "dump", Args: "[UNDER]", Help: "write the answers in memory, at and below a name or all", Run: r.dumpCommand},
		{Name: "lookup", Args: "NAME [TYPE]", Help: "resolve a name and say where the answer came from", Run: r.lookupCommand},
		{Name: "policy explain", Args: "NAME [TYPE [CLIENT]]", Help: "say which rule decides about a question, and why", Run: r.explainCommand},
	}
}

var errFlush = errors.New("flush what? `flush NAME [TYPE]`, `flush under ZONE`, `flush type TYPE` or `flush all`")

func (r *Resolver) flushCommand(_ context.Context, call *control.Call) error {
	m, err := parseMatch(call.Args)
	if err != nil {
		return err
	}
	n := r.cache.Flush(m)
	return call.Value(map[string]int{"flushed": n}, func(w io.Writer) { fmt.Fprintf(w, "flushed %d answers\n", n) })
}

// parseMatch reads what to flush. Options may also be spelled with dashes.
func parseMatch(args []string) (m cache.Match, err error) {
	if len(args) == 0 || len(args) > 2 {
		return m, errFlush
	}
	word := strings.TrimLeft(args[0], "-")
	switch {
	case word == "all" && len(args) == 1:
		return m, nil
	case word == "under" && len(args) == 2:
		m.Under, err = wire.ParseName(args[1])
	case word == "type" && len(args) == 2:
		m.Type, err = ParseType(args[1])
	default:
		if m.Name, err = wire.ParseName(args[0]); err == nil && len(args) == 2 {
			m.Type, err = ParseType(args[1])
		}
	}
	return m, err
}

// ParseType reads the name of a type.
func ParseType(s string) (uint16, error) {
	if typ, ok := dns.StringToType[strings.ToUpper(s)]; ok {
		return typ, nil
	}
	var typ uint16
	if _, err := fmt.Sscanf(strings.ToUpper(s), "TYPE%d", &typ); err != nil {
		return 0, fmt.Errorf("unknown type %q; a name such as AAAA, or TYPE65280 (RFC 3597 §5)", s)
	}
	return typ, nil
}

func (r *Resolver) dumpCommand(_ context.Context, call *control.Call) error {
	under, err := wire.ParseName(strings.Join(call.Args, " "))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(call)
	for item := range r.cache.Dump() {
		if !wire.IsSubdomain(item.Name, under) {
			continue
		}
		fmt.Fprintf(out, "; %s %s %s, TTL %s, stored %s ago, %d octets", wire.NameString(item.Name), dns.Type(item.Type),
			dns.RcodeToString[item.Rcode], item.TTL.Round(time.Second), item.Stored.Round(time.Second), item.Bytes)
		if item.Failure {
			fmt.Fprint(out, ", a failure")
		}
		fmt.Fprintln(out)
		var m dns.Msg
		if err := m.Unpack(item.Message); err != nil {
			return fmt.Errorf("read our own entry: %w", err)
		}
		for _, rr := range append(m.Answer, m.Ns...) {
			fmt.Fprintln(out, rr)
		}
	}
	return out.Flush()
}

// A Found is what `ctl lookup` answers.
type Found struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	From   string   `json:"from"` // policy (and which rule), memory, or upstream
	Rcode  string   `json:"rcode"`
	Answer []string `json:"answer,omitempty"`
	Took   string   `json:"took"`
}

func (r *Resolver) lookupCommand(ctx context.Context, call *control.Call) error {
	name, typ, err := parseQuestion(call.Args)
	if err != nil {
		return err
	}
	found, err := r.lookup(ctx, name, typ)
	if err != nil {
		return err
	}
	return call.Value(found, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s: %s from %s in %s\n", found.Name, found.Type, found.Rcode, found.From, found.Took)
		for _, rr := range found.Answer {
			fmt.Fprintln(w, rr)
		}
	})
}

func parseQuestion(args []string) (name []byte, typ uint16, err error) {
	if len(args) == 0 || len(args) > 3 {
		return nil, 0, errors.New("a name and a type: db.prd.example.com A")
	}
	typ = wire.TypeA
	if len(args) > 1 {
		if typ, err = ParseType(args[1]); err != nil {
			return nil, 0, err
		}
	}
	name, err = wire.ParseName(args[0])
	return name, typ, err
}

func (r *Resolver) lookup(ctx context.Context, name []byte, typ uint16) (Found, error) {
	found := Found{Name: wire.NameString(name), Type: dns.Type(typ).String()}
	why, err := r.rules.Load().Policy.Explain(found.Name, typ, netip.Addr{})
	if err != nil {
		return found, err
	}
	before := r.cache.Stats().Misses
	start := time.Now()
	replies := make(chan []byte, 1)
	r.ask(name, &cache.Question{Type: typ, Class: wire.ClassIN}, func(reply []byte) { replies <- slices.Clone(reply) })
	var m dns.Msg
	select {
	case reply := <-replies:
		if err := m.Unpack(reply); err != nil {
			return found, fmt.Errorf("read our own answer: %w", err)
		}
	case <-ctx.Done():
		return found, ctx.Err()
	}
	found.Took = time.Since(start).Round(time.Microsecond).String()
	switch {
	case why.Action == "answer":
		found.From = fmt.Sprintf("policy (%s %s)", why.Kind, why.Rule)
	case r.cache.Stats().Misses == before:
		found.From = "memory"
	default:
		found.From = "upstream"
	}
	found.Rcode = dns.RcodeToString[m.Rcode]
	for _, rr := range append(m.Answer, m.Ns...) {
		found.Answer = append(found.Answer, rr.String())
	}
	return found, nil
}

func (r *Resolver) explainCommand(_ context.Context, call *control.Call) error {
	name, typ, err := parseQuestion(call.Args)
	if err != nil {
		return err
	}
	var client netip.Addr
	if len(call.Args) == 3 {
		if client, err = netip.ParseAddr(call.Args[2]); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	why, err := r.rules.Load().Policy.Explain(wire.NameString(name), typ, client)
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
