package kube

import (
	"slices"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/zone"
)

// annotatedOrder takes the order of the Service's annotations.
func (r *rrsets) annotatedOrder(s *corev1.Service) {
	var o zone.Ordering
	if text, ok := s.Annotations[OrderAnnotation]; ok {
		said, err := zone.ParseOrdering(text)
		if err != nil {
			r.problem("annotation %s: %v; the addresses are answered in the zone's order", OrderAnnotation, err)
		} else {
			o = said
		}
	}
	if text, ok := s.Annotations[MaxAnswersAnnotation]; ok {
		said, err := zone.ParseOrdering("max=" + text)
		if err != nil {
			r.problem("annotation %s: %q is neither a number above 0 nor all", MaxAnswersAnnotation, text)
		} else {
			o.Max = said.Max
		}
	}
	if o.Order != zone.Unsaid || o.Max != 0 {
		r.order = o.Append(nil)
	}
}

// putInOrder adds an ORDER record to each name with several addresses of a kind.
func (r *rrsets) putInOrder() {
	if r.order == nil {
		return
	}
	for _, rec := range slices.Clone(r.all) {
		if (rec.Type != dns.TypeA && rec.Type != dns.TypeAAAA) || len(rec.Data) < 2 {
			continue
		}
		key := rrsetKey(rec.Name, zone.TypeOrder)
		if _, ok := r.at[key]; ok {
			continue
		}
		r.at[key] = len(r.all)
		r.all = append(r.all, store.Record{Name: rec.Name, Type: zone.TypeOrder, TTL: r.ttl, Data: [][]byte{r.order}})
	}
}
