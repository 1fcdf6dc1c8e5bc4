package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t, dir)
	at := []string{"https://127.0.0.1:1"}
	for want, opts := range map[string]Options{
		"no endpoints":                    {},
		"no such file":                    {Endpoints: at, TLS: TLS{CA: filepath.Join(dir, "none.pem")}},
		"no certificate in it":            {Endpoints: at, TLS: TLS{CA: junk}},
		"cert and key go together":        {Endpoints: at, TLS: TLS{Cert: cert}},
		"read client certificate: tls: f": {Endpoints: at, TLS: TLS{Cert: junk, Key: key}},
	} {
		if c, err := Open(opts); err == nil || !strings.Contains(err.Error(), want) || c != nil {
			t.Errorf("%q: %v", want, err)
		}
	}
	cfg, err := TLS{CA: cert, Cert: cert, Key: key}.config()
	if err != nil || cfg.RootCAs == nil || len(cfg.Certificates) != 1 {
		t.Error(cfg, err)
	}
}

func selfSigned(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// Where etcd wants a user, those without one are told so at once.
func TestUser(t *testing.T) {
	t.Parallel()
	m := member(t)
	nobody := client(t, m.Endpoints()...)
	etcd, err := nobody.conn()
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := etcd.UserAdd(t.Context(), "root", "secret")
	_, err2 := etcd.RoleAdd(t.Context(), "root")
	_, err3 := etcd.UserGrantRole(t.Context(), "root", "root")
	_, err4 := etcd.AuthEnable(t.Context())
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	rec := record(t, "www.example.org", "A", "static", 30, "10.0.0.1")
	if _, err := nobody.Add(t.Context(), rec); err == nil || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "user name is empty") {
		t.Error(err)
	}
	for password, good := range map[string]bool{"wrong": false, "secret": true} {
		c, err := Open(Options{Endpoints: m.Endpoints(), User: "root", Password: password, Log: testLog(t),
			DialTimeout: 20 * time.Second, Timeout: 20 * time.Second}) // bcrypt is slow by design, and slower under the race detector
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if res, err := c.Add(t.Context(), rec); (err == nil) != good || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %+v, %v", password, res, err)
		}
		if good {
			sink := &tableSink{}
			watching(t, c, sink, WatchOptions{})
			same(t, c, sink)
		}
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	m := member(t)
	for prefix, want := range map[string]int{"": 1, "/other/": 2, "strata/v1": 1, "/": 0} {
		c, err := Open(Options{Endpoints: m.Endpoints(), Prefix: prefix, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if want > 0 {
			if _, err := c.Write(t.Context(), edits(Set, many(t, want, "example.org", "static"))...); err != nil {
				t.Fatal(err)
			}
		}
		if got := stored(t, c); len(got) != want {
			t.Errorf("%q: %q", prefix, got)
		}
	}
}
