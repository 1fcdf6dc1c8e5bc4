package e2e

import (
	"testing"

	"github.com/strata-dns/strata/e2e/stack"
)

// freeLoopback is a loopback address whose port is free, and stays so but for who is told of it.
func freeLoopback(t *testing.T) string {
	t.Helper()
	return stack.Loopback(stack.FreePort(t))
}
