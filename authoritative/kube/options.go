package kube

import (
	"github.com/strata-dns/strata/core/wire"
)

// Options say which records there are, beside what the objects say.
type Options struct {
	Zone []byte // the cluster's domain, wire form, lower-cased
	TTL  uint32 // seconds, of objects that do not have another one by annotation
	Pods bool   // records of Pods (specification 2.6), of those that exist only

	External External

	// Zones are the apexes of the zones whose records are kept, Others of zones that
	// may be within them and come from elsewhere. A record outside is left out: most
	// often a PTR of an address whose zone is not ours.
	Zones, Others [][]byte
}

// External puts addresses by which Services are reached from outside under a zone
// of its own: SERVICE.NAMESPACE.ZONE. No zone: none.
type External struct {
	Zone         []byte
	LoadBalancer bool // addresses or names in status.loadBalancer
	ExternalIPs  bool // spec.externalIPs
}

// Version is the specification's that Options follow.
const Version = "1.1.0"

// holds tells whether a name is in one of the zones whose records are kept.
func (o *Options) holds(name []byte) bool { return deepest(name, o.Zones) > deepest(name, o.Others) }

// deepest gives the length of the longest apex that a name is at or below.
func deepest(name []byte, apexes [][]byte) (most int) {
	for _, apex := range apexes {
		if len(apex) > most && wire.IsSubdomain(name, apex) {
			most = len(apex)
		}
	}
	return most
}
