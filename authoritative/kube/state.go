package kube

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/strata-dns/strata/authoritative/store"
)

// A State is what a cluster holds, and the RRsets that follow from it. Sources
// tell it of objects, a Writer takes from it what is to be written. Its methods
// may be called from any goroutine.
type State struct {
	opts Options
	log  *slog.Logger

	mu         sync.Mutex
	services   map[string]string            // packed, by namespace/name, as all here
	slices     map[string]shelf             // by Service
	serviceOf  map[string]string            // of an EndpointSlice
	namespaces map[string]*corev1.Namespace // by name
	pods       map[string]struct{}
	desired    desired
	problems   map[string]string // by object, as last logged
	announce   func(complaint)   // nil: the log alone
	dirty      map[string]struct{}
	rest       *comparison  // its missing RRsets are not all in dirty yet; nil: none has any
	recheck    bool         // something is gone that no event named
	synced     bool         // all there is was told of
	positions  [kinds]int64 // the newest resource version told of, by kind

	ready chan struct{} // closed when synced
	wake  chan struct{}
}

// NewState makes a state of a cluster that nothing is known of yet.
func NewState(opts Options, log *slog.Logger) *State {
	s := &State{
		opts: opts, log: log,
		services: map[string]string{}, slices: map[string]shelf{},
		serviceOf: map[string]string{}, namespaces: map[string]*corev1.Namespace{}, pods: map[string]struct{}{},
		desired: newDesired(), problems: map[string]string{}, dirty: map[string]struct{}{},
		ready: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	records, problems := opts.ClusterRecords()
	s.take("Zone", records, problems, true)
	return s
}

// A Kind is a kind of objects that records come from.
type Kind int

// The kinds.
const (
	Services Kind = iota
	EndpointSlices
	Namespaces
	Pods
	kinds
)

func (k Kind) String() string {
	return [...]string{"Service", "EndpointSlice", "Namespace", "Pod"}[k]
}

// kindOf tells an object's kind; false for those that no records come from.
func kindOf(object any) (Kind, bool) {
	switch object.(type) {
	case *corev1.Service:
		return Services, true
	case *discoveryv1.EndpointSlice:
		return EndpointSlices, true
	case *corev1.Namespace:
		return Namespaces, true
	case *corev1.Pod:
		return Pods, true
	}
	return 0, false
}

func keyOf(m metav1.Object) string {
	if m.GetNamespace() == "" {
		return m.GetName()
	}
	return m.GetNamespace() + "/" + m.GetName()
}

// Change takes objects that came or changed, which the State keeps, and others of
// which it was said that they are gone. Nothing is written from half of it.
// position is the newest resource version told of, where the source has any: then
// the objects are of one kind.
func (s *State) Change(position int64, came, gone []metav1.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, object := range slices.Concat(came, gone) {
		if kind, ok := kindOf(object); ok {
			s.positions[kind] = max(s.positions[kind], position)
			break
		}
	}
	for _, object := range came {
		s.set(object, true)
	}
	for _, object := range gone {
		if kind, ok := kindOf(object); ok {
			s.remove(kind, keyOf(object), true)
		}
	}
}

// Replace takes all objects of a kind. That one is gone which is not among them is
// inferred, not said: its records wait for the next compare, which begins at once.
// A list may be older than what was told of before, where the cluster's history
// went back.
func (s *State) Replace(kind Kind, position int64, objects []metav1.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.positions[kind] = position
	there := make(map[string]bool, len(objects))
	for i, object := range objects {
		s.set(object, false)
		there[keyOf(object)] = true
		if _, ok := object.(*parcel); ok { // what it held is in the State
			objects[i] = nil
		}
	}
	for _, key := range s.keys(kind) {
		if !there[key] {
			s.remove(kind, key, false)
		}
	}
}

// Synced says that all objects there are have been told of. Until then nothing is
// written: half a Service's endpoints are worse than those etcd has.
func (s *State) Synced() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		s.synced = true
		close(s.ready)
	}
}

// Ready is closed when Synced was said.
func (s *State) Ready() <-chan struct{} { return s.ready }

func (s *State) keys(kind Kind) []string {
	switch kind {
	case Services:
		return slices.Collect(maps.Keys(s.services))
	case EndpointSlices:
		return slices.Collect(maps.Keys(s.serviceOf))
	case Namespaces:
		return slices.Collect(maps.Keys(s.namespaces))
	}
	return slices.Collect(maps.Keys(s.pods))
}

// set takes an object. said: what is no longer among its records, an event says
// so.
func (s *State) set(object metav1.Object, said bool) {
	key := keyOf(object)
	object, packed := opened(object)
	switch object := object.(type) {
	case *corev1.Service:
		s.services[key] = packed
		s.service(key, said)
	case *discoveryv1.EndpointSlice:
		service := s.ownerOf(object)
		if old, ok := s.serviceOf[key]; ok && old != service {
			s.unshelve(old, key)
			s.service(old, said)
		}
		s.slices[service], s.serviceOf[key] = s.slices[service].put(key, packed), service
		s.service(service, said)
	case *corev1.Namespace:
		s.namespace(key, object, said)
	case *corev1.Pod:
		s.pods[key] = struct{}{}
		records, problems := s.opts.Pod(object)
		s.take("Pod "+key, records, problems, said)
	}
}

// ownerOf gives the Service that an EndpointSlice is of.
func (s *State) ownerOf(slice *discoveryv1.EndpointSlice) string {
	name := slice.Labels[discoveryv1.LabelServiceName]
	object := "EndpointSlice " + keyOf(slice)
	if name == "" {
		s.report(object, []string{"no label " + discoveryv1.LabelServiceName + " says which Service it is of"})
	} else {
		s.report(object, nil)
	}
	return slice.Namespace + "/" + name
}

func (s *State) remove(kind Kind, key string, said bool) {
	switch kind {
	case Services:
		delete(s.services, key)
		s.service(key, said)
	case EndpointSlices:
		service, ok := s.serviceOf[key]
		if !ok {
			return
		}
		delete(s.serviceOf, key)
		s.unshelve(service, key)
		s.report("EndpointSlice "+key, nil)
		s.service(service, said)
	case Namespaces:
		s.namespace(key, nil, said)
	case Pods:
		delete(s.pods, key)
		s.take("Pod "+key, nil, nil, said)
	}
}

// unshelve takes an EndpointSlice from a Service's.
func (s *State) unshelve(service, key string) {
	if left := s.slices[service].drop(key); len(left) > 0 {
		s.slices[service] = left
	} else {
		delete(s.slices, service)
	}
}

// namespace takes a Namespace, nil where it is gone: its Services' TTL may hang on it.
func (s *State) namespace(key string, object *corev1.Namespace, said bool) {
	old := s.namespaces[key]
	if object == nil {
		delete(s.namespaces, key)
	} else {
		s.namespaces[key] = object
	}
	if annotation(old) == annotation(object) {
		return
	}
	for service := range s.services {
		if strings.HasPrefix(service, key+"/") {
			s.service(service, said)
		}
	}
}

func annotation(ns *corev1.Namespace) string {
	if ns == nil {
		return ""
	}
	return ns.Annotations[TTLAnnotation]
}

// service takes what follows from a Service and what belongs to it.
func (s *State) service(key string, said bool) {
	object := "Service " + key
	svc := s.serviceAt(key)
	if svc == nil {
		s.take(object, nil, nil, said)
		return
	}
	var endpoints []*discoveryv1.EndpointSlice
	if headless(svc) {
		endpoints = s.slices[key].all()
	}
	records, problems := s.opts.Service(svc, endpoints, s.namespaces[svc.Namespace])
	s.take(object, records, problems, said)
}

// take makes an object's records these, and notes which RRsets are to be written.
func (s *State) take(object string, records []store.Record, problems []string, said bool) {
	s.report(object, problems)
	for _, key := range s.desired.put(object, records) {
		if _, there := s.desired.sets[key]; !there && !said {
			s.recheck = true
			delete(s.dirty, key)
			continue
		}
		if s.synced {
			s.dirty[key] = struct{}{}
		}
	}
	if len(s.dirty) > 0 || s.recheck {
		s.knock()
	}
}

func (s *State) knock() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// report logs what of an object has no place in DNS, when it begins to be so.
func (s *State) report(object string, problems []string) {
	slices.Sort(problems)
	text := strings.Join(problems, "; ")
	if s.problems[object] == text {
		return
	}
	if text == "" {
		delete(s.problems, object)
		return
	}
	s.problems[object] = text
	s.log.Warn("object is not, or not wholly, in DNS", "object", object, "reason", text)
	if c, ok := s.complain(object, text); ok && s.announce != nil {
		s.announce(c)
	}
}

// Reached says that there was no other change of a kind up to a resource version.
func (s *State) Reached(kind Kind, position int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if position > s.positions[kind] {
		s.positions[kind] = position
		if len(s.dirty) > 0 { // a writer may have waited for it
			s.knock()
		}
	}
}

// Counts say how much there is.
type Counts struct {
	Objects  [kinds]int
	RRsets   int
	Pending  int // RRsets to be written
	Problems int // objects that are not, or not wholly, in DNS
}

// Counts gives them.
func (s *State) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := len(s.dirty)
	if s.rest != nil {
		pending += s.rest.left
	}
	return Counts{
		Objects:  [kinds]int{len(s.services), len(s.serviceOf), len(s.namespaces), len(s.pods)},
		RRsets:   len(s.desired.sets),
		Pending:  pending,
		Problems: len(s.problems),
	}
}

// Problems gives the objects that are not, or not wholly, in DNS, as lines.
func (s *State) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := make([]string, 0, len(s.problems))
	for object, text := range s.problems {
		lines = append(lines, fmt.Sprintf("%s: %s", object, text))
	}
	slices.Sort(lines)
	return lines
}
