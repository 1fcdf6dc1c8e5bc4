package main

import (
	"context"
	"fmt"
	"time"
)

// The loads of the table nodecache-rules.
const (
	ruledHits = "all hits, all rules on"
	halfLoad  = "hits at half load, all rules on"
)

// ruled are the contenders of the table nodecache-rules: ours with all rules,
// unbound without any.
var ruled = []Contender{
	{Name: "Strata", Ours: true, Program: "nodecache", Version: []string{"version"},
		Files: map[string]string{"nodecache-rules.yaml": "nodecache.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/nodecache.yaml"}},
	{Name: "unbound", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
}

// Rules are what the templates write down as each contender's policy.
type Rules struct {
	Blocked []string // suffixes without AAAA
	Search  []string // domains of search lists
	Junk    []string // zones that only search lists make: a top label below a search domain
}

// blocked is how many suffixes are without AAAA.
const blocked = 1000

// newRules makes the rules. They are about the very zone whose names are hit, so
// that a look-up has to go as deep as it can.
func newRules() *Rules {
	r := &Rules{Blocked: []string{"cluster.local", "pod." + origin}}
	for _, site := range sites {
		r.Blocked = append(r.Blocked, site+"."+origin)
	}
	for i := len(r.Blocked); i < blocked; i++ {
		under := origin
		if i%2 == 1 {
			under = "example.net"
		}
		r.Blocked = append(r.Blocked, fmt.Sprintf("%s-%03d.%s", services[i%len(services)], i, under))
	}
	for _, domain := range []string{"prd.", "stg.", "tst.", ""} {
		r.Search = append(r.Search, domain+origin)
	}
	r.Search = append(r.Search, "default.svc.cluster.local", "svc.cluster.local", "cluster.local")
	for _, search := range r.Search {
		for _, top := range []string{"com", "net", "org", "io", "example"} {
			r.Junk = append(r.Junk, top+"."+search)
		}
	}
	return r
}

// nodecacheRules measures hits with rules: as fast as they come, and then how
// long they take at half the rate that the slower contender reached.
func nodecacheRules(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, ruled, command)
	if err != nil {
		return nil, err
	}
	w, err := newWarmth(set)
	if err != nil {
		return nil, err
	}
	defer w.close()
	load := w.load()
	seat := Seat{Origin: origin, Upstream: w.upstream.Port, Rules: newRules()}
	if err := t.hits(ctx, w, seat, ruledHits); err != nil {
		return t.run, err
	}
	rate := t.run.slowest(ruledHits) / 2
	t.run.Settings = append(set.sentences(), w.sentences()...)
	t.run.Settings = append(t.run.Settings,
		fmt.Sprintf("Ours has all rules on: %d suffixes without AAAA, %d search domains, static, refused and transparent zones, data, made-up names and clients that may not ask. unbound has none.", blocked, len(seat.Rules.Search)),
		fmt.Sprintf("Half load is %d queries/s for both, half of the lower of the two medians above, %d s a round, from an open-loop client of the bench's own on CPU %d (asking.go), because the printing of single latencies at that rate is more work for dnsperf than asking. Latency is from the sending of a query to the reading of its answer; one without an answer counts as having waited a second.", rate, halfSeconds(set), set.LoadCPU))
	t.run.Commands = set.commands(load, set.latencyLoad(load))
	if rate == 0 {
		return t.run, nil // nobody got that far; the entries say why
	}
	asked, err := questions(w.names)
	if err != nil {
		return nil, err
	}
	asking := Asking{Questions: asked, Count: rate * halfSeconds(set), Rate: rate, Patience: time.Second}
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if err := w.warm(ctx, s); err != nil {
			return err
		}
		sample, err := set.ask(s, asking)
		if err != nil {
			return err
		}
		t.add(sample, halfLoad, c, round)
		return w.untouched(sample)
	})
	return t.run, err
}

// halfSeconds is longer than other measurements: a thousandth of the queries is
// what counts.
func halfSeconds(set Setting) int { return 2 * set.Seconds }

// slowest is the smallest of the contenders' median rates, in queries a second.
func (r *Run) slowest(load string) int {
	slowest := 0
	for _, e := range r.Entries {
		if v, ok := r.median(load, e.Name, queryRate); ok && (slowest == 0 || int(v) < slowest) {
			slowest = int(v)
		}
	}
	return slowest
}
