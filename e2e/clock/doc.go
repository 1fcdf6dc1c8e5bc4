// Package clock gives a program's processes a wall clock that can be stepped, while
// the machine's stays as it is.
//
// Such a process is told by the kernel that it has no vDSO, and so asks for the time by
// system calls: one entry of its auxiliary vector is crossed out between execve and its
// first instruction (ptrace(2), getauxval(3)). Those that ask for the wall clock are
// answered here (seccomp_unotify(2)), with the machine's time and an offset; the
// monotonic clocks are the kernel's own, as they are where somebody sets a real clock.
// All threads of the process are meant; programs that it executes in turn are not.
// What the kernel itself dates, such as files, has the machine's time.
package clock
