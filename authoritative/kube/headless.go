package kube

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// headless adds what a Service without cluster address has, for each endpoint that
// is ready: A and AAAA at the Service's name and at the endpoint's (2.4.1), SRV
// (2.4.2), PTR (2.4.3). Without such endpoints there is nothing: NXDOMAIN.
func (r *rrsets) headless(name []byte, s *corev1.Service, slices []*discoveryv1.EndpointSlice) {
	all := s.Spec.PublishNotReadyAddresses || s.Annotations[tolerateUnready] == "true"
	for _, slice := range slices {
		if slice.AddressType == discoveryv1.AddressTypeFQDN {
			r.problem("EndpointSlice %s: endpoints by name (addressType FQDN) have no addresses to answer", slice.Name)
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			if all || e.Conditions.Ready == nil || *e.Conditions.Ready {
				r.endpoint(name, slice, e)
			}
		}
	}
}

// endpoint adds one endpoint. All addresses of an endpoint are interchangeable;
// those after the first have no meaning to Kubernetes, and are answered too.
func (r *rrsets) endpoint(service []byte, slice *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint) {
	for _, text := range e.Addresses {
		addr, err := address(text)
		if err == nil && !ofType(addr, slice.AddressType) {
			r.problem("EndpointSlice %s: %s is not of its addressType %s", slice.Name, addr, slice.AddressType)
			continue
		}
		if err != nil {
			r.problem("EndpointSlice %s: %v", slice.Name, err)
			continue
		}
		r.addAddress(service, addr)
		host := dashed(addr) // the identifier of one without hostname (2.1)
		if e.Hostname != nil && *e.Hostname != "" {
			host = *e.Hostname
			if err := hostLabel(host); err != nil {
				r.problem("EndpointSlice %s: hostname %v", slice.Name, err)
				continue
			}
		}
		name, err := below(service, host)
		if err != nil {
			r.problem("EndpointSlice %s: %v", slice.Name, err)
			continue
		}
		r.addAddress(name, addr)
		r.addPTR(addr, name)
		for _, p := range slice.Ports {
			if p.Name == nil || p.Port == nil { // no port: all of them
				continue
			}
			r.addService(service, *p.Name, protocol(p.Protocol), *p.Port, name)
		}
	}
}

func ofType(addr netip.Addr, typ discoveryv1.AddressType) bool {
	return typ == "" || addr.Is4() == (typ == discoveryv1.AddressTypeIPv4)
}

func protocol(p *corev1.Protocol) string {
	if p == nil {
		return ""
	}
	return string(*p)
}
