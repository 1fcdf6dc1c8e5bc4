// Package dpdk is the plane of DPDK's ports: one goroutine per lcore, pinned, that
// polls its queue of every port and answers in the frames themselves.
//
//	rx burst ─► frame.Decode ─► Answer(batch) ─► Frame.Turn ─► tx burst
//	            └ ARP, neighbour discovery, echo: turned at once
//
// Sending a burst and receiving the next is one call into C (burst.c): the only cgo
// of the house, behind the build tag dpdk. Without the tag [Open] says so. What a
// port will not take at once is dropped rather than queued.
//
// What is not UDP for the service addresses is dropped and counted.
package dpdk
