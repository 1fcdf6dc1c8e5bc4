package main

import (
	"cmp"
	"fmt"
)

// A Target is a ratio of Strata's median to a peer's, or for absolute metrics
// the figure itself.
type Target struct {
	Table, Load string
	Metric      Metric
	Against     string // a contender; empty: the best of the peers in this metric
	Factor      float64
	AtMost      bool   // else at least
	Of          string // whose figure it is; "": Strata's
}

// targets are those of the milestones, in their order.
var targets = []Target{
	{tableAuthoritative, existing, cpuPerQuery, "", 0.9, true, ""},
	{tableAuthoritative, existing, queryRate, "", 1.1, false, ""},
	{tableAuthoritative, existing, queryRate, "CoreDNS", 5, false, ""},
	{tableAuthoritative, halfMissing, cpuPerQuery, "", 0.9, true, ""},
	{tableAuthoritative, halfMissing, queryRate, "", 1.1, false, ""},
	{tableAuthoritative, halfMissing, queryRate, "CoreDNS", 5, false, ""},
	{tableNodecache, hits, cpuPerQuery, "unbound", 0.85, true, ""},
	{tableNodecache, hits, cpuPerQuery, "CoreDNS cache", 0.35, true, ""},
	{tableNodecache, hits, queryRate, "unbound", 1.1, false, ""},
	{tableNodecache, hits, queryRate, "CoreDNS cache", 2.5, false, ""},
	{tableNodecache, hits, memory, "unbound", 2, true, ""},
	{tableLookup, answered, perAnswer, smallTable, 4, true, ""},
	{tableLookup, answered, allocations, "", 0, true, ""},
	{tableMemory, loaded, memory, "", 0.5, true, ""},
	{tableMemory, loaded, loadTime, "", 1, true, ""},
	{tableRules, ruledHits, cpuPerQuery, "unbound", 0.85, true, ""},
	{tableRules, halfLoad, p999, "unbound", 1, true, ""},
	{tableJunk, junkMix, cpuPerQuery, "unbound with Python", 0.8, true, ""},
	{tableJunk, junkMix, noise, "", 0, true, ""},
	{tableCold, storm, repeats, "", 1, true, ""},
	{tableCold, storm, slowdown, "", 2, true, ""},
	{tableCold, storm, failed, "", 0, true, ""},
	{tableCold, steady, repeats, "", 1, true, ""},
	{tableCold, steady, slowdown, "", 2, true, ""},
	{tableCold, steady, failed, "", 0, true, ""},
	{tableAway, restarted, failed, "", 0, true, ""},
	{tableRecursorHits, recursorAllHits, cpuPerQuery, "unbound", 0.85, true, ""},
	{tableRecursorHits, recursorAllHits, cpuPerQuery, "PowerDNS Recursor", 0.8, true, ""},
	{tableRecursorHits, recursorAllHits, cpuPerQuery, "dnsdist", 0.8, true, ""},
	{tableRecursorHits, recursorAllHits, queryRate, "", 1, false, ""},
	{tableRecursorMisses, recursorAllMisses, queryRate, "dnsdist without cache", 1, false, ""},
	{tableRecursorMisses, recursorAllMisses, queryRate, "CoreDNS forward", 2, false, ""},
	{tableRecursorMisses, recursorAllMisses, cpuPerQuery, "dnsdist without cache", 0.85, true, ""},
	{tableRecursorDead, whileWait, waiters, "", waitingAll, false, ""},
	{tableRecursorDead, whileWait, ceiling, "", 300, true, ""},
	{tableRecursorDead, whileWait, disturbance, "", 2, true, ""},
	{tableRecursorDead, whileOver, ceiling, "", 300, true, ""},
	{tableMemif, fullSpeed, millions, "", 4, false, ""},
	{tableMemif, fullSpeed, queryRate, memifKnot, 40, false, ""},
	{tableMemif, fullSpeed, millions, "", 2.5, false, memifLarge},
	{tableMemif, fullSpeed, cpuPerQuery, memifHits, 2, true, memifLarge},
	{tableMemif, fullSpeed, queryRate, memifHits, 0.8, false, memifHalf},
	{tableXDP, onVeth, queryRate, xdpKnot, 1.25, false, ""},
	{tableStability, steadily, unsteady, "", 1, true, ""},
	{tableStability, steadily, poll, "", 500, true, ""},
	{tableKubernetes, clusterQueries, queryRate, "CoreDNS kubernetes", 5, false, ""},
	{tableKubernetes, propagation, p99, "CoreDNS kubernetes", 1, true, ""},
	{tableKubernetes, propagation, longest, "CoreDNS kubernetes", 1, true, ""},
	{tableCrowd, loaded, ceiling, "", 600, true, ""},
	{tableEtcdLoad, loadedFromEtcd, loadSeconds, "", 60, true, ""},
	{tableEtcdLoad, loadedFromEtcd, ceiling, "", 500, true, ""},
	{tableEtcdLoad, loadedFromSnapshot, loadSeconds, "", 5, true, ""},
	{tableEtcdLoad, loadedFromSnapshot, ceiling, "", 500, true, ""},
	{tableRecords, addedElsewhere, p99ms, "", 20, true, ""},
	{tablePropagation, patchedOften, p50ms, "", 5, true, ""},
	{tablePropagation, patchedOften, p99ms, "", 20, true, ""},
	{tablePropagation, patchedOften, longestms, "", 60, true, ""},
	{tablePropagation, patchedOften, failed, "", 0, true, ""},
	{tableChanges, whileChanging, queryRate, steadyRow, 0.9, false, ""},
	{tableChanges, whileChanging, p999, steadyRow, 2, true, ""},
	{tableChanges, whileChanging, thousandChanges, "", 50, false, ""},
}

// The tables, by the names --only takes.
const (
	tableAuthoritative  = "authoritative"
	tableNodecache      = "nodecache"
	tableRules          = "nodecache-rules"
	tableJunk           = "nodecache-junk"
	tableCold           = "nodecache-cold"
	tableAway           = "nodecache-away"
	tableRestart        = "nodecache-restart"
	tableRecursorHits   = "recursor-hits"
	tableRecursorMisses = "recursor-misses"
	tableRecursorDead   = "recursor-dead"
	tableMemif          = "dpdk-memif"
	tableOffered        = "dpdk-load"
	tableNames          = "dpdk-names"
	tableQueues         = "dpdk-queues"
	tableXDP            = "dpdk-xdp"
	tableStability      = "dpdk-stability"
	tablePinning        = "pinning"
	tableKubernetes     = "kubernetes"
	tableCrowd          = "kubernetes-memory"
	tablePropagation    = "propagation"
	tableRecords        = "records"
	tableEtcdLoad       = "etcd-load"
	tableChanges        = "changes"
	tableBounded        = "bounded"
	tableLookup         = "lookup"
	tableMemory         = "memory"
)

// atLimit is the share of its CPU above which dnsperf, not the server, is what
// bounds queries per second.
const atLimit = 0.95

const notMeasured = "not measured"

// A Verdict is a target beside what was measured.
type Verdict struct {
	Target
	Peer     string // whom it was held against
	Measured float64
	Reached  string // yes, no, or why neither
}

// text is the target as the report states it.
func (t Target) text() string {
	bound, peer := "at least", t.Against
	if t.AtMost {
		bound = "at most"
	}
	switch {
	case t.Metric.absolute():
		return fmt.Sprintf("%s %g", bound, t.Factor)
	case peer == "":
		peer = "the best peer"
	}
	return fmt.Sprintf("%s %g × %s's", bound, t.Factor, peer)
}

// judge holds the run against the target. run may be nil.
func (t Target) judge(run *Run) Verdict {
	v := Verdict{Target: t, Peer: t.Against, Reached: notMeasured}
	if run == nil {
		return v
	}
	who := cmp.Or(t.Of, run.ours())
	ours, ok := run.judged(t.Load, who, t.Metric)
	if !ok {
		return v
	}
	if t.Metric.absolute() {
		v.Measured, v.Reached = ours, yesNo(ours <= t.Factor == t.AtMost || ours == t.Factor)
		return v
	}
	theirs, ok := 0.0, true
	if t.Against == "" {
		v.Peer, theirs = run.best(t.Load, t.Metric)
		ok = v.Peer != ""
	} else {
		theirs, ok = run.median(t.Load, t.Against, t.Metric)
	}
	if !ok || theirs == 0 {
		return v
	}
	v.Measured = ours / theirs
	switch busy, _ := run.median(t.Load, who, loadBusy); {
	case t.AtMost && v.Measured <= t.Factor, !t.AtMost && v.Measured >= t.Factor:
		v.Reached = "yes"
	case t.Metric == queryRate && busy >= atLimit && !run.flooded(t.Load, who): // flood polls: it is busy always
		v.Reached = "no: dnsperf is the limit, CPU per query decides"
	default:
		v.Reached = "no"
	}
	return v
}

func yesNo(reached bool) string {
	if reached {
		return "yes"
	}
	return "no"
}
