// Package stack runs the whole of Strata on one machine, as real processes on
// loopback with unprivileged ports and files in a folder of its own:
//
//	nodecache ─► recursor dc1 ─► authoritative 1 (with an etcd member), authoritative 2
//	             recursor dc2 ┘  external dc1, external dc2 (unbound) ─► the world
//
// The world is a third authoritative whose master files stand for the internet,
// so that nothing leaves the machine. Programs that show the stack (e2e/tour) and
// tests share it. Several stacks can run at once.
//
// Every process is in a group of its own, dies with its parent whatever kills
// that, and is ended by its ID.
package stack
