//go:build dpdk

package dpdk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMemory: a container's limit counts, and that of the one around it.
func TestMemory(t *testing.T) {
	groups := t.TempDir()
	own := filepath.Join(groups, "own")
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(groups, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	machine := memory(groups, own) // there is no such file
	if machine < 1<<26 {
		t.Fatalf("the machine has %d octets", machine)
	}
	put("own", "1:cpu:/x\n0::/pod/container\n")
	for _, c := range []struct {
		pod, container string
		want           uint64
	}{{"max\n", "max\n", machine}, {"max\n", "33554432\n", 1 << 25}, {"16777216\n", "33554432\n", 1 << 24}, {"junk", "33554432", 1 << 25}} {
		put("pod/memory.max", c.pod)
		put("pod/container/memory.max", c.container)
		if got := memory(groups, own); got != c.want {
			t.Errorf("%q in %q: %d, want %d", c.container, c.pod, got, c.want)
		}
	}
}

// TestCalm: while another goroutine allocates 200 octets a thousand times a
// millisecond, as updates might, the collector does not run beside the lcore.
func TestCalm(t *testing.T) {
	clients := needInside(t)
	t.Setenv(churnKey, "1")
	p := start(t, "--vdev=net_af_packet0,iface="+portName)
	c := dial(t, clients, service4.Addr())
	defer c.Close()
	asked := 0
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); asked++ {
		asks(t, c, "who has it")
	}
	said := p.end(t)
	var allocated, collections uint64
	at := strings.Index(said, "allocated ")
	if at < 0 {
		t.Fatal(said)
	}
	if _, err := fmt.Sscanf(said[at:], "allocated %d in %d collections", &allocated, &collections); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d queries, %d MB allocated, %d collections\n%s", asked, allocated>>20, collections, said)
	// By default there would be one for every four megabytes.
	if allocated < 8<<20 || collections > 0 {
		t.Errorf("%d collections for %d octets", collections, allocated)
	}
}
