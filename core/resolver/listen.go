package resolver

import (
	"net/netip"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/plane"
)

// Listen adds a listener for each address. Add everything else before it.
func (r *Resolver) Listen(d *daemon.Daemon, base *config.Base, tcp listen.TCP, tls listen.TLS) (err error) {
	if len(tls.Listen) > 0 {
		if r.certificate, err = listen.OpenCertificate(tls, d.Log()); err != nil {
			return err
		}
	}
	return listen.Add(d, listen.Options{
		Addresses: base.Listen, Workers: base.Workers, MaxUDP: r.maxUDP, TCP: tcp,
		Handler: func(at netip.AddrPort, stream bool) plane.Handler {
			if stream {
				return r.Stream(at)
			}
			return r.Worker(at)
		},
		Secured: tls.Listen, Secure: r.Secure, Certificate: r.certificate,
		Pending: func() int { return int(r.Waiting()) },
	})
}

// Recertify reads the certificate of a config that is about to be taken up, and gives
// what does so. Where nothing listens by TLS there is nothing to do.
func (r *Resolver) Recertify(tls listen.TLS) (take func(), err error) {
	if r.certificate == nil || len(tls.Listen) == 0 {
		return func() {}, nil
	}
	return r.certificate.Prepare(tls)
}
