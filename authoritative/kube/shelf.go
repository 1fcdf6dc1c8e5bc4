package kube

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are kept packed, as the API server's protobuf of what slim leaves of them:
// a fraction of the memory of structs full of pointers. They are unpacked when something
// about them changes.

// A message is what objects are packed as.
type message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

func pack(m message) string {
	b, err := m.Marshal()
	if err != nil { // generated code, which has no reason to fail
		panic(fmt.Sprintf("pack %T: %v", m, err))
	}
	return string(b)
}

func unpackInto(m message, packed string) {
	if err := m.Unmarshal([]byte(packed)); err != nil {
		panic(fmt.Sprintf("unpack %T: %v", m, err))
	}
}

// A parcel is a packed object on its way from a list, of which there may be as many as
// in the State while it is filled. It is an object by name only.
type parcel struct {
	metav1.Object                    // nil: nobody asks for more than the methods below
	namespace, name, version, packed string
	empty                            func() content // to unpack into
}

// A content is an object that can be packed.
type content interface {
	message
	metav1.Object
}

func (p *parcel) GetNamespace() string       { return p.namespace }
func (p *parcel) GetName() string            { return p.name }
func (p *parcel) GetResourceVersion() string { return p.version }

func (p *parcel) open() metav1.Object {
	object := p.empty()
	unpackInto(object, p.packed)
	return object
}

// opened gives an object, and how it is packed where it is kept so: in the octets that it
// came in, if it came packed.
func opened(object metav1.Object) (metav1.Object, string) {
	switch o := object.(type) {
	case *parcel:
		return o.open(), o.packed
	case *corev1.Service:
		return o, pack(o)
	case *discoveryv1.EndpointSlice:
		return o, pack(o)
	}
	return object, ""
}

// wrap makes what slim leaves of an object a parcel, where it is of a kind that there
// are many of.
func wrap(object any) (any, error) {
	small, err := slim(object)
	if err != nil {
		return nil, err
	}
	of := func(o content, empty func() content) *parcel {
		return &parcel{namespace: o.GetNamespace(), name: o.GetName(), version: o.GetResourceVersion(), packed: pack(o), empty: empty}
	}
	switch o := small.(type) {
	case *corev1.Service:
		return of(o, func() content { return &corev1.Service{} }), nil
	case *discoveryv1.EndpointSlice:
		return of(o, func() content { return &discoveryv1.EndpointSlice{} }), nil
	}
	return small, nil
}

// serviceAt gives a Service, nil where there is none.
func (s *State) serviceAt(key string) *corev1.Service {
	packed, ok := s.services[key]
	if !ok {
		return nil
	}
	svc := &corev1.Service{}
	unpackInto(svc, packed)
	return svc
}

// A shelved is a packed EndpointSlice, by its namespace/name.
type shelved struct{ key, packed string }

// A shelf holds the EndpointSlices of a Service: few, most often one.
type shelf []shelved

func (h shelf) put(key, packed string) shelf {
	one := shelved{key, packed}
	if i := h.find(key); i >= 0 {
		h[i] = one
		return h
	}
	return append(h[:len(h):len(h)], one)
}

func (h shelf) drop(key string) shelf {
	if i := h.find(key); i >= 0 {
		return slices.Delete(h, i, i+1)
	}
	return h
}

func (h shelf) find(key string) int {
	return slices.IndexFunc(h, func(one shelved) bool { return one.key == key })
}

// all unpacks them.
func (h shelf) all() []*discoveryv1.EndpointSlice {
	all := make([]*discoveryv1.EndpointSlice, len(h))
	for i, one := range h {
		all[i] = &discoveryv1.EndpointSlice{}
		unpackInto(all[i], one.packed)
	}
	return all
}
