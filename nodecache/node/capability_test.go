package node

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// withoutCapability calls do on a thread without CAP_NET_ADMIN, which then ends.
func withoutCapability(t *testing.T, do func() error) error {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
		}
		result <- do()
	}()
	return <-result
}
