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

// The system calls of the packet path do not tell Go's scheduler that they are
// system calls. It would have them watched by its monitor thread, which takes the
// processor away from a goroutine that it finds in one, at every look, up to
// 50,000 times a second: measured, that was a quarter of the CPU of a server under
// half its load. None of these calls lasts longer than two milliseconds, so a
// stop of the world need not wait longer for one either.

// recvmmsg takes what is there and never waits.
func recvmmsg(fd int, messages []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// sendmmsg does not wait either: what doesn't fit is not sent.
func sendmmsg(fd int, messages []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// sendmsg sends one datagram without waiting.
func sendmsg(fd int, message *unix.Msghdr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(message)), unix.MSG_DONTWAIT)
	return errno
}

// shortly is how long a wait keeps its processor, ns. From some 500 datagrams a
// second on, the next one mostly comes before; below, nothing is to be won.
const shortly = 2_000_000

// wait blocks until fd or other has something to read or wake has been written to: for
// a moment unseen by the scheduler, then as a system call that may last. It tells whether
// other has something; that may be -1.
func wait(fd, wake, other int) bool {
	fds := [3]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}, {Fd: int32(other), Events: unix.POLLIN}}
	soon := unix.Timespec{Nsec: shortly}
	n, _, _ := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), uintptr(len(fds)), uintptr(unsafe.Pointer(&soon)), 0, 0, 0)
	if n == 0 {
		syscall.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), uintptr(len(fds)), 0, 0, 0, 0)
	}
	return fds[2].Revents != 0
}

// nap blocks the thread for about d nanoseconds, exact to its timer slack, or until other
// has something; that may be -1.
func nap(d int64, other int) {
	t := unix.Timespec{Nsec: d}
	if other < 0 {
		syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
		return
	}
	fd := unix.PollFd{Fd: int32(other), Events: unix.POLLIN}
	syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
}
