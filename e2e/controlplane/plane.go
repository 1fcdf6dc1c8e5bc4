package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/strata-dns/strata/e2e/stack"
)

// A Cluster is a running control plane. Its processes may be stopped, killed, frozen
// and started again one by one, the API server before etcd.
type Cluster struct {
	Dir         string
	Etcd        *stack.Process
	API         *stack.Process
	Controllers *stack.Process // nil: none
	Client      *kubernetes.Clientset

	// Address is the API server's, host:port. EtcdURL is where etcd's clients go.
	Address, EtcdURL string

	program string
	second  []*stack.Process
	ports   stack.Ports
	web     *http.Client
}

// Options say what to start.
type Options struct {
	Program     string // of [Program]
	Dir         string // an empty folder, for data and logs
	Controllers bool   // those that make EndpointSlices of Services and Pods
}

// startLimit is how long the API server may take until it is ready: three seconds,
// on a machine that does nothing else.
const startLimit = 90 * time.Second

// Start starts a control plane and waits until it is ready. Errors end with what the
// API server wrote last.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{Dir: o.Dir, program: o.Program}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options) error {
	port, err := c.ports.Take()
	if err != nil {
		return err
	}
	c.Address = stack.Loopback(port)
	if err := c.writeSecrets(); err != nil {
		return err
	}
	if err := c.startEtcd(); err != nil {
		return err
	}
	c.API = c.apiServer("kube-apiserver", c.Address)
	if err := c.API.Start(); err != nil {
		return err
	}
	if err := c.Ready(ctx); err != nil {
		return err
	}
	if o.Controllers {
		c.Controllers = c.process("kube-controller-manager", "--kubeconfig="+c.Kubeconfig(Admin), "--leader-elect=false", "--secure-port=0",
			"--controllers=endpointslice-controller,endpointslice-mirroring-controller", "--kube-api-qps=200", "--kube-api-burst=400",
			"--use-service-account-credentials=false")
		return c.Controllers.Start()
	}
	return nil
}

func (c *Cluster) startEtcd() error {
	client, err := c.ports.Take()
	if err != nil {
		return err
	}
	peer, err := c.ports.Take()
	if err != nil {
		return err
	}
	c.EtcdURL = "http://" + stack.Loopback(client)
	at := "http://" + stack.Loopback(peer)
	// Without fsync: what is tested is never the end of the whole machine.
	c.Etcd = c.process("etcd", "--name=e", "--data-dir="+filepath.Join(c.Dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+c.EtcdURL, "--advertise-client-urls="+c.EtcdURL,
		"--listen-peer-urls="+at, "--initial-advertise-peer-urls="+at, "--initial-cluster=e="+at)
	return c.Etcd.Start()
}

// apiServer is an API server at an address, which need not be the cluster's.
func (c *Cluster) apiServer(name, address string) *stack.Process {
	host, port, _ := net.SplitHostPort(address)
	p := c.process("kube-apiserver", "--etcd-servers="+c.EtcdURL, "--cert-dir="+c.path("certs"),
		"--secure-port="+port, "--bind-address="+host, "--advertise-address="+host, "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16,fd96::/108", "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+c.path("sa.key"), "--service-account-signing-key-file="+c.path("sa.key"),
		"--authorization-mode=RBAC", "--token-auth-file="+c.path("tokens.csv"), "--disable-admission-plugins=ServiceAccount",
		"--anonymous-auth=false")
	p.Name, p.LogFile = name, c.path(name+".log")
	return p
}

func (c *Cluster) process(name string, args ...string) *stack.Process {
	return &stack.Process{Name: name, Path: c.program, Args: append([]string{name}, args...), LogFile: c.path(name + ".log")}
}

func (c *Cluster) path(name string) string { return filepath.Join(c.Dir, name) }

// Ready waits until the API server says that it is ready.
func (c *Cluster) Ready(ctx context.Context) error { return c.ready(ctx, c.API, c.Address) }

func (c *Cluster) ready(ctx context.Context, server *stack.Process, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	why := errors.New("never asked")
	err := stack.Until(ctx, func() bool {
		if !server.Running() {
			why = errors.New("it ended")
			return true
		}
		why = c.readyz(ctx, address)
		return why == nil
	})
	if why != nil || err != nil {
		return fmt.Errorf("wait for %s: %w; its log ends:\n%s", server.Name, why, server.Tail(15))
	}
	return nil
}

// readyz asks once. The certificate is there from the first start on.
func (c *Cluster) readyz(ctx context.Context, address string) error {
	if c.Client == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := c.web.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func (c *Cluster) connect() error {
	config, err := c.config(Admin, c.Address)
	if err != nil {
		return err
	}
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfigAndClient(config, web)
	if err == nil {
		c.web, c.Client = web, client
	}
	return err
}

// Second starts another API server on the same etcd, and gives a client of it: for
// what changes while the first one is away. Close ends it.
func (c *Cluster) Second(ctx context.Context) (*stack.Process, *kubernetes.Clientset, error) {
	port, err := c.ports.Take()
	if err != nil {
		return nil, nil, fmt.Errorf("start a second API server: %w", err)
	}
	server := c.apiServer("kube-apiserver-2", stack.Loopback(port))
	if err := server.Start(); err != nil {
		return nil, nil, err
	}
	c.second = append(c.second, server)
	var client *kubernetes.Clientset
	config, err := c.config(Admin, stack.Loopback(port))
	if err == nil {
		client, err = kubernetes.NewForConfig(config)
	}
	if err == nil {
		err = c.ready(ctx, server, stack.Loopback(port))
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start a second API server: %w", err), server.Kill())
	}
	return server, client, nil
}

// Kubectl runs kubectl as the administrator.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return stack.Run(ctx, c.program, append([]string{"kubectl", "--kubeconfig=" + c.Kubeconfig(Admin), "--cache-dir=" + c.path("kubectl")}, args...)...)
}

// Close ends all processes, by their IDs.
func (c *Cluster) Close() error {
	var errs []error
	for _, p := range append(c.second, c.Controllers, c.API, c.Etcd) {
		if p != nil {
			errs = append(errs, p.Kill())
		}
	}
	c.ports.Release()
	return errors.Join(errs...)
}
