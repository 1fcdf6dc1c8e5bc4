package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// restarted is the load of the table nodecache-away.
const restarted = "warm names, the only upstream away for 5 s"

const (
	awayNames    = 1000
	awayRate     = 2000            // queries a second
	awayTTL      = 2               // seconds: all names run out while the upstream is away
	awayFrom     = 2 * time.Second // after the first query
	awayFor      = 5 * time.Second
	awayAfter    = 3 * time.Second // measured once it is back
	awayPatience = 5 * time.Second // of a client: what glibc waits before it asks again
)

// left are the contenders of the table nodecache-away.
var left = []Contender{
	caches[0],
	{Name: "unbound", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-many.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
	{Name: "unbound serving expired", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-expired.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
	{Name: "unbound by RFC 8767", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-rfc8767.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
	{Name: "CoreDNS serving stale", Package: coredns, Program: "coredns", Version: []string{"-version"},
		Files: map[string]string{"Corefile.stale": "Corefile"},
		Args:  []string{"-quiet", "-conf", "{{.Dir}}/Corefile"}},
}

// nodecacheAway measures what clients see while the only upstream restarts.
func nodecacheAway(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, left, command)
	if err != nil {
		return nil, err
	}
	up, err := newUpstream(time.Millisecond, awayTTL)
	if err != nil {
		return nil, err
	}
	defer up.close()
	names := hostNames(0, awayNames)
	list, err := questions(names)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(8767, 8914))
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	file := filepath.Join(set.Work, "away")
	if err := writeEach(file, awayNames); err != nil {
		return nil, err
	}
	t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("%d warm names with a TTL of %d s, asked for in turn at %d queries/s. The upstream, the bench's own (upstream.go), is closed after %v and open again %v later; %v more are measured. While it is closed its port is unreachable, as that of a program that restarts.", awayNames, awayTTL, awayRate, awayFrom, awayFor, awayAfter),
		fmt.Sprintf("Failed is every answer that is not the name's address, unanswered what has none after %v, which counts as so long a wait. Nothing is asked again.", awayPatience))
	err = t.rounds(ctx, Seat{Origin: origin, Upstream: up.Port}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		halt := up.serve()
		err := s.answers(ctx, names[0])
		if err == nil {
			err = set.check(ctx, s, file, awayNames, 0)
		}
		halt()
		if err != nil {
			return err
		}
		a := absence{up: up}
		sample, err := set.ask(s, Asking{Questions: list, Count: awayRate * int((awayFrom+awayFor+awayAfter)/time.Second), Rate: awayRate,
			Patience: awayPatience, Beside: a.step})
		if err == nil {
			err = a.err
		}
		if err != nil {
			return err
		}
		t.add(sample, restarted, c, round)
		return nil
	})
	return t.run, err
}

// An absence takes the upstream away for its time.
type absence struct {
	up         *Upstream
	gone, back bool
	err        error
}

func (a *absence) step(now time.Time, since time.Duration) {
	switch {
	case !a.gone && since >= awayFrom:
		a.up.close()
		a.gone = true
	case a.gone && !a.back && since >= awayFrom+awayFor:
		a.err = a.up.open()
		a.back = true
	}
	a.up.step(now)
}
