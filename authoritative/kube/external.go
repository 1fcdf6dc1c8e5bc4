package kube

import (
	"bytes"
	"slices"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	"github.com/strata-dns/strata/core/wire"
)

// external adds the addresses by which a Service is reached from outside, at
// SERVICE.NAMESPACE in the external zone, their PTR, and SRV records of its ports. A load
// balancer that is known by name alone becomes an alias.
func (r *rrsets) external(s *corev1.Service) {
	name, err := below(r.opts.External.Zone, s.Name, s.Namespace)
	if err != nil {
		r.problem("%v", err)
		return
	}
	var addresses, hosts []string
	if r.opts.External.ExternalIPs {
		addresses = s.Spec.ExternalIPs
	}
	if r.opts.External.LoadBalancer && s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		for _, in := range s.Status.LoadBalancer.Ingress {
			if in.IP != "" {
				addresses = append(addresses[:len(addresses):len(addresses)], in.IP)
			}
			if in.Hostname != "" {
				hosts = append(hosts, in.Hostname)
			}
		}
	}
	found := false
	for _, text := range addresses {
		addr, err := address(text)
		if err != nil {
			r.problem("external address: %v", err)
			continue
		}
		r.addAddress(name, addr)
		r.addPTR(addr, name) // where the zone of the address is ours
		found = true
	}
	target := name
	if !found { // an alias is alone at its name (RFC 1034 §3.6.2)
		if target = r.balancer(name, hosts); target == nil {
			return
		}
		r.add(name, dns.TypeCNAME, target)
	}
	r.ports(name, s, target) // an SRV's target is no alias (RFC 2782)
}

// balancer chooses the one name of a load balancer that an alias can be to.
func (r *rrsets) balancer(name []byte, hosts []string) []byte {
	var targets [][]byte
	for _, host := range hosts {
		target, err := hostName(host)
		switch {
		case err != nil:
			r.problem("load balancer: %v", err)
		case bytes.Equal(target, name):
			r.problem("load balancer: %s is the Service's own name", wire.NameString(target))
		default:
			targets = append(targets, target)
		}
	}
	slices.SortFunc(targets, bytes.Compare)
	targets = slices.CompactFunc(targets, bytes.Equal)
	if len(targets) == 0 {
		return nil
	}
	if len(targets) > 1 {
		r.problem("load balancer: %d names, and an alias is to one; %s is taken", len(targets), wire.NameString(targets[0]))
	}
	return targets[0]
}
