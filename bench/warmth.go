package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// A warmth is what makes all questions hits: the names, their files and the
// upstream that gives them once.
type warmth struct {
	set          Setting
	names        []string
	each, random string // dnsperf's files: every name once, and random ones
	upstream     *Upstream
	close        func()
	before       int
}

func newWarmth(set Setting) (*warmth, error) {
	w := &warmth{set: set, names: hostNames(0, cached), each: filepath.Join(set.Work, "each"), random: filepath.Join(set.Work, "hits")}
	if err := writeEach(w.each, cached); err != nil {
		return nil, err
	}
	if err := writeQueries(w.random, cached, queries, false); err != nil {
		return nil, err
	}
	up, err := newUpstream(0, 86400)
	if err != nil {
		return nil, err
	}
	halt := up.serve()
	w.upstream, w.close = up, func() { halt(); up.close() }
	return w, nil
}

// hostNames are count names of the zone from the first on, without the last dot.
func hostNames(first, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = hostName(first+i) + "." + origin
	}
	return names
}

// warm waits for the server and fills its cache.
func (w *warmth) warm(ctx context.Context, s *Server) error {
	if err := s.answers(ctx, w.names[0]); err != nil {
		return err
	}
	if err := w.upstream.warm(ctx, w.set, s, w.each, int64(len(w.names))); err != nil {
		return err
	}
	w.before = w.upstream.total(nil)
	return nil
}

// answers waits until the server gives the upstream's answer for the name.
func (s *Server) answers(ctx context.Context, name string) error {
	_, err := s.readyFor(ctx, name+".", netip.AddrFrom4(given(name)).String(), time.Minute)
	return err
}

// untouched checks that since warm the upstream was left alone and every answer
// was right.
func (w *warmth) untouched(sample Sample) error {
	if asked := w.upstream.total(nil) - w.before; asked > 0 {
		return fmt.Errorf("not all were hits: the upstream was asked %d times", asked)
	}
	if sample.Asked == 0 && sample.RCodes["NOERROR"] != sample.Completed || sample.Failed > 0 {
		return fmt.Errorf("check answers: %v, %d wrong", sample.RCodes, sample.Failed)
	}
	return nil
}

// load is all hits, as fast as they are answered.
func (w *warmth) load() Load {
	return Load{File: w.random, Clients: w.set.Clients, Outstanding: w.set.InFlight, Seconds: w.set.Seconds}
}

// hits measures every contender under w's load, by the name the report gives it.
func (t *table) hits(ctx context.Context, w *warmth, seat Seat, name string) error {
	return t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if err := w.warm(ctx, s); err != nil {
			return err
		}
		sample, err := t.set.measure(ctx, s, w.load())
		if err != nil {
			return err
		}
		if err := t.set.latencies(ctx, s, w.load(), &sample); err != nil {
			return err
		}
		t.add(sample, name, c, round)
		return w.untouched(sample)
	})
}

func (w *warmth) sentences() []string {
	return []string{
		fmt.Sprintf("Behind every cache stands an upstream of the bench's own (upstream.go) on CPU %d, which counts questions: none may come while hits are measured.", w.set.LoadCPU),
		fmt.Sprintf("Each of %d names (TTL one day) is asked for until a pass over all asks the upstream nothing. Then %d questions for random ones, asked over and over.", cached, queries),
	}
}
