//go:build dpdk

package dpdk

// #include <stdlib.h>
// #include "burst.h"
import "C"

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An environment is DPDK's (EAL), of which a process has one, once. It lives on a
// thread of its own, which DPDK pins and keeps as its main lcore; nothing polls there.
type environment struct {
	end, ended chan struct{}
	once       sync.Once
	log        *slog.Logger
	lines      chan struct{} // closed behind the last line
	marked     chan struct{} // a mark was read
	mu         sync.Mutex
	last       []string // lines of DPDK's log
}

// keptLines of DPDK's log are shown with an error.
const keptLines = 4

func startEnvironment(args []string, log *slog.Logger) (*environment, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	w.Close()
	if err != nil {
		r.Close()
		return nil, os.NewSyscallError("dup", err)
	}
	e := &environment{end: make(chan struct{}), ended: make(chan struct{}), log: log, lines: make(chan struct{}), marked: make(chan struct{})}
	go e.read(r)
	began := make(chan C.int)
	go e.live(args, C.int(fd), began)
	if code := <-began; code != 0 {
		e.close()
		return nil, fmt.Errorf("start DPDK with %q: %s%s", args, reason(code), e.said())
	}
	return e, nil
}

// live holds the thread that DPDK was started on, for as long as it is in use.
func (e *environment) live(args []string, log C.int, began chan<- C.int) {
	runtime.LockOSThread() // never unlocked: DPDK has pinned it
	defer close(e.ended)
	argv := make([]*C.char, len(args)+2) // its memory is DPDK's from here on
	for i, a := range append([]string{"strata"}, args...) {
		argv[i] = C.CString(a)
	}
	in := (**C.char)(C.calloc(C.size_t(len(argv)), C.size_t(unsafe.Sizeof(argv[0]))))
	copy(unsafe.Slice(in, len(argv)), argv)
	code := C.strata_eal(C.int(len(args)+1), in, log)
	began <- code
	<-e.end
	C.strata_eal_end(code)
}

// close gives back all that DPDK has.
func (e *environment) close() {
	e.once.Do(func() {
		close(e.end)
		<-e.ended
		<-e.lines
	})
}

// harmless are lines that stand in every log, and tell nothing of an error.
var harmless = []string{
	"EAL: Detected ", "EAL: Selected ", "EAL: No free 1048576", "EAL: Physical addresses are unavailable", "EAL: Probe", "EAL: VFIO support",
	"TELEMETRY:", "EAL: No available 1048576", "rte_pmd_memif_probe(): Failed to register mp action", "Rx Intr handle unset",
}

// mark is a line of ours in DPDK's log: what stands before it has been read when it is.
const mark = "strata: so far"

// usage begins what is printed behind arguments that are not understood: all that there are.
const usage = "Usage: "

// read passes DPDK's log on.
func (e *environment) read(r *os.File) {
	defer close(e.lines)
	defer r.Close()
	explaining := false
	for s := bufio.NewScanner(r); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == mark {
			e.marked <- struct{}{}
			continue
		}
		e.log.Debug("dpdk", "says", line)
		if explaining = explaining || strings.HasPrefix(line, usage); explaining || line == "" || line == e.newest() {
			continue
		}
		if slices.ContainsFunc(harmless, func(begin string) bool { return strings.HasPrefix(line, begin) }) {
			continue
		}
		e.mu.Lock()
		if e.last = append(e.last, line); len(e.last) > keptLines {
			e.last = e.last[1:]
		}
		e.mu.Unlock()
	}
}

// newest is the last line that was kept.
func (e *environment) newest() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.last) == 0 {
		return ""
	}
	return e.last[len(e.last)-1]
}

// catchUp waits until all that DPDK has said is read.
func (e *environment) catchUp() {
	line := C.CString(mark)
	defer C.free(unsafe.Pointer(line))
	if C.strata_eal_mark(line) != 0 {
		select {
		case <-e.marked:
		case <-e.lines:
		}
	}
}

// said is the end of the log, to stand behind an error.
func (e *environment) said() string {
	e.catchUp()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.last) == 0 {
		return ""
	}
	return ": " + strings.Join(e.last, "; ")
}
