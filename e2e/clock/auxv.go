package clock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Entries of the auxiliary vector (getauxval(3), <linux/auxvec.h>).
const (
	auxEnd    = 0
	auxIgnore = 1
	auxVDSO   = 33 // AT_SYSINFO_EHDR
)

// word is the size of a word of the 64-bit machines that this is for, in octets.
const word = 8

// stackSize is what is read of a fresh process's stack, in octets: arguments and
// environment are pointers there, their text lies above.
const stackSize = 64 << 10

// crossOut has a process that waits at its execve, as a traced one does, find no vDSO.
func crossOut(pid int) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("it does not wait at its beginning: status %#x", uint32(status))
	}
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	at := stackPointer(&regs)
	stack, err := readMemory(pid, at)
	if err != nil {
		return err
	}
	entry, err := findVDSO(stack)
	if err != nil || entry < 0 {
		return err
	}
	_, err = unix.PtracePokeData(pid, at+uintptr(entry), binary.NativeEndian.AppendUint64(nil, auxIgnore))
	return err
}

// readMemory reads a process's memory from an address on, to where it ends at most.
func readMemory(pid int, from uintptr) ([]byte, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	b := make([]byte, stackSize)
	n, err := memory.ReadAt(b, int64(from))
	if n > 0 || errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

var errStack = errors.New("its stack is none of a fresh process")

// findVDSO finds the auxiliary vector's entry for the vDSO on the stack of a fresh
// process: the number of arguments, arguments, 0, environment, 0, pairs of the vector
// up to one of type 0 (System V ABI, "Process Initialization"). -1: there is none.
func findVDSO(stack []byte) (offset int, err error) {
	at := 0
	next := func() (uint64, bool) {
		if at+word > len(stack) {
			return 0, false
		}
		at += word
		return binary.NativeEndian.Uint64(stack[at-word:]), true
	}
	arguments, ok := next()
	if !ok || arguments >= uint64(len(stack)/word) {
		return 0, errStack
	}
	at += int(arguments+1) * word
	for entry := uint64(1); entry != 0; {
		if entry, ok = next(); !ok {
			return 0, errStack
		}
	}
	for {
		typ, ok := next()
		switch {
		case !ok:
			return 0, errStack
		case typ == auxEnd:
			return -1, nil
		case typ == auxVDSO:
			return at - word, nil
		}
		at += word
	}
}
