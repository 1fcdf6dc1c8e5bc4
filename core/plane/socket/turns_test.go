package socket

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShortTurns asks the kernel what it gave, and takes it back.
func TestShortTurns(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slice := func() uint64 {
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return attr.Runtime
	}
	before := slice()
	if before == 0 {
		t.Skip("needs slices that a thread may set: Linux 6.12")
	}
	undo, err := shortenTurns()
	if err != nil {
		t.Fatal(err)
	}
	if got := slice(); got != shortTurn {
		t.Errorf("turns of %d ns, want %d", got, shortTurn)
	}
	undo()
	if got := slice(); got != before {
		t.Errorf("turns of %d ns afterwards, want %d as before", got, before)
	}
}
