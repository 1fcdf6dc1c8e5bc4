package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// An authority signs certificates.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes an authority, and its certificate NAME.pem.
func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.issue(t, name, a.cert)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes NAME.pem and NAME.key, of the authority itself while it has no key.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) *ecdsa.PrivateKey {
	t.Helper()
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, signer)
	secret, err3 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	write(t, a.path(name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, a.path(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return key
}

// forHost is a certificate for loopback, server's and client's.
func forHost(serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "strata"}, DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) client(t *testing.T, pair string) *tls.Config {
	t.Helper()
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AddCert(a.issued(t))
	if pair != "" {
		cert, err := tls.LoadX509KeyPair(a.path(pair+".pem"), a.path(pair+".key"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg
}

// issued is the authority's certificate as it was signed.
func (a *authority) issued(t *testing.T) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.path(a.cert.Subject.CommonName+".pem"), a.path(a.cert.Subject.CommonName+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// tokenLife is how long etcd's own tokens are good for when they are not used, in seconds.
const tokenLife = 2

// secureEtcd is an etcd that takes clients with a certificate of the authority only.
func secureEtcd(t *testing.T, a *authority) (endpoint string) {
	t.Helper()
	any0, _ := url.Parse("http://127.0.0.1:0")
	at, err := url.Parse("https://" + freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = t.TempDir(), "panic"
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*at}, []url.URL{*at}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*any0}, []url.URL{*any0}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: a.path("etcd.pem"), KeyFile: a.path("etcd.key"), TrustedCAFile: a.path("ca.pem"), ClientCertAuth: true,
	}
	cfg.BcryptCost = 4           // the least: passwords are checked again and again
	cfg.AuthTokenTTL = tokenLife // they end while the test runs
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(30 * time.Second):
		t.Fatal("etcd has no leader")
	}
	return at.String()
}

// etcd.tls, user and password and a prefix of its own: served, watched and written to by
// way of an etcd that takes nobody else; a user who may read only serves and writes nothing.
func TestSecureEtcd(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	for i, name := range []string{"etcd", "client"} {
		ca.issue(t, name, forHost(int64(i+2)))
	}
	other.issue(t, "client", forHost(2))
	endpoint := secureEtcd(t, ca)
	root, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: ca.client(t, "client"), DialTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const prefix = "/dns/strata"
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"root", "writer", "reader"} {
		do(root.UserAdd(t.Context(), user, user+"-secret"))
		do(root.RoleAdd(t.Context(), user))
		do(root.UserGrantRole(t.Context(), user, user))
	}
	end := clientv3.GetPrefixRangeEnd(prefix + "/")
	do(root.RoleGrantPermission(t.Context(), "writer", prefix+"/", end, clientv3.PermissionType(clientv3.PermReadWrite)))
	do(root.RoleGrantPermission(t.Context(), "reader", prefix+"/", end, clientv3.PermissionType(clientv3.PermRead)))
	do(root.AuthEnable(t.Context()))

	withPassword, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: ca.client(t, "client"), DialTimeout: 20 * time.Second, Username: "root", Password: "root-secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer withPassword.Close()
	config := func(a *authority, user, password string) string {
		return fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q], prefix: %s, user: %s, password: %q, tls: {ca: %s, cert: %s, key: %s}}\n",
			endpoint, prefix, user, password, ca.path("ca.pem"), a.path("client.pem"), a.path("client.key"))
	}
	writer := serve(t, config(ca, "writer", "writer-secret")).awaitReady()
	reader := serve(t, config(ca, "reader", "reader-secret")).awaitReady()
	answer := func(name, want string) {
		t.Helper()
		writer.does("records", "add", name, "A", want)
		writer.answers(name, dns.TypeA, want)
		reader.answers(name, dns.TypeA, want)
	}
	answer("a.prd.example.com", "10.0.0.1")
	if said := reader.fails("records", "add", "b.prd.example.com", "A", "10.0.0.2"); !strings.Contains(said, "permission denied") {
		t.Error(said)
	}
	for what, bad := range map[string]string{
		"a wrong password":             config(ca, "writer", "guess"),
		"a certificate of another one": config(other, "writer", "writer-secret"),
	} {
		n := &node{t: t, config: filepath.Join(t.TempDir(), "c.yaml")}
		write(t, n.config, bad)
		if status, out, errs := n.run("records", "list"); status != 1 || out != "" || strings.Count(errs, "authoritative: ") != 1 {
			t.Errorf("%s: status %d, %q, %q", what, status, out, errs)
		} else {
			t.Logf("%s: %s", what, errs)
		}
	}
	// After the end of the tokens that etcd gave them, told by one of its own clock's
	// leases that is granted for as long.
	lease, err := withPassword.Grant(t.Context(), 3*tokenLife)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the tokens' end", func() bool {
		left, err := withPassword.TimeToLive(t.Context(), lease.ID)
		return err == nil && left.TTL <= 0
	})
	answer("later.prd.example.com", "10.0.0.3")
}

// With api.tls the admin address speaks HTTPS and nothing else; a certificate that was
// renewed is shown after a reload.
func TestAPITLS(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	ca := newAuthority(t, "ca")
	ca.issue(t, "admin", forHost(2))
	config := strings.Replace(withAPI(t, endpoint), "api:\n", fmt.Sprintf("api:\n  tls: {cert: %s, key: %s}\n", ca.path("admin.pem"), ca.path("admin.key")), 1)
	n := serve(t, config)
	get := func(page string) (int, *big.Int) {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: ca.client(t, ""), DisableKeepAlives: true}, Timeout: 10 * time.Second}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+n.admin+page, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+teamToken)
		resp, err := c.Do(r)
		if err != nil {
			return 0, nil
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.TLS.PeerCertificates[0].SerialNumber
	}
	until(t, "ready over HTTPS", func() bool { status, _ := get("/readyz"); return status == http.StatusOK })
	if status, serial := get(apiPath + "/records"); status != http.StatusOK || serial.Int64() != 2 {
		t.Error(status, serial)
	}
	if status, body := n.get(apiPath + "/records"); status != http.StatusBadRequest || !strings.Contains(body, "HTTPS") {
		t.Errorf("over HTTP: %d %s", status, body)
	}
	ca.issue(t, "admin", forHost(3))
	n.does("ctl", "reload")
	if _, serial := get("/livez"); serial == nil || serial.Int64() != 3 {
		t.Errorf("after a reload serial %v", serial)
	}
}
