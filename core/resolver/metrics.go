package resolver

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

var (
	answersDesc = prometheus.NewDesc("strata_answers_total", "Queries by how they were answered from memory, or that they were not.", []string{"transport", "worker", "outcome"}, nil)
	policyDesc  = prometheus.NewDesc("strata_policy_decided_total", "Queries that rules decided, by sort of rule.", []string{"kind"}, nil)
	ruleDesc    = prometheus.NewDesc("strata_policy_rule_decided_total", "Queries that one rule decided; rule is what it says, or \"others\" for those of its kind beyond policy.rule_metrics.", []string{"kind", "rule"}, nil)
	limitedDesc = prometheus.NewDesc("strata_rate_limited_total", "Queries over their client's limit.", []string{"why"}, nil)
	fetchDesc   = prometheus.NewDesc("strata_cache_fetches_total", "Questions sent upstream: all, those that refreshed an entry ahead of its expiry and had an answer, and how others ended; and askers who joined one.", []string{"what"}, nil)
	cookieDesc  = prometheus.NewDesc("strata_cookies_total", "Queries with EDNS options by the DNS cookie among them.", []string{"transport", "worker", "cookie"}, nil)
	lateDesc    = prometheus.NewDesc("strata_cache_late_total", "Askers who waited, by how that ended other than well.", []string{"what"}, nil)
	storeDesc   = prometheus.NewDesc("strata_cache_entries_total", "Entries by what became of them: stored, rejected as not worth their bytes, evicted for others.", []string{"what"}, nil)
	entriesDesc = prometheus.NewDesc("strata_cache_entries", "Entries held.", nil, nil)
	bytesDesc   = prometheus.NewDesc("strata_cache_bytes", "Octets that entries are charged with.", nil, nil)
	limitDesc   = prometheus.NewDesc("strata_cache_limit_bytes", "Octets that entries may be charged with in all.", nil, nil)
	flightsDesc = prometheus.NewDesc("strata_cache_flights", "Questions in the air.", nil, nil)
	waitingDesc = prometheus.NewDesc("strata_cache_waiting", "Askers waiting.", nil, nil)
)

// Describe implements prometheus.Collector.
func (r *Resolver) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(r, ch) }

// Collect implements prometheus.Collector: the numbers are kept where they arise
// and read when asked for.
func (r *Resolver) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	rules := r.rules.Load()
	cookies := rules.Cookies != nil
	r.eachCount(func(transport, worker string, c *counts) {
		for k := range c.by {
			if n := c.by[k].Load(); n != 0 {
				counter(answersDesc, n, transport, worker, kindName(k))
			}
		}
		if cookies {
			for state := range c.cookies {
				counter(cookieDesc, c.cookies[state].Load(), transport, worker, wire.CookieState(state).String())
			}
		}
	})
	rules.collect(counter)
	if rules.Limiter != nil {
		limited, full := rules.Limiter.Limited()
		counter(limitedDesc, limited-min(full, limited), "rate") // they are not read at one moment
		counter(limitedDesc, full, "table full")
	}
	if rules.InFlight != nil {
		counter(limitedDesc, rules.InFlight.Refused(), "in flight")
	}
	f := r.cache.Stats()
	counter(fetchDesc, f.Fetches, "sent")
	counter(fetchDesc, f.Refreshes, "refresh")
	counter(fetchDesc, f.Refreshed, "refreshed")
	counter(fetchDesc, f.RefreshesDropped, "refresh dropped")
	counter(fetchDesc, f.Joined, "joined")
	counter(fetchDesc, f.UpstreamFailed, "failed")
	counter(fetchDesc, f.UpstreamRefused, "refused")
	counter(lateDesc, f.StaleReplies, "stale")
	counter(lateDesc, f.FailedReplies, "servfail")
	counter(lateDesc, f.OverFlights+f.OverWaiters, "turned away")
	counter(storeDesc, f.Stored, "stored")
	counter(storeDesc, f.Rejected, "rejected")
	counter(storeDesc, f.Evicted, "evicted")
	gauge(entriesDesc, f.Entries)
	gauge(bytesDesc, f.Bytes)
	gauge(limitDesc, f.Limit)
	gauge(flightsDesc, f.Flights)
	gauge(waitingDesc, f.Waiting)
}

// collect gives what the rules decided, by kind and by rule: of each kind the
// first rules of the configuration have a series of their own, so that their
// number is bounded and each stays what it is.
func (r *Rules) collect(counter func(d *prometheus.Desc, v uint64, labels ...string)) {
	type sums struct {
		rules      int
		all, other uint64
	}
	var kinds [policy.Kinds]sums
	for c := range r.Policy.Counts() {
		k := &kinds[c.Kind]
		k.rules++
		k.all += c.N
		if k.rules > r.series {
			k.other += c.N
			continue
		}
		counter(ruleDesc, c.N, c.Kind.String(), c.Name)
	}
	for i, k := range kinds {
		kind := policy.Kind(i)
		if gone := r.Policy.Gone(kind); k.rules > 0 || gone > 0 {
			counter(policyDesc, k.all+gone, kind.String())
		}
		if k.rules > r.series {
			counter(ruleDesc, k.other, kind.String(), "others")
		}
	}
}

// eachCount goes over the workers' counts and the streams'.
func (r *Resolver) eachCount(f func(transport, worker string, c *counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.workers {
		f("udp", strconv.Itoa(i), c)
	}
	f("tcp", "", r.streams)
	f("tls", "", r.secured)
}
