package kube

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// slim gives an object that holds what records come from, and nothing else of it:
// a cluster's objects are kept in memory, and most of their octets are of no use
// here. Objects of other kinds come back as they are.
func slim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Service:
		return slimService(o), nil
	case *discoveryv1.EndpointSlice:
		return slimSlice(o), nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: slimMeta(&o.ObjectMeta)}, nil
	case *corev1.Pod:
		return &corev1.Pod{
			ObjectMeta: slimMeta(&o.ObjectMeta),
			Status:     corev1.PodStatus{Phase: o.Status.Phase, PodIP: o.Status.PodIP, PodIPs: o.Status.PodIPs},
		}, nil
	}
	return object, nil
}

// slimList makes all objects of a list so, page by page as they come.
func slimList(list runtime.Object) error {
	return meta.EachListItem(list, func(object runtime.Object) error {
		small, err := slim(object)
		if err != nil {
			return err
		}
		switch o := object.(type) {
		case *corev1.Service:
			*o = *small.(*corev1.Service)
		case *discoveryv1.EndpointSlice:
			*o = *small.(*discoveryv1.EndpointSlice)
		case *corev1.Namespace:
			*o = *small.(*corev1.Namespace)
		case *corev1.Pod:
			*o = *small.(*corev1.Pod)
		}
		return nil
	})
}

func slimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	slim := metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, ResourceVersion: m.ResourceVersion}
	for _, key := range []string{TTLAnnotation, ProbeAnnotation, OrderAnnotation, MaxAnswersAnnotation, tolerateUnready} {
		if text, ok := m.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&slim, key, text)
		}
	}
	return slim
}

func slimService(o *corev1.Service) *corev1.Service {
	s := &corev1.Service{ObjectMeta: slimMeta(&o.ObjectMeta)}
	s.UID = o.UID // events name it
	s.Spec = corev1.ServiceSpec{
		Type: o.Spec.Type, ClusterIP: o.Spec.ClusterIP, ClusterIPs: o.Spec.ClusterIPs,
		ExternalName: o.Spec.ExternalName, ExternalIPs: o.Spec.ExternalIPs,
		PublishNotReadyAddresses: o.Spec.PublishNotReadyAddresses,
	}
	for _, p := range o.Spec.Ports {
		if p.Name != "" {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
		}
	}
	for _, in := range o.Status.LoadBalancer.Ingress {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: in.IP, Hostname: in.Hostname})
	}
	return s
}

func slimSlice(o *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: slimMeta(&o.ObjectMeta), AddressType: o.AddressType}
	if service, ok := o.Labels[discoveryv1.LabelServiceName]; ok {
		s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	}
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: e.Addresses, Hostname: e.Hostname, Conditions: discoveryv1.EndpointConditions{Ready: e.Conditions.Ready},
		})
	}
	for _, p := range o.Ports {
		if p.Name != nil && *p.Name != "" {
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
		}
	}
	return s
}
