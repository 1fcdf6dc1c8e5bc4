package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// While the API server does not answer, the log has each kind of reason once, however
// often it is tried and whatever ports and times the errors hold; readiness has the last.
func TestTroubleIsTold(t *testing.T) {
	var log bytes.Buffer
	r := &reflection{cluster: &Cluster{log: slog.New(slog.NewTextHandler(&log, nil))}, kind: Services}
	refused := func(port int) error {
		return &url.Error{Op: "Get", URL: "https://api", Err: &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: port}, Err: syscall.ECONNREFUSED}}
	}
	expired := func(now int) error {
		return &url.Error{Op: "Get", URL: "https://api", Err: &tls.CertificateVerificationError{
			Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: fmt.Sprint("current time ", now)}}}
	}
	for _, step := range []struct {
		err   error
		lines int
	}{
		{refused(1), 1}, {refused(2), 1}, {expired(1), 2}, {expired(2), 2}, {refused(3), 2},
		{apierrors.NewUnauthorized("who"), 3}, {apierrors.NewServiceUnavailable("not yet"), 4}, {apierrors.NewUnauthorized("you"), 4},
		{nil, 5}, {nil, 5}, {refused(4), 6},
	} {
		r.heard(context.Background(), step.err)
		if lines := strings.Count(log.String(), "\n"); lines != step.lines {
			t.Fatalf("after %v the log has %d lines, want %d:\n%s", step.err, lines, step.lines, &log)
		}
		if trouble := r.trouble.Load(); (trouble == nil) != (step.err == nil) || trouble != nil && !strings.HasSuffix(*trouble, step.err.Error()) {
			t.Fatalf("after %v readiness has %v", step.err, trouble)
		}
	}
}
