//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/strata-dns/strata/core/plane"
)

// A server is the plane of all ports.
type server struct {
	options Options
	eal     *environment
	kernel  *kernel
	threads *threads
	ports   []*port
	queues  []*queue
	begin   sync.Mutex // start is whole, or has not begun, to who holds it
	ended   bool
	workers sync.WaitGroup
	keeper  sync.WaitGroup // of the other threads, until resting is closed
	resting chan struct{}
	serving atomic.Bool
	lost    atomic.Bool // an interface
	cut     atomic.Bool // from a server of net_memif
	unwatch func()      // nil: nobody watches the interfaces
	failed  chan error
	reading sync.Mutex // the queues' memory is there to who holds it
	gone    bool
}

// Open takes the ports. From then on their frames are taken in, and answered once
// Run is called. A process can do it once. All threads of the process are moved off the
// lcores, and the collector runs by a memory limit alone.
func Open(o Options) (Plane, error) {
	s, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("dpdk: %w", err)
	}
	return s, nil
}

func open(o Options) (s *server, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	processors := runtime.GOMAXPROCS(0) + len(o.Lcores)
	threads, before, err := keepOff(o.Lcores)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, moveAll(&before))
		}
	}()
	if threads.home.Count() == before.Count() {
		o.Log.Warn("lcores are all CPUs there are: other threads of the process will disturb them", "lcores", o.Lcores)
	}
	huge := hugePages()
	if huge == 0 {
		o.Log.Warn("no free huge pages: buffers are on ordinary ones, which costs look-ups of addresses, and is refused by drivers of real cards; set vm.nr_hugepages")
	}
	s = &server{options: o, threads: threads, failed: make(chan error, len(o.Lcores)), resting: make(chan struct{})}
	if s.kernel, err = shareInterfaces(&o); err != nil {
		return nil, err
	}
	if err := clearSockets(o.EAL, o.Log); err != nil {
		return nil, errors.Join(err, s.kernel.end())
	}
	if s.eal, err = startEnvironment(arguments(&o, first(&threads.home), huge), o.Log); err != nil {
		return nil, errors.Join(err, s.kernel.end())
	}
	if s.ports, err = findPorts(&o); err == nil {
		err = s.take()
	}
	if err == nil {
		err = s.kernel.begin(s)
	}
	if err != nil {
		err = errors.New(err.Error() + s.eal.said())
		if e := s.giveBack(); e != nil {
			err = fmt.Errorf("%w; and give back: %w", err, e)
		}
		return nil, s.kernel.explain(err)
	}
	calm()
	// One for each lcore besides those that all else has. Said once, the runtime does not
	// count again by the CPUs that are left.
	runtime.GOMAXPROCS(processors)
	return s, nil
}

func (o *Options) check() error {
	switch {
	case len(o.Lcores) == 0:
		return errors.New("no lcore")
	case o.Room < 512 || o.Room > MaxRoom:
		return fmt.Errorf("replies of up to %d octets; a frame has room for 512 to %d", o.Room, MaxRoom)
	case o.Handler == nil:
		return errors.New("no handler")
	}
	for i, cpu := range o.Lcores {
		if slices.Contains(o.Lcores[:i], cpu) {
			return fmt.Errorf("lcore %d stands twice", cpu)
		}
	}
	return checkDevices(o.EAL)
}

// take opens the ports and makes a queue for each lcore.
func (s *server) take() error {
	for _, p := range s.ports {
		if err := p.open(len(s.options.Lcores)); err != nil {
			return err
		}
	}
	for i, lcore := range s.options.Lcores {
		q, err := newQueue(lcore, i, s.ports, &s.options)
		if err != nil {
			return err
		}
		s.queues = append(s.queues, q)
	}
	return nil
}

// giveBack undoes what take and begin have done.
func (s *server) giveBack() error {
	err := s.kernel.endTaps()
	for _, p := range s.ports {
		p.stop()
	}
	s.reading.Lock()
	s.gone = true
	for _, q := range s.queues {
		q.end()
	}
	s.reading.Unlock()
	for _, p := range s.ports {
		p.close()
	}
	s.eal.close()
	return errors.Join(err, s.kernel.end())
}

// Run implements Plane.
func (s *server) Run(ctx context.Context) error {
	s.start()
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
		err = fmt.Errorf("serve %s: %w", s, err)
	}
	return errors.Join(err, s.Close())
}

func (s *server) start() {
	s.begin.Lock()
	defer s.begin.Unlock()
	if s.ended {
		return
	}
	s.keeper.Go(func() { s.threads.keep(s.resting) })
	s.unwatch = s.watchInterfaces()
	if all := s.clients(); len(all) > 0 {
		s.keeper.Go(func() { s.watchServers(all) })
	}
	for i, q := range s.queues {
		s.workers.Go(func() {
			if err := s.work(i, q); err != nil {
				s.failed <- err
			}
		})
	}
	s.serving.Store(true)
}

// work polls on the queue's lcore until the queue is closed.
func (s *server) work(i int, q *queue) error {
	if err := s.threads.begin(q.lcore, q.c); err != nil {
		return err
	}
	defer s.threads.end(q.lcore, q.c)
	q.threads = s.threads
	handler, batch := s.options.Handler(i), make([]plane.Packet, burst)
	for {
		n, err := q.Receive(batch)
		if err != nil { // it was closed
			return nil
		}
		handler.Answer(batch[:n], q)
		q.Send(batch[:n])
	}
}

// Ready implements Plane: it polls, and its interfaces and peers that listen are there.
func (s *server) Ready() bool { return s.serving.Load() && !s.lost.Load() && !s.cut.Load() }

// String names the ports: "dpdk net_af_xdp0".
func (s *server) String() string {
	names := make([]string, len(s.ports))
	for i, p := range s.ports {
		names[i] = p.String()
	}
	return "dpdk " + strings.Join(names, " ")
}

// Drain implements Plane.
func (s *server) Drain(ctx context.Context) error {
	s.kernel.settle(ctx, s)
	s.end()
	done := make(chan struct{})
	go func() { s.workers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain %s: %w", s, ctx.Err())
	}
}

// end has the queues end, or never begin.
func (s *server) end() {
	s.begin.Lock()
	defer s.begin.Unlock()
	s.ended = true
	s.serving.Store(false)
	for _, q := range s.queues {
		q.Close()
	}
}

// Counts implements Plane.
func (s *server) Counts() (all []Counts) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.gone {
		return nil
	}
	for _, q := range s.queues {
		all = append(all, q.read())
	}
	return all
}

// Ports implements Plane.
func (s *server) Ports() (all []PortCounts) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.gone {
		return nil
	}
	for _, p := range s.ports {
		all = append(all, p.read())
	}
	return all
}

// Close implements Plane.
func (s *server) Close() error {
	s.end()
	s.workers.Wait()
	s.begin.Lock()
	defer s.begin.Unlock()
	if !s.gone {
		close(s.resting)
		if s.unwatch != nil {
			s.unwatch()
		}
		s.keeper.Wait()
		return s.giveBack()
	}
	return nil
}
