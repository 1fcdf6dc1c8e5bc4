package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Certificate is what clients over TLS are shown. Its files are looked at every
// ten seconds and taken up anew when they have changed: who renews certificates
// replaces them in place. It is a daemon's task.
type Certificate struct {
	log   *slog.Logger
	shown atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	files TLS
	tried pair // what was last read, good or bad
}

// A pair is the text of a certificate and of its key, and what they are together.
type pair struct {
	cert, key []byte
	both      *tls.Certificate // nil where they are not right
}

const lookEvery = 10 * time.Second

var (
	errNoCert = errors.New("no certificate in it; PEM is expected: -----BEGIN CERTIFICATE-----")
	errNoKey  = errors.New("no private key in it; PEM is expected: -----BEGIN PRIVATE KEY-----")
)

// OpenCertificate reads the files of a config. The error names the key.
func OpenCertificate(files TLS, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{log: log}
	take, err := c.Prepare(files)
	if err != nil {
		return nil, err
	}
	take()
	return c, nil
}

// Prepare reads the files of a config that is about to be taken up, as at a reload,
// and gives what shows them to clients from then on. Who is connected stays.
func (c *Certificate) Prepare(files TLS) (take func(), err error) {
	key, text, err := files.read()
	if err != nil {
		return nil, fmt.Errorf("tls.%s: %w", key, err)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.files = files
		c.show(text)
	}, nil
}

// show shows a certificate. What is not valid is shown, too: there is no better one.
func (c *Certificate) show(text pair) {
	c.tried = text
	c.shown.Store(text.both)
	leaf := text.both.Leaf
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		c.log.Warn("the certificate for clients is not valid at this time", "file", c.files.Cert, "from", leaf.NotBefore, "until", leaf.NotAfter)
		return
	}
	c.log.Info("certificate for clients", "file", c.files.Cert, "names", names(leaf), "until", leaf.NotAfter)
}

// Config is how clients' handshakes are done.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12, // RFC 8310 §9
		NextProtos:     []string{"dot"},  // RFC 7858, of the IANA registry of ALPN
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.shown.Load(), nil },
	}
}

// Run looks after the files until ctx is done.
func (c *Certificate) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.look()
		}
	}
}

// look takes the files up if they have changed and are whole: between the writing of
// the one and the other they are not.
func (c *Certificate) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, text, err := c.files.read()
	if bytes.Equal(text.cert, c.tried.cert) && bytes.Equal(text.key, c.tried.key) {
		return
	}
	if err != nil {
		c.tried = text
		c.log.Error("the certificate for clients has changed and cannot be used, the old one stays", "error", err)
		return
	}
	c.show(text)
}

// Ready implements daemon.Task.
func (c *Certificate) Ready() bool { return true }

// String implements daemon.Task.
func (c *Certificate) String() string { return "certificate" }

// Reason says on the daemon's page what is shown to clients.
func (c *Certificate) Reason() string {
	leaf := c.shown.Load().Leaf
	return fmt.Sprintf("%s until %s", strings.Join(names(leaf), ", "), leaf.NotAfter.Format(time.DateTime))
}

// names are those that a certificate is for, addresses among them.
func names(leaf *x509.Certificate) []string {
	all := slices.Clone(leaf.DNSNames)
	for _, addr := range leaf.IPAddresses {
		all = append(all, addr.String())
	}
	return all
}

// Metric is when the certificate ends.
func (c *Certificate) Metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "strata_tls_certificate_expiry_seconds", Help: "When the certificate that clients are shown ends, in Unix seconds.",
	}, func() float64 { return float64(c.shown.Load().Leaf.NotAfter.Unix()) })
}

// read reads both files; key is that of the one that is wrong.
func (t *TLS) read() (key string, text pair, err error) {
	for _, f := range []struct {
		key, file, such string
		into            *[]byte
	}{{"cert", t.Cert, "/etc/strata/tls.crt", &text.cert}, {"key", t.Key, "/etc/strata/tls.key", &text.key}} {
		if f.file == "" {
			return f.key, text, fmt.Errorf("missing; the PEM file that tls.listen needs, such as %s", f.such)
		}
		if *f.into, err = os.ReadFile(f.file); err != nil {
			return f.key, text, err
		}
	}
	block, _ := pem.Decode(text.cert)
	if block == nil || block.Type != "CERTIFICATE" {
		return "cert", text, fmt.Errorf("%s: %w", t.Cert, errNoCert)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "cert", text, fmt.Errorf("%s: %w", t.Cert, err)
	}
	if block, _ := pem.Decode(text.key); block == nil {
		return "key", text, fmt.Errorf("%s: %w", t.Key, errNoKey)
	}
	both, err := tls.X509KeyPair(text.cert, text.key)
	if err != nil {
		return "key", text, fmt.Errorf("%s with %s: %w", t.Key, t.Cert, err)
	}
	text.both = &both
	return "", text, nil
}
