package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// A question is one use of `nodecache lookup`.
type question struct {
	name, typ string // typ "-x": the PTR of an address
	to        *stack.Server
}

// arguments are those of lookup.
func (q question) arguments() []string {
	if q.typ == "-x" {
		return []string{"lookup", "-x", q.name, "--server", q.to.Address}
	}
	return []string{"lookup", q.name, q.typ, "--server", q.to.Address}
}

// A reply is what `nodecache lookup` printed.
type reply struct {
	rcode     string
	answer    []string // records, spaces between their fields
	authority []string
	took      string // of the exchange
	way       string // who had to do with it
}

// ask runs the command, and sees who answered.
func (t *tour) ask(ctx context.Context, q question) (reply, error) {
	before, err := t.stack.Sample(ctx)
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := t.stack.Run(ctx, "nodecache", q.arguments()...)
	if err != nil {
		return reply{}, err
	}
	after, err := t.stack.Sample(ctx)
	if err != nil {
		return reply{}, err
	}
	r, err := parseReply(out)
	r.way = t.stack.Trace(before, after)
	return r, err
}

// parseReply reads the command's output.
func parseReply(out string) (r reply, err error) {
	var section *[]string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, ";; status: "):
			r.rcode, _, _ = strings.Cut(strings.TrimPrefix(line, ";; status: "), ",")
		case line == ";; answer":
			section = &r.answer
		case line == ";; authority":
			section = &r.authority
		case strings.HasPrefix(line, ";; server: "):
			_, r.took, _ = strings.Cut(line, "time: ")
			r.took, _, _ = strings.Cut(r.took, ",")
		case line == "" || strings.HasPrefix(line, ";"):
			section = nil
		case section != nil:
			*section = append(*section, strings.Join(strings.Fields(line), " "))
		}
	}
	if r.rcode == "" || r.took == "" {
		return r, fmt.Errorf("lookup printed what the tour cannot read:\n%s", out)
	}
	return r, nil
}

// A want is what a reply must be.
type want struct {
	rcode     string   // NOERROR where empty
	answer    []string // each must be the end of a record; none: no answer at all
	authority string   // a type that must be there, with no other; "": any
	way       []string // one of these must be how it went; none: any
}

// wrong says in which way a reply is not what was wanted, "" if it is.
func (w want) wrong(r reply) string {
	rcode := w.rcode
	if rcode == "" {
		rcode = "NOERROR"
	}
	switch {
	case r.rcode != rcode:
		return fmt.Sprintf("expected %s, got %s", rcode, r.rcode)
	case len(w.answer) == 0 && len(r.answer) > 0:
		return "expected no records in the answer"
	case w.authority != "" && (len(r.authority) != 1 || !strings.Contains(r.authority[0], " IN "+w.authority+" ")):
		return fmt.Sprintf("expected one %s record beside the answer, got %q", w.authority, r.authority)
	}
	for _, end := range w.answer {
		if !hasEnd(r.answer, end) {
			return fmt.Sprintf("expected a record ending in %q", end)
		}
	}
	for _, way := range w.way {
		if r.way == way {
			return ""
		}
	}
	if len(w.way) > 0 {
		return fmt.Sprintf("expected it to go %q, it went %q", w.way, r.way)
	}
	return ""
}

func hasEnd(records []string, end string) bool {
	for _, r := range records {
		if strings.HasSuffix(r, end) {
			return true
		}
	}
	return false
}
