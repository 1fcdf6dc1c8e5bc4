package listen

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/strata-dns/strata/core/daemon/config"
)

// write makes a certificate for a name, signed by itself, and writes both files.
func write(t *testing.T, files TLS, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, NotAfter: until}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	must(t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func place(t *testing.T) TLS {
	dir := t.TempDir()
	return TLS{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:853")}, Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
}

// shakeHands gives what a client sees.
func shakeHands(t *testing.T, c *Certificate, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { _ = tls.Server(far, c.Config()).Handshake() }()
	client.InsecureSkipVerify = true
	conn := tls.Client(near, client)
	err := conn.Handshake()
	return conn.ConnectionState(), err
}

func TestCertificate(t *testing.T) {
	files := place(t)
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	write(t, files, "one.example", soon)
	var said bytes.Buffer
	c, err := OpenCertificate(files, slog.New(slog.NewTextHandler(&said, nil)))
	must(t, err)
	shows := func(name string) {
		t.Helper()
		state, err := shakeHands(t, c, &tls.Config{NextProtos: []string{"dot"}})
		if err != nil || state.PeerCertificates[0].DNSNames[0] != name || state.NegotiatedProtocol != "dot" {
			t.Fatalf("%v, %+v, want the certificate of %s", err, state, name)
		}
	}
	shows("one.example")
	if want := "one.example, 192.0.2.1 until "; !strings.HasPrefix(c.Reason(), want) {
		t.Errorf("%q, want %q", c.Reason(), want)
	}
	if n := testutil.ToFloat64(c.Metric()); n != float64(soon.Unix()) {
		t.Errorf("ends at %v, want %d", n, soon.Unix())
	}
	for what, client := range map[string]*tls.Config{
		"TLS 1.1": {MaxVersion: tls.VersionTLS11}, "HTTP": {NextProtos: []string{"h2"}},
	} {
		if _, err := shakeHands(t, c, client); err == nil {
			t.Errorf("%s is served", what)
		}
	}
	if _, err := shakeHands(t, c, &tls.Config{}); err != nil {
		t.Errorf("without ALPN: %v", err)
	}

	// Renewed in place: first the certificate, its key a moment later.
	other := place(t)
	write(t, other, "two.example", soon)
	move := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(to, text, 0o600))
	}
	c.look()
	move(other.Cert, files.Cert)
	c.look()
	c.look()
	shows("one.example")
	if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors, want one:\n%s", n, said.String())
	}
	move(other.Key, files.Key)
	c.look()
	shows("two.example")
	must(t, os.Remove(files.Key))
	c.look()
	shows("two.example")

	// Taken up from other files, once it is certain that they are.
	write(t, files, "three.example", soon)
	take, err := c.Prepare(files)
	must(t, err)
	shows("two.example")
	take()
	shows("three.example")
	if _, err := c.Prepare(TLS{Cert: files.Cert, Key: other.Key}); err == nil || !strings.HasPrefix(err.Error(), "tls.key: ") {
		t.Errorf("another's key: %v", err)
	}
	shows("three.example")
	said.Reset()
	write(t, files, "four.example", time.Now().Add(-time.Hour))
	c.look()
	shows("four.example")
	if !strings.Contains(said.String(), "level=WARN") {
		t.Errorf("of a certificate that has ended it says %q", said.String())
	}
}

func TestTLSProblems(t *testing.T) {
	good, other := place(t), place(t)
	write(t, good, "one.example", time.Now().Add(time.Hour))
	write(t, other, "two.example", time.Now().Add(time.Hour))
	junk := filepath.Join(t.TempDir(), "junk")
	must(t, os.WriteFile(junk, []byte("junk\n"), 0o600))
	broken := filepath.Join(t.TempDir(), "broken")
	must(t, os.WriteFile(broken, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")}), 0o600))
	with := func(change func(c *TLS)) TLS {
		c := good
		change(&c)
		return c
	}
	for _, tt := range []struct {
		config    TLS
		key, text string
	}{
		{good, "", ""},
		{TLS{}, "", ""},
		{TLS{Cert: "/nonexistent"}, "", ""}, // nothing listens
		{with(func(c *TLS) { c.Cert = "" }), "tls.cert", "missing; the PEM file that tls.listen needs"},
		{with(func(c *TLS) { c.Key = "" }), "tls.key", "missing; the PEM file that tls.listen needs"},
		{with(func(c *TLS) { c.Cert = "/nonexistent" }), "tls.cert", "no such file"},
		{with(func(c *TLS) { c.Key = "/nonexistent" }), "tls.key", "no such file"},
		{with(func(c *TLS) { c.Cert = junk }), "tls.cert", junk + ": no certificate in it"},
		{with(func(c *TLS) { c.Cert = broken }), "tls.cert", broken + ": x509: malformed certificate"},
		{with(func(c *TLS) { c.Cert, c.Key = c.Key, c.Cert }), "tls.cert", "no certificate in it"},
		{with(func(c *TLS) { c.Key = junk }), "tls.key", junk + ": no private key in it"},
		{with(func(c *TLS) { c.Key = other.Key }), "tls.key", "private key does not match public key"},
		{with(func(c *TLS) { c.Listen = append(c.Listen, c.Listen[0]) }), "tls.listen[1]", "stands in the list twice"},
		{with(func(c *TLS) { c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")} }), "tls.listen[0]", "TLS needs a port of its own"},
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		var addresses []string
		for _, a := range tt.config.Listen {
			addresses = append(addresses, `"`+a.String()+`"`)
		}
		text := "tls:\n  listen: [" + strings.Join(addresses, ", ") + "]\n  cert: \"" + tt.config.Cert + "\"\n  key: \"" + tt.config.Key + "\"\n"
		must(t, os.WriteFile(file, []byte(text), 0o600))
		err := config.Load(file, new(whole), nil)
		if tt.key == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.config, err)
			}
			continue
		}
		problems, _ := err.(config.Problems)
		if len(problems) != 1 || problems[0].Key != tt.key || problems[0].Line == 0 || !strings.Contains(problems[0].Text, tt.text) {
			t.Errorf("%+v:\ngot  %v\nwant %s: %s", tt.config, err, tt.key, tt.text)
		}
	}
}

// A whole is a config with the section.
type whole struct {
	TLS TLS `mapstructure:"tls"`
}

func (w *whole) Validate(report *config.Report) {
	report.Under("tls", func(report *config.Report) {
		w.TLS.Validate([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, report)
	})
}
