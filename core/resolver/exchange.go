package resolver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/upstream"
)

// ExchangeConfig is the section exchange: how upstream servers are asked.
type ExchangeConfig struct {
	Budget  time.Duration `mapstructure:"budget"`   // a client's whole wait
	CA      string        `mapstructure:"ca"`       // PEM file of who signs certificates of tls:// servers; "": the system's
	MixCase bool          `mapstructure:"mix_case"` // mix the case of names over UDP, and want it back
}

// Budgets that make sense: below, no far server could answer; above, stub resolvers
// (5 s, glibc and musl) have given up.
const (
	leastBudget   = 50 * time.Millisecond
	mostBudget    = 5 * time.Second
	DefaultBudget = 1800 * time.Millisecond // RFC 8767 §5: the client response timer
)

// surrender is how long behind the budget SERVFAIL comes where upstream has not
// said by then why there is no answer.
const surrender = 50 * time.Millisecond

// Validate finds what types alone do not.
func (c *ExchangeConfig) Validate(report *config.Report) {
	if c.Budget < leastBudget || c.Budget > mostBudget {
		report.Add("budget", "%s; from %s to %s, such as 1.8s", c.Budget, leastBudget, mostBudget)
	}
	if _, err := c.roots(); err != nil {
		report.Add("ca", "%v", err)
	}
}

var errNoCertificate = errors.New("no certificate in it; PEM is expected: -----BEGIN CERTIFICATE-----")

// roots reads the certificates that sign those of servers; nil for the system's.
func (c *ExchangeConfig) roots() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificates %s: %w", c.CA, errNoCertificate)
	}
	return pool, nil
}

// Engine starts the engine that asks so; options' fields of the config's are set by it.
func (c *ExchangeConfig) Engine(o upstream.Options) (*upstream.Engine, error) {
	roots, err := c.roots()
	if err != nil {
		return nil, fmt.Errorf("exchange.ca: %w", err)
	}
	o.Budget, o.RootCAs, o.MixCase = c.Budget, roots, c.MixCase
	return upstream.New(o)
}
