package clock

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A notice is a call that waits for its answer (struct seccomp_notif, <linux/seccomp.h>).
type notice struct {
	id        uint64
	thread    uint32
	flags     uint32
	call      int32
	arch      uint32
	pointer   uint64 // of the instruction
	arguments [6]uint64
}

// A verdict is what the call returns (struct seccomp_notif_resp).
type verdict struct {
	id    uint64
	value int64
	errno int32 // negative
	flags uint32
}

var (
	_ [80]byte = [unsafe.Sizeof(notice{})]byte{}
	_ [24]byte = [unsafe.Sizeof(verdict{})]byte{}
)

// answer answers calls until the clock is closed.
func (c *Clock) answer(end *os.File) {
	defer close(c.answered)
	defer unix.Close(c.listener)
	defer end.Close()
	for {
		ready := []unix.PollFd{{Fd: int32(c.listener), Events: unix.POLLIN}, {Fd: int32(end.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if ready[1].Revents != 0 || ready[0].Revents&unix.POLLHUP != 0 { // the filter's last thread is gone
			return
		}
		if ready[0].Revents&unix.POLLIN != 0 {
			c.one()
		}
	}
}

// one answers one call. What fails, fails since the thread is no more, or has given the
// call up.
func (c *Clock) one() {
	var n notice
	if control(c.listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) != 0 {
		return
	}
	value, errno := c.tell(&n)
	c.readings.Add(1) // before the process can tell of it
	v := verdict{id: n.id, value: value, errno: -int32(errno)}
	control(c.listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&v))
}

func control(fd int, request uintptr, what unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(what))
	return errno
}

// tell writes what the clock shows to where the call asks for it.
func (c *Clock) tell(n *notice) (value int64, errno unix.Errno) {
	id, to := int32(unix.CLOCK_REALTIME), n.arguments[0]
	if n.call == unix.SYS_CLOCK_GETTIME {
		id, to = int32(n.arguments[0]), n.arguments[1]
	}
	var now unix.Timespec
	if err := unix.ClockGettime(id, &now); err != nil {
		return 0, unix.EINVAL
	}
	now = unix.NsecToTimespec(now.Nano() + c.offset.Load())
	switch {
	case n.call == unix.SYS_CLOCK_GETTIME:
		return 0, c.write(n, to, unsafe.Pointer(&now), unsafe.Sizeof(now))
	case n.call == unix.SYS_GETTIMEOFDAY:
		moment := unix.NsecToTimeval(now.Nano())
		return 0, c.write(n, to, unsafe.Pointer(&moment), unsafe.Sizeof(moment))
	case to == 0: // time(2) wants nothing but the value
		return now.Sec, 0
	}
	return now.Sec, c.write(n, to, unsafe.Pointer(&now.Sec), word)
}

// write writes into the thread's memory, if it still waits: its number might be
// another's by now.
func (c *Clock) write(n *notice, to uint64, from unsafe.Pointer, size uintptr) unix.Errno {
	id := n.id
	if errno := control(c.listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)); errno != 0 {
		return errno
	}
	local := []unix.Iovec{{Base: (*byte)(from), Len: uint64(size)}}
	remote := []unix.RemoteIovec{{Base: uintptr(to), Len: int(size)}}
	if _, err := unix.ProcessVMWritev(int(n.thread), local, remote, 0); err != nil {
		return unix.EFAULT
	}
	return 0
}
