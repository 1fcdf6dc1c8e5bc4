package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// heapObjects is how many objects a server with as many names has on the heap: what the
// collector must visit.
func heapObjects(t *testing.T, names int) int64 {
	t.Helper()
	var zone strings.Builder
	zone.WriteString("$TTL 300\n@ SOA ns1 hostmaster 1 7200 1800 1209600 60\n@ NS ns1\nns1 A 10.0.0.53\n")
	for i := range names {
		fmt.Fprintf(&zone, "n%d A 10.%d.%d.%d\n", i, i>>16&255, i>>8&255, i&255)
	}
	file := filepath.Join(t.TempDir(), "org.zone")
	write(t, file, zone.String())
	zone.Reset()
	n := serve(t, fmt.Sprintf("zones: [{name: example.org, source: file, file: %q}]\n", file)).awaitReady()
	n.answers(fmt.Sprintf("n%d.example.org.", names-1), 1, fmt.Sprintf("10.%d.%d.%d", (names-1)>>16&255, (names-1)>>8&255, (names-1)&255))
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers have kept
	runtime.ReadMemStats(&m)
	n.stop()
	return int64(m.HeapObjects)
}

// TestHeapObjects: of a whole server, too, nothing on the heap grows with its names, so
// that the collector beside an lcore has no more to follow.
func TestHeapObjects(t *testing.T) {
	heapObjects(t, 1000) // what is made once is there from then on
	few, many := heapObjects(t, 1000), heapObjects(t, 200_000)
	t.Logf("%d objects with 1,000 names, %d with 200,000", few, many)
	if many > few+5000 {
		t.Errorf("%d heap objects with 1,000 names, %d with 200,000", few, many)
	}
}
