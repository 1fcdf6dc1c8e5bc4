package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/strata-dns/strata/e2e/controlplane"
)

const patchedOften = "an EndpointSlice patched among 3,000 changes a minute, and answered"

const (
	patchPace  = 20 * time.Millisecond // 3,000 a minute
	patchers   = 32                    // changes under way at once, at most
	patchesPer = 1000                  // of --seconds: 5,000 changes
)

// propagationLarge measures how late changes to a cluster are answered by a server
// that holds two million records besides.
func propagationLarge(ctx context.Context, set Setting, command string) (*Run, error) {
	cluster, names, err := startCluster(ctx, set, "patched-cluster")
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	k, err := set.keep(ctx)
	if err != nil {
		return nil, err
	}
	defer k.stop()
	set.Rounds, set.ServerCPU = 1, everyCPU
	t, err := newTable(ctx, set, fedRows, command)
	if err != nil {
		return nil, err
	}
	count := patchesPer * set.Seconds
	t.run.Settings = []string{
		fmt.Sprintf("%d times, every %v (3,000 a minute), whether changes before have been answered or not, an EndpointSlice of %d is patched at a kube-apiserver, and its Service asked for over UDP without a pause. A latency is from the patch's acknowledgement to the answer that has the new address.", count, patchPace, clusterServices),
		fmt.Sprintf("The server holds %d RRsets besides, from the same etcd: a member in a process of its own that syncs to disk. kube-apiserver's etcd does not.", set.Large),
		fmt.Sprintf("kube-apiserver, its etcd and the client have CPU %d; the monitor, the server with one worker, and its etcd have all.", set.LoadCPU),
	}
	t.run.Entries = append(t.run.Entries, Entry{Name: etcdItself})
	seat := Seat{Origin: origin, Etcd: k.url, Zone: cluster.Kubeconfig(controlplane.Admin)}
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, set.Large-1, fillPatience); err != nil {
			return err
		}
		monitor, err := besideServe(s)
		if err != nil {
			return err
		}
		defer func() { _ = monitor.Kill() }()
		p, err := newPatching(cluster.Client, names, s.Seat.Port)
		if err != nil {
			return err
		}
		defer p.close()
		for _, name := range names {
			if err := p.asks[0].wait(ctx, name, time.Minute); err != nil {
				return fmt.Errorf("%w; the monitor says: %s", err, monitor.Log())
			}
		}
		sample, err := account(s, func() (Sample, error) { return p.run(ctx, count) })
		if err != nil {
			return err
		}
		sample.CPU = 0 // it is that of the questions without a pause, which nobody counts
		t.add(sample, patchedOften, c, round)
		return k.itself(ctx, t, patchedOften, round)
	})
	return t.run, err
}

// A patching is changes to a cluster at moments fixed beforehand.
type patching struct {
	client *kubernetes.Clientset
	names  []string
	asks   []*addressee // one for each change under way
}

func newPatching(client *kubernetes.Clientset, names []string, port int) (*patching, error) {
	p := &patching{client: client, names: names}
	for range patchers {
		a, err := newAddressee(port)
		if err != nil {
			p.close()
			return nil, err
		}
		p.asks = append(p.asks, a)
	}
	return p, nil
}

func (p *patching) close() {
	for _, a := range p.asks {
		a.conn.Close()
	}
}

// run makes the changes, each at its moment. One whose moment has passed because too
// many are under way is late, and the sample says how late the latest was.
func (p *patching) run(ctx context.Context, count int) (sample Sample, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waits := make([]time.Duration, count)
	free := make(chan *addressee, len(p.asks))
	for _, a := range p.asks {
		free <- a
	}
	var under sync.WaitGroup
	began := time.Now()
	for i := 0; i < count && ctx.Err() == nil; i++ {
		due := began.Add(time.Duration(i) * patchPace)
		time.Sleep(time.Until(due))
		a := <-free
		sample.Late = max(sample.Late, time.Since(due))
		under.Go(func() {
			wait, err := a.change(ctx, p.client, i%len(p.names), p.names[i%len(p.names)], nextAddress())
			if err != nil {
				cancel(err)
			}
			waits[i] = wait
			free <- a
		})
	}
	under.Wait()
	if err := context.Cause(ctx); err != nil {
		return sample, err
	}
	sample.Seconds, sample.Asked = time.Since(began).Seconds(), int64(count)
	for i, wait := range waits {
		if wait < 0 {
			sample.Lost++
			waits[i] = changePatience
		}
	}
	sample.quantiles(waits)
	return sample, nil
}

// nextAddress is one that no change had.
func nextAddress() net.IP {
	n := addresses.Add(1)
	return net.IPv4(10, byte(2+n>>16), byte(n>>8), byte(n)).To4()
}
