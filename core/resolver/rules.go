package resolver

import (
	"errors"
	"net/netip"
	"reflect"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// Rules are what a query is held against: compiled policy and rate limit. They
// are replaced as a whole at a reload.
type Rules struct {
	Policy   *policy.Policy
	Limiter  *policy.Limiter  // nil: no limit
	InFlight *policy.InFlight // nil: no limit
	Cookies  *wire.Cookies    // nil: not checked, and none given
	Views    *Views           // nil: everybody has the same view of the names

	rewrites bool // some rule makes aliases
	rate     policy.Rate
	drawn    bool // the secret of Cookies was, at random
	series   int  // rules of each kind that have metrics of their own
}

// NewRules compiles a policy. Its error is of type [policy.Problems].
func NewRules(c policy.Config, env policy.Env) (Rules, error) {
	r := Rules{rate: c.Rate, series: c.Series(), rewrites: len(c.Data) > 0}
	for _, s := range c.Synth {
		r.rewrites = r.rewrites || s.Kind == "site"
	}
	var err error
	if r.Policy, err = policy.Compile(c, env); err != nil {
		return Rules{}, err
	}
	if r.Limiter, err = policy.NewLimiter(c.Rate); err != nil {
		return Rules{}, err
	}
	r.InFlight, err = policy.NewInFlight(c.Rate)
	return r, err
}

// inherit takes over what the rules that r replaces have counted, and what they
// remember of clients, where that goes by the same rate.
func (r *Rules) inherit(old *Rules) {
	r.Policy.Inherit(old.Policy)
	if reflect.DeepEqual(r.rate, old.rate) {
		r.Limiter, r.InFlight = old.Limiter, old.InFlight
	}
	if r.drawn && old.drawn {
		r.Cookies = old.Cookies
	}
}

// explain says what rules make of a question, and what memory adds to a blocked AAAA.
func (r *Resolver) explain(name []byte, typ uint16, client netip.Addr) (policy.Explanation, error) {
	e, err := r.rules.Load().Policy.Explain(wire.NameString(name), typ, client)
	if err != nil || !e.AskA {
		return e, err
	}
	q := wire.Query{Class: wire.ClassIN, View: r.rules.Load().Views.Of(client)}
	q.SetName(name)
	if rcode, ok := r.cache.Rcode(&q, wire.TypeA, r.cache.Now()); ok && rcode == wire.RcodeNXDomain {
		e.Rcode = "NXDOMAIN"
		e.Why += ", and A is known to be NXDOMAIN"
	}
	return e, nil
}

// Report adds what NewRules found wrong, by key.
func Report(err error, report *config.Report) {
	var problems policy.Problems
	if !errors.As(err, &problems) {
		report.Add("policy", "%v", err)
		return
	}
	for _, p := range problems {
		report.Add(p.Key, "%v", p.Err)
	}
}
