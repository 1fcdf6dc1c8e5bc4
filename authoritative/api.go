package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/wire"
)

// API is the section api of a config: records over HTTP, on the admin address.
type API struct {
	Tokens []Token `mapstructure:"tokens"` // none: the API is off
	TLS    APITLS  `mapstructure:"tls"`    // set: the admin address speaks HTTPS, all of it
}

// APITLS names PEM files.
type APITLS struct {
	Cert string `mapstructure:"cert"` // the certificate, then those that lead to its root
	Key  string `mapstructure:"key"`
}

func (t APITLS) files() listen.TLS { return listen.TLS{Cert: t.Cert, Key: t.Key} }

// A Token lets its bearer read and write.
type Token struct {
	Name  string   `mapstructure:"name"`  // for people: in the log and in metrics
	File  string   `mapstructure:"file"`  // the secret is all that is in it, white space around it aside
	Owner string   `mapstructure:"owner"` // whose records it writes
	Zones []string `mapstructure:"zones"` // in which zones it reads and writes; none: all that come from etcd
}

// minToken is the length of a secret in octets: 128 bits in hexadecimal are 32,
// in base64 22.
const minToken = 20

func (a *API) validate(report *config.Report, c *Config) {
	if (a.TLS.Cert == "") != (a.TLS.Key == "") {
		report.Add("tls", "cert and key go together")
	}
	if len(a.Tokens) == 0 {
		return
	}
	if c.Admin == "" {
		report.Add("tokens", "the API is on the admin address, and admin is off")
	}
	if !c.usesEtcd() {
		report.Add("tokens", "no zone has source etcd, so there is nowhere to keep records")
	}
	seen := map[string]bool{}
	for i, t := range a.Tokens {
		report.Under("tokens["+strconv.Itoa(i)+"]", func(part *config.Report) {
			if seen[t.Name] {
				part.Add("name", "%q stands twice", t.Name)
			}
			seen[t.Name] = true
			t.validate(part, c)
		})
	}
}

func (t *Token) validate(report *config.Report, c *Config) {
	if t.Name == "" {
		report.Add("name", "missing; what this token is called in the log, such as deploy")
	}
	if t.File == "" {
		report.Add("file", "missing; the path of the file with the secret")
	}
	if t.Owner == "" || len(t.Owner) > store.MaxOwner {
		report.Add("owner", "found %d octets, expected 1 to %d: whose records this token writes, such as team-a", len(t.Owner), store.MaxOwner)
	} else if err := c.mayOwn(t.Owner); err != nil {
		report.Add("owner", "%v", err)
	}
	for i, zone := range t.Zones {
		name, err := wire.ParseName(zone)
		if err == nil {
			_, err = c.etcdZone(name)
		}
		if err != nil {
			report.Add("zones["+strconv.Itoa(i)+"]", "%v", err)
		}
	}
}

// mayOwn refuses owners whose records are none that are written here.
func (c *Config) mayOwn(owner string) error {
	if owner == store.SkyDNSOwner && len(c.Etcd.SkyDNS) > 0 {
		return fmt.Errorf("owner %s is that of the records below etcd.skydns, which are only read", owner)
	}
	return nil
}

// A bearer is a token as it is asked for.
type bearer struct {
	Token
	sum   [sha256.Size]byte // of the secret
	zones [][]byte          // wire form
}

var errShortToken = fmt.Errorf("a token has at least %d octets, such as 32 of `openssl rand -hex 16`", minToken)

// readTokens reads the files of all tokens.
func readTokens(tokens []Token) ([]bearer, error) {
	bearers := make([]bearer, 0, len(tokens))
	for i := range tokens {
		b, err := tokens[i].read(bearers)
		if err != nil {
			return nil, fmt.Errorf("api.tokens[%d].file: %w", i, err)
		}
		bearers = append(bearers, b)
	}
	return bearers, nil
}

// read reads a token's file, whose secret must be none of others.
func (t *Token) read(others []bearer) (bearer, error) {
	text, err := os.ReadFile(t.File)
	if err != nil {
		return bearer{}, err
	}
	secret := strings.TrimSpace(string(text))
	if len(secret) < minToken || strings.ContainsAny(secret, " \t\r\n") {
		return bearer{}, fmt.Errorf("%s: %w, in one line", t.File, errShortToken)
	}
	b := bearer{Token: *t, sum: sha256.Sum256([]byte(secret))}
	for _, other := range others {
		if other.sum == b.sum {
			return bearer{}, fmt.Errorf("%s holds the same secret as that of %s", t.File, other.Name)
		}
	}
	for _, zone := range t.Zones {
		name, err := wire.ParseName(zone)
		if err != nil {
			return bearer{}, fmt.Errorf("zones: %w", err)
		}
		b.zones = append(b.zones, name)
	}
	return b, nil
}

// may tells whether the token's zones hold a name.
func (b *bearer) may(name []byte) bool {
	for _, zone := range b.zones {
		if wire.IsSubdomain(name, zone) {
			return true
		}
	}
	return len(b.zones) == 0
}

// An api answers requests for records. What of the config it needs may be another at
// any time.
type api struct {
	log      *slog.Logger
	client   *store.Client // nil without etcd
	now      atomic.Pointer[apiConfig]
	cert     *listen.Certificate // nil without TLS
	requests *prometheus.CounterVec
}

type apiConfig struct {
	conf    *Config
	bearers []bearer
}

// addAPI puts the API on the admin address, also where it is off: it says so.
func (s *server) addAPI(d *daemon.Daemon, c *Config) error {
	a := &api{log: s.log, client: s.client, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "strata_api_requests_total", Help: "Requests for records over HTTP, by token and status.",
	}, []string{"token", "code"})}
	take, err := a.prepare(c)
	if err != nil {
		return err
	}
	take()
	s.api = a
	d.Registry().MustRegister(a.requests)
	d.Page().Handle(apiPath, a)
	d.Page().Handle(apiPath+"/", a)
	if c.API.TLS.Cert == "" {
		a.warn(c)
		return nil
	}
	if a.cert, err = listen.OpenCertificate(c.API.TLS.files(), s.log); err != nil {
		return fmt.Errorf("api.%w", err)
	}
	tls := a.cert.Config()
	tls.NextProtos = nil // not DNS over TLS
	d.Page().Secure(tls)
	d.Registry().MustRegister(a.cert.Metric())
	d.Add(a.cert)
	return nil
}

// warn says what is not wise.
func (a *api) warn(c *Config) {
	host, _, _ := net.SplitHostPort(c.Admin) // validated
	addr, _ := netip.ParseAddr(host)         // not loopback where it is a name
	if len(c.API.Tokens) > 0 && !addr.IsLoopback() && host != "localhost" {
		a.log.Warn("tokens of the records API go over the network without TLS; set api.tls", "admin", c.Admin)
	}
}

var errTLSRestart = errors.New("api.tls is new to a server that runs without, or gone: restart it")

// prepare reads what a config names, and gives what takes it up.
func (a *api) prepare(c *Config) (take func(), err error) {
	bearers, err := readTokens(c.API.Tokens)
	if err != nil {
		return nil, err
	}
	show := func() {}
	if old := a.now.Load(); old != nil {
		if (c.API.TLS.Cert == "") != (a.cert == nil) {
			return nil, errTLSRestart
		}
		if a.cert != nil {
			if show, err = a.cert.Prepare(c.API.TLS.files()); err != nil {
				return nil, fmt.Errorf("api.%w", err)
			}
		}
	}
	return func() {
		show()
		a.now.Store(&apiConfig{c, bearers})
	}, nil
}

// bearerOf finds whose token a request carries. All tokens are compared, each in the same
// time whatever it holds.
func (n *apiConfig) bearerOf(r *http.Request) *bearer {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	var found *bearer
	for i := range n.bearers {
		if subtle.ConstantTimeCompare(sum[:], n.bearers[i].sum[:]) == 1 {
			found = &n.bearers[i]
		}
	}
	return found
}
