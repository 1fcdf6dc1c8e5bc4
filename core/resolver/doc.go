// Package resolver is what nodecache and recursor share: the way of a query from
// the packet through policy and cache, and what becomes of it when memory does
// not have the answer.
//
//	packet ─► parse ─► policy ─► cache ─► reply in the packet
//	                               └ miss ─► route ─► upstream ─► chase ─► late reply
//
// Where a question goes is the binary's to say: its [Route].
package resolver
