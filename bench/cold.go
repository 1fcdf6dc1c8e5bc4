package main

import (
	"context"
	"fmt"
	"time"
)

// The loads of the table nodecache-cold.
const (
	storm  = "10,000 new names at once"
	steady = "10,000 new names in one second"
)

const (
	unknown       = 10_000                // names of a storm
	together      = 3                     // clients that ask each of them
	stormDelay    = 20 * time.Millisecond // of the upstream
	stormPatience = 5 * time.Second       // how long a client waits
)

// stormed are the contenders of the table nodecache-cold.
var stormed = []Contender{
	caches[0],
	{Name: "unbound", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-many.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
	{Name: "CoreDNS cache", Package: coredns, Program: "coredns", Version: []string{"-version"},
		Files: map[string]string{"Corefile.cold": "Corefile"},
		Args:  []string{"-quiet", "-conf", "{{.Dir}}/Corefile"}},
}

// nodecacheCold measures names that no cache knows, each asked by several clients
// within microseconds. Client and upstream share a thread and its clock.
func nodecacheCold(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, stormed, command)
	if err != nil {
		return nil, err
	}
	up, err := newUpstream(stormDelay, 86400)
	if err != nil {
		return nil, err
	}
	defer up.close()
	t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("%d names that the server was never asked for; each by %d clients (sockets), one right after the other. Latency is from the sending of a query to the reading of its answer; who has none after %v is unanswered, and counts as having waited so long.", unknown, together, stormPatience),
		fmt.Sprintf("The upstream is the bench's own (upstream.go): it answers %v after a question has come and counts. Client and upstream are one thread on CPU %d, so neither waits for the other's time slice. The p99 of its own delays is what the server's p99 is held against.", stormDelay, set.LoadCPU),
		"At once: one query after another as fast as the client can send them. Most asked upstream: how often the upstream was asked the question that it was asked most often.",
		"unbound and CoreDNS are allowed as many queries under way as the storm has, and unbound a large receive buffer; CoreDNS has no setting for that.")
	err = t.rounds(ctx, Seat{Origin: origin, Upstream: up.Port}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		halt := up.serve()
		err := s.answers(ctx, hostName(0)+"."+origin)
		halt()
		if err != nil {
			return err
		}
		for i, load := range []struct {
			name string
			rate int
		}{{storm, 0}, {steady, unknown * together}} {
			sample, err := set.storm(s, up, hostNames((i+1)*firstMissing/10, unknown), load.rate)
			if err != nil {
				return err
			}
			t.add(sample, load.name, c, round)
		}
		return nil
	})
	return t.run, err
}

// storm asks for the names, each several times, at the rate.
func (set Setting) storm(s *Server, up *Upstream, names []string, rate int) (Sample, error) {
	list, err := questions(repeated(names, together))
	if err != nil {
		return Sample{}, err
	}
	up.forget()
	sample, err := set.ask(s, Asking{Questions: list, Count: len(list), Rate: rate, Sockets: together, Patience: stormPatience,
		Beside: func(now time.Time, _ time.Duration) { up.step(now) }})
	n := int64(up.most(each(names)))
	sample.UpstreamP99, sample.Repeats = up.p99(), &n
	return sample, err
}

// repeated is the list with every name several times in a row.
func repeated(names []string, times int) []string {
	list := make([]string, 0, len(names)*times)
	for _, name := range names {
		for range times {
			list = append(list, name)
		}
	}
	return list
}
