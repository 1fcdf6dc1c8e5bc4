package kube

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryv1client "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// An API is what is used of a cluster's API; kubernetes.Interface has it.
type API interface {
	CoreV1() corev1client.CoreV1Interface
	DiscoveryV1() discoveryv1client.DiscoveryV1Interface
}

type clients struct {
	core      *corev1client.CoreV1Client
	discovery *discoveryv1client.DiscoveryV1Client
}

func (c clients) CoreV1() corev1client.CoreV1Interface                { return c.core }
func (c clients) DiscoveryV1() discoveryv1client.DiscoveryV1Interface { return c.discovery }

// Connect makes clients for the cluster of a kubeconfig, or for the one this process
// runs in where there is none. It does not wait for the cluster, which may be away.
func Connect(kubeconfig string) (API, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.UserAgent = "strata-monitor"
	config.Dial = patientDialer.DialContext
	config.QPS = -1 // lists and watches, and few events: there is nothing to hold back
	var c clients
	if c.core, err = corev1client.NewForConfig(config); err == nil {
		c.discovery, err = discoveryv1client.NewForConfig(config)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return c, nil
}

// patientDialer notices within seconds that a machine is gone, or was started again
// and knows nothing of a connection: a watch only listens, and HTTP/2's own pings
// take 45 s for it.
var patientDialer = net.Dialer{
	Timeout:         5 * time.Second,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3},
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("connect to Kubernetes from within: %w; elsewhere, monitor.kubeconfig or monitor.manifests is needed", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return config, nil
}

// A Cluster tells a State of the objects of a cluster, by a list and a watch of each
// kind. client-go's reflectors keep them up; what they bring goes straight to the
// State, so that each object is in memory once.
type Cluster struct {
	state *State
	api   API
	log   *slog.Logger
	kinds []*reflection
	aloud *announcer
}

// NewCluster makes a source; Run sets it going. Pods are watched if asked for.
func NewCluster(state *State, api API, pods bool, log *slog.Logger) *Cluster {
	c := &Cluster{state: state, api: api, log: log, aloud: newAnnouncer(api, log)}
	state.announce = c.aloud.take
	const all = corev1.NamespaceAll
	follow(c, Services, &corev1.Service{}, api.CoreV1().Services(all))
	follow(c, EndpointSlices, &discoveryv1.EndpointSlice{}, api.DiscoveryV1().EndpointSlices(all))
	follow(c, Namespaces, &corev1.Namespace{}, api.CoreV1().Namespaces())
	if pods {
		follow(c, Pods, &corev1.Pod{}, api.CoreV1().Pods(all))
	}
	return c
}

// A lister is the client of one kind.
type lister[List runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (List, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// patience says how soon the API server is tried again: a second at most, so that
// what changed while it was away is answered soon after it is back.
var patience = wait.Backoff{Duration: 100 * time.Millisecond, Cap: time.Second, Factor: 1.5, Steps: 10, Jitter: 0.2}

func follow[List runtime.Object](c *Cluster, kind Kind, object runtime.Object, client lister[List]) {
	r := &reflection{cluster: c, kind: kind}
	calls := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := client.List(ctx, options)
			r.heard(ctx, err)
			if err == nil {
				err = slimList(list)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := client.Watch(ctx, options)
			r.heard(ctx, err)
			return w, err
		},
	}
	backoff := patience
	r.reflector = cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(calls, c.api), object, r,
		cache.ReflectorOptions{Name: kind.String(), Backoff: &backoff})
	c.kinds = append(c.kinds, r)
}

// Run implements daemon.Task.
func (c *Cluster) Run(ctx context.Context) error {
	quiet := klog.NewContext(ctx, klog.Logger{}) // what is wrong is said here, once
	var running sync.WaitGroup
	for _, r := range c.kinds {
		running.Go(func() { r.reflector.RunWithContext(quiet) })
	}
	running.Go(func() { c.aloud.run(ctx) })
	running.Wait()
	return nil
}

// Rewound tells whether the cluster's history ends before a resource version that
// was seen in it. The list is one of etcd's quorum, not of a cache.
func (c *Cluster) Rewound(ctx context.Context, position int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := c.api.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return false, fmt.Errorf("ask for the newest resource version: %w", err)
	}
	newest, err := strconv.ParseInt(list.ResourceVersion, 10, 64)
	if err != nil {
		return false, fmt.Errorf("resource version %q is not a number", list.ResourceVersion)
	}
	return newest < position, nil
}

// synced tells the State when all kinds were listed once.
func (c *Cluster) synced() {
	if !slices.ContainsFunc(c.kinds, func(r *reflection) bool { return !r.listed.Load() }) {
		c.state.Synced()
	}
}

// Ready implements daemon.Task: all kinds were listed, and the API server answers.
func (c *Cluster) Ready() bool {
	return !slices.ContainsFunc(c.kinds, func(r *reflection) bool { return !r.listed.Load() || r.trouble.Load() != nil })
}

// Reason implements daemon.Reasoner.
func (c *Cluster) Reason() string {
	for _, r := range c.kinds {
		if trouble := r.trouble.Load(); trouble != nil {
			return *trouble
		}
	}
	return ""
}

// String implements daemon.Task.
func (c *Cluster) String() string { return "objects of the cluster" }
