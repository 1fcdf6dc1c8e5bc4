package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/strata-dns/strata/e2e/controlplane"
	"github.com/strata-dns/strata/e2e/stack"
)

// The loads of the table kubernetes.
const (
	clusterQueries = "names of a cluster's Services"
	propagation    = "an EndpointSlice patched, and answered"
)

const (
	clusterServices = 325 // and as many EndpointSlices
	clusterChanges  = 500 // in a round
	changePace      = 10 * time.Millisecond
	changePatience  = 5 * time.Second
	// etcdItself is the row of etcd's own put and watch.
	etcdItself = "etcd's own put → watch"
)

// clustered are the contenders of the table kubernetes.
var clustered = []Contender{
	{Name: "Strata", Ours: true, Program: "authoritative", Version: []string{"version"},
		Files: map[string]string{"kubernetes.yaml": "authoritative.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/authoritative.yaml"}},
	{Name: "CoreDNS kubernetes", Package: coredns, Program: "coredns", Version: []string{"-version"},
		Files: map[string]string{"Corefile.kubernetes": "Corefile"},
		Args:  []string{"-quiet", "-conf", "{{.Dir}}/Corefile"}},
}

// kubernetesCluster measures answers for a cluster's Services, and how late changes
// are, on a real API server with its etcd.
func kubernetesCluster(ctx context.Context, set Setting, command string) (*Run, error) {
	cluster, names, err := startCluster(ctx, set, "cluster")
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	// Where bench's templates expect a master file, here is how the API is reached.
	seat := Seat{Origin: "cluster.local", Zone: cluster.Kubeconfig(controlplane.Admin)}
	for _, port := range []*int{&seat.Upstream, &seat.Dead} { // of the etcd member, for clients and peers
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	t, err := newTable(ctx, set, clustered, command)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(set.Work, "cluster-names")
	if err := os.WriteFile(file, []byte(strings.Join(names, " A\n")+" A\n"), 0o600); err != nil {
		return nil, err
	}
	load := Load{File: file, Clients: set.Clients, Outstanding: set.InFlight, Seconds: set.Seconds}
	t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("kube-apiserver and its etcd (without fsync) are on the CPU of the load; %d headless Services with an EndpointSlice of one endpoint each. Strata is three parts on the server's CPU: monitor, whose CPU time and memory are not in the figures, serve, and an etcd member within it, which syncs to disk.", clusterServices),
		fmt.Sprintf("%d times, at most every %v, an EndpointSlice is patched, and its Service asked for over UDP without a pause. A latency is from the patch's acknowledgement to the answer that has the new address.", clusterChanges, changePace),
		fmt.Sprintf("%q is the time from the call of a put to Strata's etcd to a watch's event, in the same rounds. CoreDNS has no etcd in its way, and answers as soon as it hears of a change, mostly before the patch is acknowledged; where a put alone is later at its p99, or its latest, than CoreDNS's answers, nothing behind it can be sooner.", etcdItself))
	t.run.Commands = set.commands(load)
	t.run.Entries = append(t.run.Entries, Entry{Name: etcdItself})
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		return t.clustered(ctx, cluster, names, load, round, c, s)
	})
	t.run.Settings = append(t.run.Settings, allowance(t.run))
	return t.run, err
}

// clustered is one contender's round.
func (t *table) clustered(ctx context.Context, cluster *controlplane.Cluster, names []string, load Load, round int, c Contender, s *Server) error {
	if c.Ours {
		monitor, err := besideServe(s)
		if err != nil {
			return err
		}
		defer func() { _ = monitor.Kill() }()
	}
	a, err := newAddressee(s.Seat.Port)
	if err != nil {
		return err
	}
	defer a.conn.Close()
	for _, name := range names {
		if err := a.wait(ctx, name, time.Minute); err != nil {
			return fmt.Errorf("%w; the server says: %s", err, s.tail())
		}
	}
	queries, err := t.set.measure(ctx, s, load)
	if err != nil {
		return err
	}
	t.add(queries, clusterQueries, c, round)
	sample, err := account(s, func() (Sample, error) { return a.changes(ctx, cluster.Client, names) })
	if err != nil {
		return err
	}
	t.add(sample, propagation, c, round)
	if !c.Ours {
		return nil
	}
	own, err := t.putAndWatch(ctx, s)
	if err != nil {
		return err
	}
	t.add(own, propagation, Contender{Name: etcdItself}, round)
	return nil
}

// besideServe starts the monitor that feeds a serve, with the same config and CPU.
func besideServe(s *Server) (*stack.Process, error) {
	i := 0
	for i < len(s.args) && s.args[i] != "serve" {
		i++
	}
	args := append(append([]string{}, s.args[:i]...), "monitor")
	if i < len(s.args) {
		args = append(args, s.args[i+1:]...)
	}
	path, err := exec.LookPath("taskset")
	if err != nil {
		return nil, fmt.Errorf("start the monitor: %w", err)
	}
	p := &stack.Process{Name: "monitor", Path: path, Args: args, LogFile: filepath.Join(s.Seat.Dir, "monitor")}
	return p, p.Start()
}

func serviceName(i int) string { return fmt.Sprintf("service-%d", i) }

// startCluster starts one in a folder of that name, and gives its Services' names.
func startCluster(ctx context.Context, set Setting, folder string) (*controlplane.Cluster, []string, error) {
	program, err := controlplane.Program(set.Root)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (make deps)", err)
	}
	dir := filepath.Join(set.Work, folder)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, nil, err
	}
	cluster, err := controlplane.Start(ctx, controlplane.Options{Program: program, Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	names, err := settleCluster(ctx, cluster.Client)
	if err != nil {
		cluster.Close()
		return nil, nil, err
	}
	return cluster, names, nil
}

// settleCluster makes the objects, and gives their names in DNS.
func settleCluster(ctx context.Context, client *kubernetes.Clientset) (names []string, err error) {
	const namespace = "town"
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("settle cluster: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range clusterServices {
		names = append(names, serviceName(i)+"."+namespace+".svc.cluster.local.")
		group.Go(func() error {
			s, e := clusterObjects(i)
			_, err := client.CoreV1().Services(namespace).Create(ctx, s, metav1.CreateOptions{})
			if err == nil {
				_, err = client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, e, metav1.CreateOptions{})
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("settle cluster: %w", err)
	}
	return names, nil
}

// clusterObjects are a headless Service and its EndpointSlice.
func clusterObjects(i int) (*corev1.Service, *discoveryv1.EndpointSlice) {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: serviceName(i)}}
	s.Spec.ClusterIP, s.Spec.Ports = corev1.ClusterIPNone, []corev1.ServicePort{{Name: "http", Port: 80}}
	return s, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: s.Name, Labels: map[string]string{discoveryv1.LabelServiceName: s.Name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{net.IPv4(10, 1, byte(i>>8), byte(i)).String()}}},
	}
}

// An addressee asks for addresses, one question at a time.
type addressee struct {
	conn net.Conn
}

func newAddressee(port int) (*addressee, error) {
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	return &addressee{conn: conn}, nil
}

// ask gives the address that a name has, nil where it has none, or there is no
// answer within 100 ms.
func (a *addressee) ask(query, buffer []byte) net.IP {
	if _, err := a.conn.Write(query); err != nil {
		return nil
	}
	if a.conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)) != nil {
		return nil
	}
	n, err := a.conn.Read(buffer)
	var reply dns.Msg
	if err != nil || reply.Unpack(buffer[:n]) != nil || len(reply.Answer) != 1 || !bytes.EqualFold([]byte(reply.Question[0].Name), []byte(questionName(query))) {
		return nil
	}
	if rr, ok := reply.Answer[0].(*dns.A); ok {
		return rr.A
	}
	return nil
}

func questionName(query []byte) string {
	name, _, err := dns.UnpackDomainName(query, 12)
	if err != nil {
		return ""
	}
	return name
}

// wait waits until a name has an address.
func (a *addressee) wait(ctx context.Context, name string, most time.Duration) error {
	query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	buffer := make([]byte, 512)
	for deadline := time.Now().Add(most); ctx.Err() == nil; {
		if a.ask(query, buffer) != nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ask for %s: no address in %v", name, most)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}

var addresses atomic.Uint32 // no two changes have the same one

// changes patches one EndpointSlice after the other and waits for each to be
// answered.
func (a *addressee) changes(ctx context.Context, client *kubernetes.Clientset, names []string) (Sample, error) {
	var waits []time.Duration
	sample := Sample{}
	began := time.Now()
	for i := range clusterChanges {
		pace := time.After(changePace)
		n := addresses.Add(1)
		to := net.IPv4(10, byte(2+n>>16), byte(n>>8), byte(n)).To4()
		wait, err := a.change(ctx, client, i%clusterServices, names[i%clusterServices], to)
		if err != nil {
			return sample, err
		}
		sample.Asked++
		if wait < 0 {
			sample.Lost++
			wait = changePatience
		}
		waits = append(waits, wait)
		<-pace
	}
	sample.Seconds = time.Since(began).Seconds()
	sample.quantiles(waits)
	return sample, nil
}

func (s *Sample) quantiles(waits []time.Duration) {
	s.P50, s.P99, s.P999 = quantile(waits, 0.5), quantile(waits, 0.99), quantile(waits, 0.999)
	s.Longest = waits[len(waits)-1] // quantile has sorted them
	s.Completed = int64(len(waits)) - s.Lost
}

// change patches a slice, and gives the time from the acknowledgement to the
// answer; -1 where none came in time. An answer before the acknowledgement counts as
// no time at all.
func (a *addressee) change(ctx context.Context, client *kubernetes.Clientset, i int, name string, to net.IP) (time.Duration, error) {
	query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		return 0, fmt.Errorf("ask: %w", err)
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(chan time.Time, 1)
	go func() {
		buffer := make([]byte, 512)
		for asking.Err() == nil {
			if to.Equal(a.ask(query, buffer)) {
				seen <- time.Now()
				return
			}
		}
		close(seen)
	}()
	patch := fmt.Appendf(nil, `{"endpoints":[{"addresses":[%q]}]}`, to)
	_, err = client.DiscoveryV1().EndpointSlices("town").Patch(ctx, serviceName(i), types.MergePatchType, patch, metav1.PatchOptions{})
	acknowledged := time.Now()
	if err != nil {
		stop()
		<-seen
		return 0, fmt.Errorf("patch: %w", err)
	}
	late := time.AfterFunc(changePatience, stop)
	defer late.Stop()
	at, ok := <-seen
	if !ok {
		return -1, nil
	}
	return max(0, at.Sub(acknowledged)), nil
}

// allowance says what becomes of the target that is a sum.
func allowance(run *Run) string {
	ours, a := run.median(propagation, clustered[0].Name, p50)
	theirs, b := run.median(propagation, clustered[1].Name, p50)
	own, c := run.median(propagation, etcdItself, p50)
	if !a || !b || !c {
		return "Target for the median: CoreDNS's + 1.5 × etcd's own put → watch: not measured."
	}
	ms := func(v float64) float64 { return v / float64(time.Millisecond) }
	most := theirs + 1.5*own
	return fmt.Sprintf("Target for the median: at most CoreDNS's + 1.5 × etcd's own put → watch, %.2f + 1.5 × %.2f = %.2f ms; Strata's is %.2f ms: %s.",
		ms(theirs), ms(own), ms(most), ms(ours), yesNo(ours <= most))
}

// putAndWatch measures Strata's etcd by itself, by the benchmark of the package that
// speaks to it.
func (t *table) putAndWatch(ctx context.Context, s *Server) (Sample, error) {
	program := filepath.Join(t.set.Work, "store.test")
	if _, err := os.Stat(program); err != nil {
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./authoritative/store")
		build.Dir = t.set.Root
		if out, err := build.CombinedOutput(); err != nil {
			return Sample{}, fmt.Errorf("build the benchmark: %w: %s", err, out)
		}
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(t.set.LoadCPU), program, "-test.run=^$", "-test.bench=^BenchmarkPutWatch$", fmt.Sprintf("-test.benchtime=%dx", clusterChanges))
	cmd.Env = append(os.Environ(), fmt.Sprintf("STRATA_BENCH_ETCD=http://127.0.0.1:%d", s.Seat.Upstream))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Sample{}, fmt.Errorf("measure etcd's put and watch: %w: %s", err, out)
	}
	sample, err := parsePutWatch(string(out))
	sample.Seconds = time.Since(began).Seconds()
	return sample, err
}

var nanoseconds = regexp.MustCompile(`([\d.]+) (p50|p99|longest)-ns`)

// parsePutWatch reads the benchmark's line.
func parsePutWatch(text string) (sample Sample, err error) {
	found := 0
	for _, m := range nanoseconds.FindAllStringSubmatch(text, -1) {
		ns, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return sample, fmt.Errorf("read etcd's put and watch: %w", err)
		}
		found++
		*map[string]*time.Duration{"p50": &sample.P50, "p99": &sample.P99, "longest": &sample.Longest}[m[2]] = time.Duration(ns)
	}
	if found != 3 {
		return sample, fmt.Errorf("read etcd's put and watch: no figures in %q", text)
	}
	sample.Asked, sample.Completed = clusterChanges, clusterChanges
	return sample, nil
}
