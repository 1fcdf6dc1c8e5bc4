package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
)

// probe implements failover.Probe.
func (k *checks) probe(ctx context.Context, server failover.Server, question failover.Question) error {
	to, err := upstream.ParseServer(server.Address)
	if err != nil {
		return err
	}
	typ, err := resolver.ParseType(question.Type)
	if err != nil {
		return err
	}
	if question.Stream && to.Transport == upstream.UDP { // the others are asked over streams anyway
		to.Transport = upstream.TCP
	}
	m, err := k.ask(ctx, to, question.Name, typ)
	if err != nil {
		return err
	}
	return judge(m, typ, question.Data)
}

func (k *checks) ask(ctx context.Context, to upstream.Server, name string, typ uint16) (*dns.Msg, error) {
	wired, err := wire.ParseName(name)
	if err != nil {
		return nil, err
	}
	a, err := k.engine.Exchange(ctx, to, &upstream.Question{Name: wired, Type: typ, Class: wire.ClassIN, RD: true})
	switch {
	case a.Err != nil: // what was asked the checker says itself
		return nil, a.Err
	case err != nil:
		return nil, err
	}
	m := new(dns.Msg)
	return m, m.Unpack(a.Msg)
}

// judge says whether a check's answer will do. Without data any answer does that
// says what there is, also that there is no such name.
func judge(m *dns.Msg, typ uint16, data string) error {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return errors.New(dns.RcodeToString[m.Rcode])
	}
	if data == "" {
		return nil
	}
	want, err := parseData(typ, data)
	if err != nil {
		return err
	}
	for _, rr := range m.Answer {
		want.Header().Name, want.Header().Class = rr.Header().Name, rr.Header().Class
		if !dns.IsDuplicate(want, rr) {
			continue
		}
		if rr.Header().Ttl > 0 {
			return failover.ErrCacheable
		}
		return nil
	}
	return fmt.Errorf("%w: %d records, none is %s", failover.ErrWrong, len(m.Answer), data)
}
