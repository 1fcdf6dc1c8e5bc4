package resolver

import (
	"strings"
	"testing"
	"time"
)

// A cache that this machine has no memory for is refused, and one that it has is not.
func TestCacheOfThisMachine(t *testing.T) {
	machine := memory()
	if machine < 64<<20 {
		t.Fatalf("%s of memory", machine)
	}
	c := CacheConfig{Size: hopeless * machine}
	if _, err := c.options(time.Second); err != nil {
		t.Error(err)
	}
	c.Size += hopeless
	if _, err := c.options(time.Second); err == nil || !strings.HasPrefix(err.Error(), "cache.size: ") || !strings.Contains(err.Error(), machine.String()) {
		t.Errorf("%s: %v", c.Size, err)
	}
}
