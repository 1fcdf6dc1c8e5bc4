//go:build !dpdk

package dpdk

import (
	"strings"
	"testing"
)

// TestAbsent: who asks for what is not there is told how to get it.
func TestAbsent(t *testing.T) {
	if _, err := Open(Options{}); err == nil || !strings.Contains(err.Error(), "libdpdk-dev") {
		t.Errorf("%v", err)
	}
	t.Skip("all else: this build has no DPDK plane (-tags dpdk)")
}
