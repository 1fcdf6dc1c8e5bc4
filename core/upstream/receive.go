package upstream

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize  = 64   // datagrams read before they are looked at
	bufferSize = 2048 // octets of one; we ask for at most 1232
)

// An epoll tells which of a shard's sockets have something. The receiving goroutine
// has the runtime's poller wait for the epoll's own descriptor, so that waiting takes no
// thread; with a thread in epoll_wait(2), a process on one CPU would answer late.
type epoll struct {
	fd    int
	event int // an eventfd: wakes the receiver

	// Of the receiver, for peek: kept here so that waiting allocates nothing.
	ready [batchSize]unix.EpollEvent
	n     int
	errno unix.Errno
	look  func(fd uintptr) bool

	file *os.File // a copy of fd, which the runtime's poller knows; nil where nobody waits by it
	raw  syscall.RawConn
}

func (e *epoll) open() error {
	var err error
	if e.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create an epoll: %w", err)
	}
	if e.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		_ = unix.Close(e.fd)
		return fmt.Errorf("create an eventfd: %w", err)
	}
	e.look = e.peek
	if err = e.attach(); err == nil {
		err = e.watch(e.event)
	}
	if err != nil {
		e.close()
		return fmt.Errorf("watch an epoll: %w", err)
	}
	return nil
}

// attach has the runtime's poller know the epoll.
func (e *epoll) attach() error {
	fd, err := unix.FcntlInt(uintptr(e.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.SetNonblock(fd, true) // tells os.NewFile to hand it to the poller
	e.file = os.NewFile(uintptr(fd), "epoll")
	if e.raw, err = e.file.SyscallConn(); err != nil {
		e.detach()
	}
	return err
}

// detach has it forget the epoll: it would be woken by what others wait for.
func (e *epoll) detach() {
	if e.file != nil {
		_ = e.file.Close()
	}
	e.file, e.raw = nil, nil
}

func (e *epoll) watch(fd int) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// poke wakes the receiver.
func (e *epoll) poke() {
	one := [8]byte{1}
	_, _ = unix.Write(e.event, one[:])
}

func (e *epoll) close() {
	e.detach()
	_ = unix.Close(e.fd)
	_ = unix.Close(e.event)
}

// wait blocks until descriptors have something and returns them.
func (e *epoll) wait() ([]unix.EpollEvent, error) {
	e.n, e.errno = 0, 0
	if e.raw == nil { // out of descriptors
		n, err := unix.EpollWait(e.fd, e.ready[:], -1)
		return e.ready[:max(n, 0)], err
	}
	if err := e.raw.Read(e.look); err != nil {
		return nil, fmt.Errorf("wait for an epoll: %w", err)
	}
	if e.errno != 0 {
		return nil, fmt.Errorf("wait for an epoll: %w", e.errno)
	}
	return e.ready[:e.n], nil
}

// now gives what has something now.
func (e *epoll) now() []unix.EpollEvent {
	e.n, e.errno = 0, 0
	e.peek(uintptr(e.fd))
	return e.ready[:e.n]
}

// peek asks without blocking and reports whether there is an outcome.
func (e *epoll) peek(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd,
		uintptr(unsafe.Pointer(&e.ready[0])), batchSize, 0, 0, 0)
	switch errno {
	case 0:
		e.n = int(n)
	case unix.EINTR:
	default:
		e.errno = errno
	}
	return e.n > 0 || e.errno != 0
}

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// A batch is what one goroutine reads datagrams into.
type batch struct {
	messages [batchSize]message
	vectors  [batchSize]unix.Iovec
	from     [batchSize]int32 // descriptors
	errors   []readError
	n        int
	memory   []byte
}

type readError struct {
	fd    int32
	errno unix.Errno
}

func newBatch() *batch {
	b := &batch{memory: make([]byte, batchSize*bufferSize)}
	for i := range b.messages {
		b.vectors[i].Base = &b.memory[i*bufferSize]
		b.vectors[i].SetLen(bufferSize)
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.SetIovlen(1)
	}
	return b
}

// read takes what a socket has, as far as there is room.
func (b *batch) read(fd int32) {
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[b.n])),
		uintptr(batchSize-b.n), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		if errno != unix.EAGAIN && errno != unix.EINTR {
			b.errors = append(b.errors, readError{fd, errno})
		}
		return
	}
	for range got {
		b.from[b.n] = fd
		b.n++
	}
}

func (b *batch) message(i int) (msg []byte, cut bool) {
	m := &b.messages[i]
	return b.memory[i*bufferSize:][:m.length], m.header.Flags&unix.MSG_TRUNC != 0
}

// A receiver reads a shard's replies: its goroutine, or who tends it.
type receiver struct {
	*batch
	outbox
}

// receive reads replies until the engine closes, or somebody tends the shard.
func (s *shard) receive() {
	var r receiver
	r.batch = newBatch()
	for {
		ready, err := s.epoll.wait()
		poked := s.read(ready, &r) || err != nil // an error cannot be; but then look whether it is the end
		if poked && s.poked() {
			s.engine.running.Done()
			return
		}
		if poked && s.yields() {
			return
		}
	}
}

// read takes what sockets have, a batch at most: the rest is there the next time. It
// reports whether the receiver was poked.
func (s *shard) read(ready []unix.EpollEvent, r *receiver) (poked bool) {
	for _, event := range ready {
		if int(event.Fd) == s.epoll.event {
			poked = true
		} else if r.n < batchSize {
			r.read(event.Fd)
		}
	}
	s.take(r.batch, &r.outbox)
	return poked
}

// take hands a batch to its flights.
func (s *shard) take(b *batch, o *outbox) {
	if b.n == 0 && len(b.errors) == 0 {
		return
	}
	now := s.engine.now()
	s.mu.Lock()
	s.bunch++
	var k *socket
	for i := range b.n {
		if i == 0 || b.from[i] != b.from[i-1] { // the lock is held: none is closed meanwhile
			k = s.byFD[b.from[i]]
		}
		if k != nil {
			msg, cut := b.message(i)
			s.datagram(k, msg, cut, now, o)
		}
	}
	for _, e := range b.errors {
		if k := s.byFD[e.fd]; k != nil {
			s.refused(k, e.errno, now, o)
		}
	}
	s.measure()
	s.mu.Unlock()
	b.n, b.errors = 0, b.errors[:0]
	o.flush(s)
}

// datagram finds the query that a datagram replies to.
func (s *shard) datagram(k *socket, msg []byte, cut bool, now int64, o *outbox) {
	var known *slot
	if isReply(msg) {
		known = k.table.find(uint16(msg[0])<<8 | uint16(msg[1]))
	}
	switch {
	case known == nil:
		s.count(k.server, stranger(msg))
		s.suspect(k, now, o)
	case known.f == nil:
		s.count(k.server, cLate)
	default:
		s.replied(known.f, int(known.n), msg, cut, now, o)
	}
}

// stranger is what a message is counted as whose ID belongs to no query.
func stranger(msg []byte) int {
	if isReply(msg) {
		return cOtherID
	}
	return cNoReply
}

// suspect counts a reply that was not believed. So many of them are
// an attack (RFC 5452 §9.3 counts on there being few): what is open on the
// socket is asked over TCP instead, where guessing is hopeless.
func (s *shard) suspect(k *socket, now int64, o *outbox) {
	if k.strange++; k.strange != floodReplies {
		return
	}
	s.count(k.server, cFloods)
	s.retire(k)
	s.abandon(k, func(f *flight, a *attempt) {
		if f.done != nil {
			s.again(f, a, route{guarded: true}, now, o)
		} else if f.open == 0 {
			s.free(f)
		}
	})
}

// refused is what becomes of a socket when the network says that its server
// cannot be reached: all that is open on it goes elsewhere at once.
func (s *shard) refused(k *socket, errno unix.Errno, now int64, o *outbox) {
	k.server.fail(now)
	s.retire(k)
	s.abandon(k, func(f *flight, a *attempt) {
		s.noAnswer(f, int(a.index), errno, now, o)
		s.elsewhere(f, now, o)
	})
}

// abandon stops waiting for the replies to a socket, and tells each flight.
func (s *shard) abandon(k *socket, tell func(*flight, *attempt)) {
	for i := range k.table.slots {
		f := k.table.slots[i].f
		if f == nil {
			continue
		}
		a := &f.attempts[k.table.slots[i].n]
		s.drop(f, a)
		tell(f, a)
	}
}

// poked looks why the receiver was woken and reports whether it should end.
func (s *shard) poked() (end bool) {
	var count [8]byte
	_, _ = unix.Read(s.epoll.event, count[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closeDoomed(s.engine.now())
		return false
	}
	for len(s.sockets) > 0 {
		k := s.sockets[0]
		for k.sends > 0 { // a packet is on its way out
			s.mu.Unlock()
			runtime.Gosched()
			s.mu.Lock()
		}
		s.closeSocket(k)
	}
	s.epoll.close()
	s.over = true
	s.letTend()
	return true
}
