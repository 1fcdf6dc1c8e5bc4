package kube

import (
	"bytes"
	"strconv"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/strata-dns/strata/authoritative/probe"
	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// Annotations that are read.
const (
	// TTLAnnotation is how many seconds resolvers may keep a Service's records. On a
	// Namespace it is for all of its Services that do not have their own.
	TTLAnnotation = "strata-dns.io/ttl"
	// ProbeAnnotation is how a Service's addresses are probed: tcp:PORT, udp:PORT,
	// http:PORT/PATH or icmp.
	ProbeAnnotation = "strata-dns.io/probe"
	// OrderAnnotation is in which order a Service's addresses are answered, where a name
	// has several: rotate, shuffle, weighted ADDRESS=WEIGHT..., source-hash, sticky, fixed.
	OrderAnnotation = "strata-dns.io/order"
	// MaxAnswersAnnotation is how many of a name's addresses an answer has at most, or all.
	MaxAnswersAnnotation = "strata-dns.io/max-answers"
	// tolerateUnready is what publishNotReadyAddresses was before it was a field
	// (specification 2.1).
	tolerateUnready = "service.alpha.kubernetes.io/tolerate-unready-endpoints"
)

// ClusterRecords gives what is there whatever the cluster holds: the version of
// the schema (2.2).
func (o *Options) ClusterRecords() ([]store.Record, []string) {
	r := o.collect(o.TTL)
	if name, err := below(o.Zone, "dns-version"); err != nil {
		r.problem("%v", err)
	} else {
		r.add(name, dns.TypeTXT, append([]byte{byte(len(Version))}, Version...))
	}
	return r.done()
}

// Service gives the records of a Service with its EndpointSlices, in a Namespace
// that may be nil, and what of it has no place in DNS.
func (o *Options) Service(s *corev1.Service, slices []*discoveryv1.EndpointSlice, ns *corev1.Namespace) ([]store.Record, []string) {
	r := o.collect(o.TTL)
	r.annotatedTTL(s, ns)
	r.annotatedProbe(s)
	r.annotatedOrder(s)
	for _, label := range []string{s.Name, s.Namespace} {
		if err := hostLabel(label); err != nil {
			r.problem("name %v", err)
			return r.done()
		}
	}
	name, err := below(o.Zone, s.Name, s.Namespace, "svc")
	if err != nil {
		r.problem("%v", err)
		return r.done()
	}
	switch {
	case s.Spec.Type == corev1.ServiceTypeExternalName:
		r.externalName(name, s.Spec.ExternalName)
	case headless(s):
		r.headless(name, s, slices)
	default:
		r.clusterIP(name, s)
	}
	if len(o.External.Zone) > 0 {
		r.external(s)
	}
	return r.done()
}

// headless tells whether a Service is without cluster address by intention (2.4),
// not because none has been given to it yet.
func headless(s *corev1.Service) bool { return s.Spec.ClusterIP == corev1.ClusterIPNone }

// annotatedTTL takes the TTL of the Service's annotation, or its Namespace's.
func (r *rrsets) annotatedTTL(s *corev1.Service, ns *corev1.Namespace) {
	text, ok := s.Annotations[TTLAnnotation]
	where := ""
	if !ok && ns != nil {
		text, ok = ns.Annotations[TTLAnnotation]
		where = " of namespace " + ns.Name
	}
	if !ok {
		return
	}
	ttl, err := strconv.ParseUint(text, 10, 32)
	if err != nil || ttl > store.MaxTTL {
		r.problem("annotation %s%s: %q is not a number of seconds from 0 to %d; %d is used", TTLAnnotation, where, text, store.MaxTTL, r.ttl)
		return
	}
	r.ttl = uint32(ttl)
}

// annotatedProbe takes the way to probe of the Service's annotation.
func (r *rrsets) annotatedProbe(s *corev1.Service) {
	text, ok := s.Annotations[ProbeAnnotation]
	if !ok {
		return
	}
	if _, err := probe.Parse(text); err != nil {
		r.problem("annotation %s: %v; the addresses are not probed", ProbeAnnotation, err)
		return
	}
	r.probe = text
}

// clusterIP adds what a Service with an address of the cluster has, whether or not
// there are endpoints behind it: A and AAAA (2.3.1), SRV (2.3.2), PTR (2.3.3).
func (r *rrsets) clusterIP(name []byte, s *corev1.Service) {
	addresses := s.Spec.ClusterIPs
	if len(addresses) == 0 && s.Spec.ClusterIP != "" {
		addresses = []string{s.Spec.ClusterIP}
	}
	found := false
	for _, text := range addresses {
		addr, err := address(text)
		if err != nil {
			r.problem("clusterIPs: %v", err)
			continue
		}
		r.addAddress(name, addr)
		r.addPTR(addr, name)
		found = true
	}
	if found {
		r.ports(name, s, name)
	}
}

// ports adds an SRV record for each named port.
func (r *rrsets) ports(base []byte, s *corev1.Service, target []byte) {
	for _, p := range s.Spec.Ports {
		r.addService(base, p.Name, string(p.Protocol), p.Port, target)
	}
}

// externalName adds the alias of a Service that is somewhere else (2.5).
func (r *rrsets) externalName(name []byte, to string) {
	target, err := hostName(to)
	switch {
	case err != nil:
		r.problem("externalName: %v", err)
	case bytes.Equal(target, name):
		r.problem("externalName: %s is the Service's own name", wire.NameString(target))
	default:
		r.add(name, dns.TypeCNAME, target)
	}
}
