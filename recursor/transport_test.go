package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/upstream"
)

// serveTLS is serve within TLS, and gives the file of who signed its certificate.
func serveTLS(t *testing.T, address, name string) (s *nameServer, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	s = &nameServer{addr: netip.MustParseAddrPort(listener.Addr().String()), address: net.ParseIP(address)}
	started := make(chan struct{})
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(s.handle), NotifyStartedFunc: func() { close(started) }}
	var running sync.WaitGroup
	running.Go(func() { _ = server.ActivateAndServe() })
	<-started
	t.Cleanup(func() {
		_ = server.Shutdown()
		running.Wait()
	})
	return s, ca
}

// TestTransports has external resolvers that are reached over TCP or TLS alone: they
// are asked and checked that way, and swung away from as any other.
func TestTransports(t *testing.T) {
	for _, transport := range []upstream.Transport{upstream.TCP, upstream.TLS} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			home, ca := serve(t, "192.0.2.1"), ""
			to := upstream.Server{Addr: home.addr, Transport: transport}
			if transport == upstream.TLS {
				to.TLSName = "dns.example.net"
				home, ca = serveTLS(t, "192.0.2.1", to.TLSName)
				to.Addr = home.addr
			}
			away := serve(t, "192.0.2.2")
			c := settings(home, away)
			c.Exchange.CA = ca
			c.External.Check.Timeout = time.Second // a handshake takes its time
			c.External.Sites[0].Servers = []upstream.Server{to}
			s := run(t, c)
			s.until("checks", func() bool { return home.checks.Load() > 2 })
			if n := home.checks.Load() - home.streams.Load(); n > 1 { // one may be between the two counters
				t.Errorf("%d checks were not over %s", n, transport)
			}
			if got := s.ask("www.example"); got != "192.0.2.1" || s.mode() != "home" {
				t.Errorf("%s, fleet is %s\n%s", got, s.mode(), s.log)
			}
			home.rcode.Store(dns.RcodeServerFailure)
			s.until("swung", func() bool { return s.mode() == "swung" })
			if e := s.external().fleet.Status().Sites[0].Servers[0].LastError; !strings.HasPrefix(e, "ask "+to.Text()+" for ") || strings.Contains(e, " over ") {
				t.Errorf("because of %q", e)
			}
			s.until("the other site answers", func() bool { return s.ask("www.example") == "192.0.2.2" })
		})
	}
}
