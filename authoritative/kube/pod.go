package kube

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/strata-dns/strata/authoritative/store"
)

// Pod gives the records of a Pod's addresses, A-B-C-D.NAMESPACE.pod (2.6). The
// specification has them for any address; here they are there for those of Pods
// that exist and have not ended, whose address may be another's by now.
func (o *Options) Pod(p *corev1.Pod) ([]store.Record, []string) {
	r := o.collect(o.TTL)
	if !o.Pods || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return nil, nil
	}
	if err := hostLabel(p.Namespace); err != nil {
		r.problem("namespace %v", err)
		return r.done()
	}
	addresses := p.Status.PodIPs
	if len(addresses) == 0 && p.Status.PodIP != "" {
		addresses = []corev1.PodIP{{IP: p.Status.PodIP}}
	}
	for _, a := range addresses {
		addr, err := address(a.IP)
		if err != nil {
			r.problem("podIPs: %v", err)
			continue
		}
		name, err := below(o.Zone, dashed(addr), p.Namespace, "pod")
		if err != nil {
			r.problem("%v", err)
			continue
		}
		r.addAddress(name, addr)
	}
	return r.done()
}
