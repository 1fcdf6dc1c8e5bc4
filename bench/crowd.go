package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/strata-dns/strata/core/daemon/control"
)

// A crowd stands for the API server of a large cluster: it streams as many objects as
// one would to who watches with initial events (KEP-3157), and then nothing more.
// Filling a real one takes ten minutes and more memory than what is measured.
type crowd struct {
	*http.Server
	services, endpoints int // endpoints of each Service
	url                 string
}

func newCrowd(services, endpoints int) (*crowd, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("stand for an API server: %w", err)
	}
	c := &crowd{services: services, endpoints: endpoints, url: "http://" + listener.Addr().String()}
	c.Server = &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.Serve(listener) }() // until Close
	return c, nil
}

// kubeconfig writes one that leads here.
func (c *crowd) kubeconfig(path string) error {
	config := api.NewConfig()
	config.Clusters["c"] = &api.Cluster{Server: c.url}
	config.Contexts["c"] = &api.Context{Cluster: "c"}
	config.CurrentContext = "c"
	return clientcmd.WriteToFile(*config, path)
}

// ServeHTTP implements http.Handler.
func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kinds := map[string]struct {
		version schema.GroupVersion
		end     runtime.Object
		object  func(int) runtime.Object
		count   int
	}{
		"/api/v1/services":                         {corev1.SchemeGroupVersion, &corev1.Service{ObjectMeta: endOfInitial()}, c.service, c.services},
		"/api/v1/namespaces":                       {corev1.SchemeGroupVersion, &corev1.Namespace{ObjectMeta: endOfInitial()}, nil, 0},
		"/apis/discovery.k8s.io/v1/endpointslices": {discoveryv1.SchemeGroupVersion, &discoveryv1.EndpointSlice{ObjectMeta: endOfInitial()}, c.slice, c.services},
	}
	kind, ok := kinds[r.URL.Path]
	if !ok || r.URL.Query().Get("watch") == "" {
		http.Error(w, "watches of the monitor's three kinds alone", http.StatusNotFound)
		return
	}
	s, err := newStream(w, kind.version)
	if err == nil && r.URL.Query().Get("sendInitialEvents") == "true" {
		for i := 0; i < kind.count && err == nil; i++ {
			err = s.send(watch.Added, kind.object(i))
		}
		if err == nil {
			err = s.send(watch.Bookmark, kind.end)
		}
	}
	if err == nil && s.flush() == nil {
		<-r.Context().Done()
	}
}

func endOfInitial() metav1.ObjectMeta {
	return metav1.ObjectMeta{ResourceVersion: "1000000", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}
}

// A stream is a watch's answer, in protobuf.
type stream struct {
	buffer        *bufio.Writer
	response      http.ResponseWriter
	object, event runtime.Encoder
	frames        interface{ Write([]byte) (int, error) }
}

func newStream(w http.ResponseWriter, version schema.GroupVersion) (*stream, error) {
	info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		return nil, fmt.Errorf("stream: no %s", runtime.ContentTypeProtobuf)
	}
	w.Header().Set("Content-Type", runtime.ContentTypeProtobuf+";stream=watch")
	s := &stream{buffer: bufio.NewWriterSize(w, 64<<10), response: w}
	s.frames = info.StreamSerializer.Framer.NewFrameWriter(s.buffer)
	s.object = scheme.Codecs.EncoderForVersion(info.Serializer, version)
	s.event = scheme.Codecs.EncoderForVersion(info.StreamSerializer.Serializer, version)
	return s, nil
}

func (s *stream) send(typ watch.EventType, object runtime.Object) error {
	raw, err := runtime.Encode(s.object, object)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return s.event.Encode(&metav1.WatchEvent{Type: string(typ), Object: runtime.RawExtension{Raw: raw}}, s.frames)
}

func (s *stream) flush() error {
	if err := s.buffer.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(s.response).Flush()
}

// crowdMeta is what an API server's objects have beside what DNS needs.
func crowdMeta(i int) metav1.ObjectMeta {
	name := serviceName(i)
	return metav1.ObjectMeta{
		Name: name, Namespace: fmt.Sprintf("namespace-%d", i%500), ResourceVersion: fmt.Sprint(i + 1),
		UID: "01234567-89ab-cdef-0123-456789abcdef", CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000, 0)),
		Labels:        map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "town", discoveryv1.LabelServiceName: name},
		Annotations:   map[string]string{"example.com/owner": strings.Repeat("somebody ", 10)},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(strings.Repeat(`{"f:spec":{}}`, 40))}},
	}
}

func (c *crowd) service(i int) runtime.Object {
	s := &corev1.Service{ObjectMeta: crowdMeta(i)}
	s.Spec.ClusterIP, s.Spec.Ports = corev1.ClusterIPNone, []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}
	return s
}

func (c *crowd) slice(i int) runtime.Object {
	ready, port, name, tcp := true, int32(8080), "http", corev1.ProtocolTCP
	e := &discoveryv1.EndpointSlice{
		ObjectMeta: crowdMeta(i), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &name, Protocol: &tcp, Port: &port}},
	}
	for j := range c.endpoints {
		n := i*c.endpoints + j
		host, node := fmt.Sprintf("pod-%d", j), fmt.Sprintf("node-%d", n%1000)
		e.Endpoints = append(e.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{net.IPv4(10, byte(n>>16), byte(n>>8), byte(n)).String()}, Hostname: &host, NodeName: &node,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: e.Namespace, Name: fmt.Sprintf("%s-%d", e.Name, j)},
		})
	}
	return e
}

// crowded are the contenders of the table kubernetes-memory.
var crowded = []Contender{clustered[0]}

const (
	crowdServices  = 50_000
	crowdEndpoints = 10 // of each
	crowdLimit     = 20 * time.Minute
)

// kubernetesMemory measures the monitor of a large cluster, with all its records
// written.
func kubernetesMemory(ctx context.Context, set Setting, command string) (*Run, error) {
	c, err := newCrowd(crowdServices, crowdEndpoints)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	seat := Seat{Origin: "cluster.local", Zone: filepath.Join(set.Work, "kubeconfig")}
	if err := c.kubeconfig(seat.Zone); err != nil {
		return nil, err
	}
	for _, port := range []*int{&seat.Upstream, &seat.Dead} {
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	set.Rounds = 1 // it takes minutes, and memory is the same each time
	t, err := newTable(ctx, set, crowded, command)
	if err != nil {
		return nil, err
	}
	t.run.Settings = append(set.sentences()[:1],
		fmt.Sprintf("%d headless Services with %d endpoints each, all with hostnames: %d RRsets and more. A fake streams the objects as an API server does; the records go to a real etcd. Memory is the monitor's alone, after its first full sync.",
			crowdServices, crowdEndpoints, 2*crowdServices*crowdEndpoints))
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, began time.Time) error {
		monitor, err := besideServe(s)
		if err != nil {
			return err
		}
		defer func() { _ = monitor.Kill() }()
		if err := written(ctx, filepath.Join(s.Seat.Dir, "monitor.sock")); err != nil {
			return fmt.Errorf("%w; the monitor says: %s", err, monitor.Log())
		}
		sample := Sample{LoadTime: time.Since(began)}
		if sample.Resident, sample.Peak, err = settled(ctx, monitor.PID()); err != nil {
			return err
		}
		t.add(sample, loaded, c, round)
		return nil
	})
	return t.run, err
}

// written waits until a monitor says at its control socket that it is ready: all
// records are written.
func written(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		var out bytes.Buffer
		var status struct{ Ready bool }
		err := control.Do(ctx, socket, control.Request{Args: []string{"status"}, JSON: true}, &out)
		if err == nil && json.Unmarshal(out.Bytes(), &status) == nil && status.Ready {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the records: %w, %v: %s", ctx.Err(), err, out.Bytes())
		}
	}
}
