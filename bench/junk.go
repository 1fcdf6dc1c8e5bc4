package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// junkMix is the load of the table nodecache-junk.
const junkMix = "30 % junk, 30 % blocked AAAA, 40 % hits"

// junked are the contenders of the table nodecache-junk.
var junked = []Contender{
	ruled[0],
	{Name: "unbound with Python", Package: "unbound python3-unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-python.conf": "unbound.conf", "blocked.py": "blocked.py"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"},
		// Where Debian has unboundmodule.py; another Python in $PATH would lead elsewhere.
		Env: []string{"PYTHONPATH=/usr/lib/python3/dist-packages"}},
	{Name: "unbound with local zones", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-zones.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
}

// Of ten questions three are junk and three AAAA under a blocked suffix.
const (
	junkShare    = queries / 10 * 3
	blockedShare = queries / 10 * 3
)

// nodecacheJunk measures what hosts without IPv6 but with search lists ask.
func nodecacheJunk(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, junked, command)
	if err != nil {
		return nil, err
	}
	w, err := newWarmth(set)
	if err != nil {
		return nil, err
	}
	defer w.close()
	mix := filepath.Join(set.Work, "mix")
	if err := writeMix(mix); err != nil {
		return nil, err
	}
	load := Load{File: mix, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	rules := newRules()
	t.run.Settings = append(append(set.sentences(), w.sentences()[0]),
		fmt.Sprintf("%d questions in random order, asked over and over: 40 %% A of %d warm names, 30 %% AAAA of such names under a blocked suffix, 30 %% junk, which is a whole name with a search domain behind it.", queries, cached),
		fmt.Sprintf("All have the same rules: %d suffixes without AAAA, NODATA with an SOA; junk is NXDOMAIN with an SOA. Both unbounds hold the junk off with %d static local zones. The AAAA are answered by its Python module in one of them (peers/blocked.py: what a script returns is not cached, so it runs for each). The other has no rule for them, as local zones are of names and not types: it asks its upstream for each once, and has NODATA in its cache while it is measured.", blocked, len(rules.Junk)),
		"Before a contender is measured, the whole file is asked twice and each answer's code checked. The upstream counts how many junk or AAAA questions come from the start of the server to the end of its measurement.")
	t.run.Commands = set.commands(load, set.latencyLoad(load))
	seat := Seat{Origin: origin, Upstream: w.upstream.Port, Rules: rules}
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		w.upstream.forget()
		if err := w.warm(ctx, s); err != nil {
			return err
		}
		for range 2 {
			if err := set.check(ctx, s, mix, queries-junkShare, junkShare); err != nil {
				return err
			}
		}
		if err := s.blocks(ctx); err != nil {
			return err
		}
		sample, err := set.measure(ctx, s, load)
		if err != nil {
			return err
		}
		if err := set.latencies(ctx, s, load, &sample); err != nil {
			return err
		}
		n := int64(w.upstream.total(func(q string) bool { return strings.HasSuffix(q, " AAAA") || isJunk(q) }))
		sample.Noise = &n
		t.add(sample, junkMix, c, round)
		return nil
	})
	return t.run, err
}

// writeMix writes the questions. The seed is fixed, as everywhere.
func writeMix(path string) error {
	random := rand.New(rand.NewPCG(2308, 8020))
	lines := make([]string, 0, queries)
	for len(lines) < junkShare {
		lines = append(lines, junkName(random)+" "+[]string{"A", "AAAA"}[random.IntN(2)])
	}
	for len(lines) < junkShare+blockedShare {
		// A name of one label is below none of the blocked suffixes.
		if name := hostName(random.IntN(cached)); strings.Contains(name, ".") {
			lines = append(lines, name+"."+origin+" AAAA")
		}
	}
	for len(lines) < queries {
		lines = append(lines, hostName(random.IntN(cached))+"."+origin+" A")
	}
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return writeFile(path, func(w *bufio.Writer) {
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
	})
}

// junkName is what a resolver with a search list asks for: of equal shares a host
// of ours behind another site's domain, a name of the world behind ours, and what
// ndots:5 makes of one in Kubernetes.
func junkName(random *rand.Rand) string {
	i := random.IntN(cached)
	switch random.IntN(3) {
	case 0:
		return fmt.Sprintf("%s.%s.%s.%s", hostName(i), origin, []string{"stg", "tst"}[i%2], origin)
	case 1:
		return fmt.Sprintf("www.site-%d.%s.prd.%s", i, []string{"com", "net", "org", "io"}[i%4], origin)
	default:
		return fmt.Sprintf("api.vendor-%d.com.%s", i, []string{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"}[i%3])
	}
}

// isJunk reports whether a question asked upstream is one of junkName's.
func isJunk(question string) bool {
	name, _, _ := strings.Cut(question, " ")
	if strings.HasSuffix(name, ".cluster.local.") || strings.Contains(name, ".prd."+origin) {
		return true
	}
	return strings.HasSuffix(name, ".stg."+origin+".") || strings.HasSuffix(name, ".tst."+origin+".")
}

// blocks checks one AAAA and one junk name as a client would: nothing in the
// answer, an SOA that lets it be remembered. dnsperf sees only the code.
func (s *Server) blocks(ctx context.Context) error {
	for _, probe := range []struct {
		name  string
		rcode int
	}{{"checkout-x.default.svc." + sites[0] + "." + origin + ".", dns.RcodeSuccess}, {"www.a.com.prd." + origin + ".", dns.RcodeNameError}} {
		reply, err := s.exchange(ctx, new(dns.Msg).SetQuestion(probe.name, dns.TypeAAAA))
		if err != nil {
			return fmt.Errorf("check rules: %w", err)
		}
		if reply.Rcode != probe.rcode || len(reply.Answer) != 0 {
			return fmt.Errorf("check rules: %s AAAA: want %s and no answer, have %s", probe.name, dns.RcodeToString[probe.rcode], reply)
		}
		if len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA {
			return errors.New("check rules: no SOA in the answer for " + probe.name)
		}
	}
	return nil
}
