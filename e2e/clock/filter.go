package clock

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wallClocks are the clocks that show the time of day (clock_gettime(2)).
var wallClocks = []uint32{unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_TAI}

// Where a filter finds things (struct seccomp_data, seccomp(2)); of an argument, the
// lower half on a little-endian machine.
const (
	atCall     = 0
	atArch     = 4
	atArgument = 16
)

// program asks for a notice of each call that tells the wall clock's time, and lets all
// others be.
func program() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		done  = unix.BPF_RET | unix.BPF_K
	)
	// Behind the tests are two instructions: allow, and notify.
	tests := []unix.SockFilter{{Code: load, K: atCall}}
	for _, call := range others {
		tests = append(tests, unix.SockFilter{Code: equal, K: call, Jt: 1})
	}
	tests = append(tests, unix.SockFilter{Code: equal, K: unix.SYS_CLOCK_GETTIME, Jf: 1}, unix.SockFilter{Code: load, K: atArgument})
	fixed := len(tests)
	for _, id := range wallClocks {
		tests = append(tests, unix.SockFilter{Code: equal, K: id, Jt: 1})
	}
	allow := len(tests)
	for i := range tests {
		switch t := &tests[i]; {
		case t.Jt == 1: // to notify
			t.Jt = uint8(allow + 1 - i - 1)
		case t.Jf == 1 && i < fixed: // to allow
			t.Jf = uint8(allow - i - 1)
		}
	}
	whole := []unix.SockFilter{{Code: load, K: atArch}, {Code: equal, K: arch, Jf: uint8(len(tests))}}
	return append(append(whole, tests...),
		unix.SockFilter{Code: done, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: done, K: unix.SECCOMP_RET_USER_NOTIF})
}

// filter puts the filter before this thread and gives the file that notices come from.
// Who is not root gives up for it what privileges programs could gain.
func filter() (listener int, err error) {
	code := program()
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	const plain = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	const patient = plain | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // a signal waits for the answer; Linux 5.19
	var fd uintptr
	errno := unix.EACCES
	for _, flags := range []uintptr{patient, plain} {
		fd, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
		if errno == unix.EACCES {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return -1, err
			}
			fd, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
		}
		if errno != unix.EINVAL {
			break
		}
	}
	runtime.KeepAlive(code)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
