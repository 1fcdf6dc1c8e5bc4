// Package dpdk is the plane of DPDK's ports: one goroutine per lcore, pinned, that
// polls its queue of every port and answers in the frames themselves.
//
//	rx burst ─► frame.Decode ─► Answer(batch) ─► Frame.Turn ─► tx burst
//	            └ ARP, neighbour discovery, echo: turned at once
//
// Sending a burst and receiving the next is one call into C (burst.c): the only cgo
// of the house, behind the build tag dpdk. Without the tag [Open] says so. What a
// port will not take at once is dropped rather than queued. An lcore without traffic stays
// in C, where it polls on, naps, or sleeps until the port interrupts (idle.c), until there
// is a frame or somebody calls (idle.go): Go's scheduler has nothing to interrupt then.
//
// What is no query is the kernel's: net_af_xdp leaves it there (core/plane/dpdk/xdp), and of
// another port it gets a copy by an exception interface, if there is to be one:
//
//	rx burst ─► frame.Decode ─► ring ─► goroutine ─► dtap0 ─► kernel
//	tx burst ◄──────────────── late ◄── goroutine ◄─ dtap0 ◄─ kernel
//
// Else it is dropped and counted.
package dpdk
