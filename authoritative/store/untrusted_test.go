package store

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// Where a certificate is why etcd does not answer, the error says so: it is nothing that
// waiting mends.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca, _ := selfSigned(t, t.TempDir())
	for _, user := range []string{"", "strata"} { // who has a user asks etcd before anything else
		c, err := Open(Options{Endpoints: []string{server.URL}, TLS: TLS{CA: ca}, User: user, Password: user, Timeout: 3 * time.Second, DialTimeout: 3 * time.Second, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Get(t.Context(), wire.MustName("a.example.org"), dns.TypeA, "static")
		if !errors.Is(err, ErrUnavailable) || !strings.HasSuffix(err.Error(), "did not answer within 3s (tls: failed to verify certificate: x509: certificate signed by unknown authority)") {
			t.Errorf("user %q: %v", user, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is said of TLS is the same each time.
func TestTLSTrouble(t *testing.T) {
	for text, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`:                                                                                                                                        "",
		`latest balancer error: connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-01-02T03:04:05Z is after 2026-01-01T00:00:00Z"`: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
		`connection error: desc = "error reading server preface: remote error: tls: certificate required"`:                                                                                                                                                    "tls: certificate required",
	} {
		got := tlsTrouble(text)
		if want == "" && got != nil || want != "" && (got == nil || *got != want) {
			t.Errorf("%s: %v, want %q", text, got, want)
		}
	}
}
