package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// freeLoopback is a loopback address whose port is free, and stays so but for who is told of it.
func freeLoopback(t *testing.T) string {
	t.Helper()
	for range 1000 { // as package stack takes them: the kernel gives none of these to clients
		port := 10_000 + rand.IntN(22_000)
		lock, err := net.Listen("unix", fmt.Sprintf("@strata-port-%d", port))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			must(t, lock.Close())
			continue
		}
		must(t, l.Close())
		t.Cleanup(func() { _ = lock.Close() })
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
