package socket

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// A Server serves one address by UDP and TCP, or by TLS alone. It has the methods of
// a daemon's task: Run, Ready, String and Drain.
type Server struct {
	options Options
	udp     *UDP // without queues where it serves TLS
	stream  *TCP
	begin   sync.Mutex // start is whole, or has not begun, to who holds it
	ended   bool       // drained before it began: never starts
	workers sync.WaitGroup
	serving atomic.Bool
	once    sync.Once
	failed  chan error
	kept    bool // another process has the sockets; under begin, as is heir
	heir    Heir
}

// Options are what a Server is made of.
type Options struct {
	UDP UDPOptions
	TCP TCPOptions // with TLS there is no UDP
	// CPUs pins worker i to CPUs[i]; empty: none is pinned.
	CPUs []int
	// Handler makes the handler of one worker. Workers 0 to UDP.Workers-1 answer
	// datagrams, but for TLS; each further one the streams of one queue. Each handler
	// is called by one goroutine.
	Handler func(worker int) plane.Handler
	// Pending tells how many late answers are owed; draining waits for them.
	// nil: answers are never late.
	Pending func() int
	// Hold, when set, keeps Run from taking queries until it is closed: another
	// process that has the same sockets still does.
	Hold <-chan struct{}
}

// NewServer opens the sockets of an address: from then on queries are taken in,
// and answered once Run is called. Both protocols get the same port.
func NewServer(address netip.AddrPort, o Options) (*Server, error) {
	if o.Handler == nil {
		return nil, fmt.Errorf("listen %s: no handler", address)
	}
	if len(o.CPUs) > 0 && len(o.CPUs) < max(1, o.UDP.Workers) {
		return nil, fmt.Errorf("listen %s: %d CPUs for %d workers", address, len(o.CPUs), o.UDP.Workers)
	}
	s := &Server{options: o}
	if err := s.listen(address); err != nil {
		return nil, err
	}
	return s, nil
}

// portTries bounds how often a free port is sought that is free for both.
const portTries = 16

// listen opens UDP and TCP on one address. Where any port will do, one that is
// free for datagrams may be taken for streams: then another is tried.
func (s *Server) listen(address netip.AddrPort) (err error) {
	if s.options.TCP.TLS != nil {
		if s.stream, err = ListenTCP(address, s.options.TCP); err == nil {
			s.udp = &UDP{address: s.stream.Address()}
		}
		return err
	}
	for try := 1; ; try++ {
		udp, err := ListenUDP(address, s.options.UDP)
		if err != nil {
			return err
		}
		tcp, err := ListenTCP(udp.Address(), s.options.TCP)
		if err == nil {
			s.udp, s.stream = udp, tcp
			return nil
		}
		udp.Close()
		if address.Port() != 0 || try == portTries || !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
	}
}

// Inherit sorts sockets from the service manager into the options: datagram
// sockets become the workers', the listening stream socket TCP's.
func (o *Options) Inherit(files []*os.File) error {
	for _, file := range files {
		stream, err := isStream(file)
		switch {
		case err != nil:
			return fmt.Errorf("inherit socket %q: %w", file.Name(), err)
		case !stream:
			o.UDP.Files = append(o.UDP.Files, file)
		case o.TCP.File != nil:
			return fmt.Errorf("inherit socket %q: there is another stream socket", file.Name())
		default:
			o.TCP.File = file
		}
	}
	return nil
}

// Address is where it listens, with the port that was picked.
func (s *Server) Address() netip.AddrPort { return s.udp.Address() }

// Counts returns what each UDP worker has done, and the TCP or TLS listener.
func (s *Server) Counts() ([]Counts, StreamCounts) { return s.udp.Counts(), s.stream.Counts() }

// Run answers queries until ctx is done, and returns once all is closed.
func (s *Server) Run(ctx context.Context) error {
	if s.options.Hold != nil {
		select {
		case <-s.options.Hold:
		case <-ctx.Done():
			return s.Close()
		}
	}
	s.start()
	defer s.serving.Store(false)
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
		err = fmt.Errorf("serve %s: %w", s.Address(), err)
	}
	s.Close()
	s.workers.Wait()
	return err
}

// start starts the workers. Where Drain came first nobody is to be served any more.
func (s *Server) start() {
	s.begin.Lock()
	defer s.begin.Unlock()
	if s.ended {
		return
	}
	queues := s.udp.Queues()
	datagram := len(queues)
	queues = append(queues, s.stream.Queues()...)
	s.failed = make(chan error, len(queues))
	for worker, queue := range queues {
		s.workers.Go(func() {
			if err := s.work(worker, queue, worker < datagram); err != nil {
				s.failed <- err
			}
		})
	}
	s.serving.Store(true)
}

// work serves one queue. Streams wait in Go's own way and need no thread.
func (s *Server) work(worker int, queue plane.Queue, datagram bool) error {
	handler := s.options.Handler(worker)
	if !datagram {
		return loop(queue, handler)
	}
	cpu := AnyCPU
	if len(s.options.CPUs) > 0 {
		cpu = s.options.CPUs[worker]
	}
	return Serve(queue, handler, cpu)
}

// Ready tells whether queries are answered; while Run is held, by the other process.
func (s *Server) Ready() bool { return s.serving.Load() || s.held() }

func (s *Server) held() bool {
	if s.options.Hold == nil {
		return false
	}
	select {
	case <-s.options.Hold:
		return false
	default:
		return true
	}
}

// ReceiveBuffer is [UDP.ReceiveBuffer].
func (s *Server) ReceiveBuffer() int { return s.udp.ReceiveBuffer() }

// String names the server: "socket 127.0.0.1:53".
func (s *Server) String() string { return "socket " + s.Address().String() }

// Drain stops receiving, answers what is in flight, lets clients take their
// replies, and returns when that is done, or with ctx's error. Run goes on until
// its own context ends.
func (s *Server) Drain(ctx context.Context) error {
	s.begin.Lock()
	s.ended = true
	kept, heir := s.kept, s.heir
	s.begin.Unlock()
	s.serving.Store(false)
	s.udp.stop(kept)
	s.stream.stop(kept, heir)
	ended := make(chan struct{})
	go func() { s.workers.Wait(); close(ended) }()
	select {
	case <-ended:
		s.awaitLate(ctx)
		s.stream.Settle(ctx)
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("drain %s: %w", s, err)
	}
	return nil
}

func (s *Server) awaitLate(ctx context.Context) {
	if s.options.Pending == nil {
		return
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for s.options.Pending() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close ends everything at once. It may be called more than once.
func (s *Server) Close() error {
	var errs []error
	s.once.Do(func() {
		errs = append(errs, s.udp.Close())
		errs = append(errs, s.stream.Close())
	})
	return errors.Join(errs...)
}
