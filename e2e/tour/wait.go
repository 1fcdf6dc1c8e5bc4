package main

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// answers asks a server every few milliseconds, until it has the name or the
// deadline has come.
func (t *tour) answers(ctx context.Context, q question, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(q.name), dns.StringToType[q.typ])
	err := stack.Until(ctx, func() bool {
		got, err := dns.ExchangeContext(ctx, query, q.to.Address)
		return err == nil && len(got.Answer) > 0
	})
	if err != nil {
		return fmt.Errorf("%s did not answer %s %s in time", q.to.Name, q.name, q.typ)
	}
	return nil
}
