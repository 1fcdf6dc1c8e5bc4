package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxBatch is how many datagrams cross into the kernel at once. The kernel takes
// up to 1,024; beyond 64 nothing is gained and the buffers leave the cache.
const maxBatch = 64

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	length uint32 // octets received, of this message
	_      [4]byte
}

// recvmmsg takes what is there and never waits: hence without telling the
// scheduler, which costs more than it would save.
func recvmmsg(fd int, messages []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// sendmmsg does not wait either, but 64 datagrams through the whole stack take
// some 300 µs: the scheduler is told, so that a collection need not wait for it.
func sendmmsg(fd int, messages []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// sendmsg sends one datagram without waiting.
func sendmsg(fd int, message *unix.Msghdr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(message)), unix.MSG_DONTWAIT)
	return errno
}

// wait blocks until fd has something to read or wake has been written to.
func wait(fd, wake int) {
	fds := [2]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	syscall.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), uintptr(len(fds)), 0, 0, 0, 0)
}

// nap blocks the thread for about d nanoseconds, exact to its timer slack.
func nap(d int64) {
	t := unix.Timespec{Nsec: d}
	syscall.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}
