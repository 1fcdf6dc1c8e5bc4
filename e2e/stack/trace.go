package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Sample is what all servers had counted at one moment. Those that do not run
// are left out.
type Sample map[*Server]Counters

// Sample asks every running server, until nothing moves any more: a question that
// was sent to two servers may reach the second after its asker has the answer.
// An error is that somebody goes on asking for half a minute, or a server that
// cannot be asked.
func (s *Stack) Sample(ctx context.Context) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var last Sample
	var failed error
	err := Until(ctx, func() bool {
		sample, err := s.sample(ctx)
		still := last != nil && s.Trace(last, sample) == nobody
		last, failed = sample, err
		return still || err != nil
	})
	return last, errors.Join(err, failed)
}

func (s *Stack) sample(ctx context.Context) (Sample, error) {
	sample := Sample{}
	for _, server := range s.Servers() {
		if !server.Running() {
			continue
		}
		c, err := server.Counters(ctx)
		if err != nil {
			return nil, err
		}
		sample[server] = c
	}
	return sample, nil
}

// nobody is the way of no question.
const nobody = "nobody"

// Trace tells who had to do with the questions between two samples, in the order
// they met them, from the counters that moved: "nodecache ► recursor dc1 (cache)".
// It is exact where nobody else asked in between; the recursors' checks of
// external resolvers do not count. The world is not named.
func (s *Stack) Trace(before, after Sample) string {
	var way []string
	for _, kind := range []Kind{Nodecache, Recursor, Authoritative, External} {
		var side []string
		for _, server := range s.Servers() {
			if server.Kind != kind || after[server] == nil {
				continue
			}
			if moved := after[server].Since(before[server]); asked(moved) {
				side = append(side, server.Name+server.Kind.how(moved))
			}
		}
		if len(side) > 0 {
			way = append(way, strings.Join(side, " and "))
		}
	}
	if len(way) == 0 {
		return nobody
	}
	return strings.Join(way, " ► ")
}

// asked tells whether a client's question was among what was counted.
func asked(moved Counters) bool {
	return moved.Sum("strata_answers_total") > 0 || moved.Sum(questionsCounter) > 0
}

// how says in brackets what a server did that others need not have been asked for.
func (k Kind) how(moved Counters) string {
	if k != Nodecache && k != Recursor {
		return ""
	}
	var did []string
	for key := range moved {
		kind, ok := strings.CutPrefix(key, `strata_policy_decided_total{kind="`)
		if kind = strings.TrimSuffix(kind, `"}`); ok && kind != "transparent" { // which lets pass
			did = append(did, "rule: "+kind)
		}
	}
	slices.Sort(did)
	if moved.Sum("strata_answers_total", `outcome="hit"`) > 0 {
		did = append(did, "cache")
	}
	if moved.Sum("strata_answers_total", `outcome="stale"`)+moved.Sum("strata_cache_late_total", `what="stale"`) > 0 {
		did = append(did, "stale")
	}
	if moved.Sum("strata_answers_total", `outcome="failure"`)+moved.Sum("strata_cache_late_total", `what="servfail"`) > 0 {
		did = append(did, "failed")
	}
	if len(did) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", strings.Join(did, ", "))
}
