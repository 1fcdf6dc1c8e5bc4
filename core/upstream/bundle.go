package upstream

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A bundle is packets of one socket as the messages of one sendmmsg(2). The kernel
// cuts a message into datagrams behind most of its stack (UDP_SEGMENT, udp(7)): who
// asks a server for much does so at a fraction of the price. All datagrams of a
// message have the size of the first but the last, which may be smaller.
type bundle struct {
	count    int
	order    []uint8 // in which packets leave
	messages [bundleMost]message
	vectors  [bundleMost]unix.Iovec
	controls [bundleMost]segmenting
}

const (
	bundleMost = 64 // packets; Linux has cut no message into more before 6.9
	// segmentMost is the largest packet that is sent as a segment: it must fit the
	// path's MTU, of which 1,280 is sure (RFC 8200 §5), less 48 octets of headers.
	segmentMost = 1232
	messageMost = 65507 // octets: 65,535 less IPv4 and UDP headers
)

// A segmenting is the ancillary data with the size of a message's segments.
type segmenting struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte
}

// wholeFor is how long messages to a server are not cut after that was refused. It
// may have been for a route that is no more, or a device that has got another.
const wholeFor = time.Minute

// cuts tells whether messages to a server may be cut: the kernel, the device or the
// route on the way there may be unable to, and another server's be able.
type cuts struct{ none atomic.Int64 } // until when, in ns; 0: they may

func (c *cuts) allowed(now int64) bool { return c.none.Load() <= now }
func (c *cuts) refused(now int64)      { c.none.Store(now + int64(wholeFor)) }

// pack makes messages of packets to one socket, in an order.
func (b *bundle) pack(packets []byte, sends []datagram, order []uint8, segments bool) {
	b.count = 0
	first := 0 // octets of the datagrams of the last message; 0: it takes no more
	for at, i := range order {
		d := &sends[i]
		b.vectors[at].Base = &packets[d.from]
		b.vectors[at].SetLen(d.size())
		if d.size() <= first && b.join(first) {
			if d.size() < first {
				first = 0
			}
			continue
		}
		b.messages[b.count].header = unix.Msghdr{Iov: &b.vectors[at], Iovlen: 1}
		b.count++
		if first = d.size(); !segments || first > segmentMost {
			first = 0
		}
	}
}

// join adds the next packet to the last message, where it has room.
func (b *bundle) join(size int) bool {
	m, c := &b.messages[b.count-1].header, &b.controls[b.count-1]
	if (int(m.Iovlen)+1)*size > messageMost {
		return false
	}
	m.Iovlen++
	c.header.Level, c.header.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	c.header.SetLen(unix.SizeofCmsghdr + 2)
	c.size = uint16(size)
	m.Control = (*byte)(unsafe.Pointer(c))
	m.SetControllen(int(unsafe.Sizeof(*c)))
	return true
}

// send hands packets to the kernel, until it has taken or lost each. It gives the
// error that says that the server cannot be reached: what is left then is not sent.
// cuts says whether messages are cut, and is told where they cannot be.
func (b *bundle) send(fd int, packets []byte, sends []datagram, cuts *cuts, now int64) unix.Errno {
	for len(sends) > 0 {
		part := sends[:min(len(sends), bundleMost)]
		sends = sends[len(part):]
		b.arrange(part)
		left := b.order
		b.pack(packets, part, left, cuts.allowed(now))
		for at, done := 0, 0; at < b.count; {
			n, errno := sendmmsg(fd, b.messages[at:b.count])
			for _, m := range b.messages[at : at+n] {
				done += int(m.header.Iovlen)
			}
			at += n
			switch {
			case errno == 0 || errno == unix.EINTR:
			case b.messages[at].header.Iovlen > 1 && refusesSegments(errno):
				cuts.refused(now)
				left = left[done:]
				b.pack(packets, part, left, false)
				at, done = 0, 0
			case !lost(errno):
				return errno
			default:
				done += int(b.messages[at].header.Iovlen)
				at++
			}
		}
	}
	return 0
}

// sendmmsg never waits. An error is that of the first message.
func sendmmsg(fd int, messages []message) (n int, errno unix.Errno) {
	sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), 0
}

// lost tells errors that lose a packet from those that say something of its server.
func lost(errno unix.Errno) bool {
	return errno == unix.EAGAIN || errno == unix.ENOBUFS || errno == unix.EINTR
}

// refusesSegments tells the errors of a kernel, a device or a route that cannot cut
// messages.
func refusesSegments(errno unix.Errno) bool {
	return errno == unix.EINVAL || errno == unix.EIO || errno == unix.ENOPROTOOPT || errno == unix.EMSGSIZE
}
