package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Scanner makes checks, thousands at a time, on one goroutine: sockets that do
// not block and one epoll instance. A goroutine for each check, with net.Dialer,
// takes some three times as long and allocates four times as much (BenchmarkDial).
type Scanner struct {
	timeout time.Duration
	epoll   int
	wake    int // an eventfd

	mu     sync.Mutex
	asked  []*attempt
	closed bool

	flying map[int32]*attempt // by descriptor; the loop's
	order  []*attempt         // as they began, for their ends; the loop's
	first  int                // of order
	sends  uint16             // numbers the attempts
}

// An attempt is one check under way.
type attempt struct {
	target  Target
	done    func(error)
	end     time.Time
	fd      int
	sent    bool
	raw     bool // ICMP on a raw socket, which hears others' answers, too
	id      uint16
	got     []byte // HTTP: of the answer
	settled bool
}

// NewScanner makes a scanner whose checks take as long as timeout; Run sets it going.
func NewScanner(timeout time.Duration) (*Scanner, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a scanner: epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)})
	}
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("make a scanner: eventfd: %w", err)
	}
	return &Scanner{timeout: timeout, epoll: epoll, wake: wake, flying: map[int32]*attempt{}}, nil
}

// Start makes a check. done is called once, on the scanner's goroutine: with nil
// where the address answers. An error that is ErrLocal says nothing about it. After
// Run has ended nothing is done.
func (s *Scanner) Start(target Target, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.asked = append(s.asked, &attempt{target: target, done: done, fd: -1})
	if len(s.asked) == 1 {
		s.knock()
	}
}

// knock wakes the loop. s.mu is held: the descriptor is not to be another's yet.
func (s *Scanner) knock() {
	one := [8]byte{0: 1}
	_, _ = unix.Write(s.wake, one[:]) // full only where it is awake already
}

// Run makes checks until ctx ends. It can be called once.
func (s *Scanner) Run(ctx context.Context) error {
	defer s.close()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			s.knock()
		}
	})
	defer stop()
	events := make([]unix.EpollEvent, 512)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(s.epoll, events, s.patience())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for answers: %w", err)
		}
		// What has come counts before what is late: the process may have been stopped.
		for i := range max(n, 0) {
			s.event(&events[i])
		}
		if n < len(events) {
			s.expire(time.Now())
		}
		s.begin()
	}
	return nil
}

func (s *Scanner) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for fd := range s.flying {
		unix.Close(int(fd))
	}
	unix.Close(s.epoll)
	unix.Close(s.wake)
}

// patience is how long nothing has to be done, in ms; -1: for ever.
func (s *Scanner) patience() int {
	for s.first < len(s.order) && s.order[s.first].settled {
		s.order[s.first] = nil
		s.first++
	}
	if s.first == len(s.order) {
		s.order, s.first = s.order[:0], 0
		return -1
	}
	if s.first > 4096 && s.first > len(s.order)/2 {
		n := copy(s.order, s.order[s.first:])
		clear(s.order[n:])
		s.order, s.first = s.order[:n], 0
	}
	return int(max(time.Until(s.order[s.first].end), 0)/time.Millisecond) + 1
}

// expire ends what has taken too long. UDP is silent where all is well, too: what
// was not refused is taken.
func (s *Scanner) expire(now time.Time) {
	for i := s.first; i < len(s.order) && !s.order[i].end.After(now); i++ {
		switch a := s.order[i]; {
		case a.settled:
		case a.target.Check.Kind == UDP:
			s.settle(a, nil)
		default:
			s.settle(a, errTimeout)
		}
	}
}

var errTimeout = errors.New("no answer in time")

// settle ends an attempt.
func (s *Scanner) settle(a *attempt, err error) {
	a.settled, a.got = true, nil
	if a.fd >= 0 {
		delete(s.flying, int32(a.fd))
		unix.Close(a.fd) // leaves epoll by that
	}
	a.done(err)
}

// begin starts what was asked for.
func (s *Scanner) begin() {
	s.mu.Lock()
	asked := s.asked
	s.asked = nil
	s.mu.Unlock()
	end := time.Now().Add(s.timeout)
	for _, a := range asked {
		a.end = end
		s.sends++
		a.id = s.sends
		if err := s.open(a); err != nil {
			s.settle(a, err)
			continue
		}
		s.flying[int32(a.fd)] = a
		s.order = append(s.order, a)
	}
}

// open makes an attempt's socket, connects it and has epoll look at it.
func (s *Scanner) open(a *attempt) error {
	var err error
	if a.fd, a.raw, err = socket(a.target); err != nil {
		a.fd = -1
		return fmt.Errorf("%w: socket: %w", ErrLocal, err)
	}
	kind := a.target.Check.Kind
	if kind == TCP { // a reset leaves no TIME-WAIT behind, of which there would be 200,000
		_ = unix.SetsockoptLinger(a.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	err = unix.Connect(a.fd, sockaddr(a.target))
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return verdict("connect", err)
	}
	want := uint32(unix.EPOLLOUT)
	if kind == UDP || kind == ICMP {
		want = unix.EPOLLIN
		if err := a.send(); err != nil {
			return verdict("send", err)
		}
	}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, a.fd, &unix.EpollEvent{Events: want, Fd: int32(a.fd)}); err != nil {
		return fmt.Errorf("%w: epoll: %w", ErrLocal, err)
	}
	return nil
}

// verdict tells errors about the address from errors that are this machine's own.
func verdict(op string, err error) error {
	for _, own := range []error{unix.EADDRNOTAVAIL, unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EPERM, unix.EACCES, unix.EAGAIN, unix.EAFNOSUPPORT} {
		if errors.Is(err, own) {
			return fmt.Errorf("%w: %s: %w", ErrLocal, op, err)
		}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// event takes what epoll says of a descriptor.
func (s *Scanner) event(ev *unix.EpollEvent) {
	if int(ev.Fd) == s.wake {
		var b [8]byte
		_, _ = unix.Read(s.wake, b[:])
		return
	}
	a := s.flying[ev.Fd]
	if a == nil {
		return
	}
	if code, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		s.settle(a, verdict("connect", unix.Errno(code)))
		return
	}
	if over, err := s.advance(a); over || err != nil {
		s.settle(a, err)
	}
}

// advance does the next step of an attempt whose socket is ready for it.
func (s *Scanner) advance(a *attempt) (over bool, err error) {
	switch a.target.Check.Kind {
	case TCP:
		return true, nil
	case UDP:
		_, err := a.read()
		return true, err
	case ICMP:
		b, err := a.read()
		return err == nil && a.echoed(b), err
	}
	if !a.sent {
		a.sent = true
		if err := a.send(); err != nil {
			return true, verdict("send", err)
		}
		err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, a.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(a.fd)})
		return false, err
	}
	b, err := a.read()
	if err != nil {
		return true, err
	}
	a.got = append(a.got, b...)
	return status(a.got, len(b) == 0)
}
