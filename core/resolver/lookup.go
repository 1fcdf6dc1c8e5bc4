package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/pflag"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
)

// A Found is what `ctl lookup` answers.
type Found struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	From   string   `json:"from"` // policy (and which rule), memory, or upstream
	Rcode  string   `json:"rcode"`
	Why    string   `json:"why,omitempty"` // where there is no answer, the extended error (RFC 8914)
	Answer []string `json:"answer,omitempty"`
	Took   string   `json:"took"`
	View   string   `json:"view,omitempty"` // the clients whose view it is, where that is not everybody's

	Memory *Memory `json:"memory,omitempty"` // what it held when it was asked
	Asked  []Hop   `json:"asked,omitempty"`  // upstream, for the name and the targets of its aliases
}

func (r *Resolver) lookupCommand(ctx context.Context, call *control.Call) error {
	name, typ, err := parseQuestion(call.Args, 2)
	if err != nil {
		return err
	}
	view, err := r.viewOf(call)
	if err != nil {
		return err
	}
	found, err := r.lookup(ctx, name, typ, view)
	if err != nil {
		return err
	}
	return call.Value(found, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s: %s from %s in %s\n", found.Name, found.Type, found.Rcode, found.From, found.Took)
		if found.View != "" {
			fmt.Fprintf(w, "in the view of %s\n", found.View)
		}
		if found.Why != "" {
			fmt.Fprintln(w, found.Why)
		}
		if found.Memory != nil {
			fmt.Fprintln(w, found.Memory)
		}
		for _, h := range found.Asked {
			fmt.Fprintln(w, h)
		}
		for _, rr := range found.Answer {
			fmt.Fprintln(w, rr)
		}
	})
}

// parseQuestion reads a name and a type, A if missing, of at most so many words.
func parseQuestion(args []string, most int) (name []byte, typ uint16, err error) {
	if len(args) == 0 || len(args) > most {
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

func clientFlag(set *pflag.FlagSet) {
	set.String("client", "", "in the view that this `address` has")
}

// viewOf is the view of the client that was named, or everybody's.
func (r *Resolver) viewOf(call *control.Call) (uint32, error) {
	text, _ := call.Flags.GetString("client")
	if text == "" {
		return 0, nil
	}
	client, err := netip.ParseAddr(text)
	if err != nil {
		return 0, fmt.Errorf("--client: %w", err)
	}
	return r.rules.Load().Views.Of(client), nil
}

// lookup resolves a name as for a client with a view whom no rule for clients concerns.
func (r *Resolver) lookup(ctx context.Context, name []byte, typ uint16, view uint32) (Found, error) {
	found := Found{Name: wire.NameString(name), Type: dns.Type(typ).String(), View: r.rules.Load().Views.Name(view)}
	type answer struct {
		reply []byte
		from  source
	}
	answers := make(chan answer, 1)
	q := cache.Question{Name: name, Type: typ, Class: wire.ClassIN, View: view}
	memory, trace := r.remembers(&q), r.traces.begin(typ, view)
	start := time.Now()
	r.ask(name, &q, func(reply []byte, from source) {
		answers <- answer{slices.Clone(reply), from}
	})
	var m dns.Msg
	select {
	case a := <-answers:
		r.traces.end(trace)
		if err := m.Unpack(a.reply); err != nil {
			return found, fmt.Errorf("read our own answer: %w", err)
		}
		found.From = a.from.String()
		if a.from == fromMemory || a.from == fromExpired {
			found.Memory = memory
		}
		if a.from == fromRules {
			if why, err := r.rules.Load().Policy.Explain(found.Name, typ, netip.Addr{}); err == nil && why.Kind != "" {
				found.From = fmt.Sprintf("policy (%s %s)", why.Kind, why.Rule)
			}
		}
	case <-ctx.Done():
		r.traces.end(trace)
		return found, ctx.Err()
	}
	found.Took = time.Since(start).Round(time.Microsecond).String()
	found.Rcode = dns.RcodeToString[m.Rcode]
	if code, ok := extendedError(&m); ok {
		found.Why = fmt.Sprintf("extended error %d: %s", code, dns.ExtendedErrorCodeToString[code])
	}
	found.Asked = trace.along(&m, found.Name)
	for _, rr := range append(m.Answer, m.Ns...) {
		found.Answer = append(found.Answer, rr.String())
	}
	return found, nil
}
