// Package resolver is what nodecache and recursor share: the way of a query from
// the packet through policy and cache, and what becomes of it when memory does
// not have the answer.
//
//	packet ─► parse ─► rules ─► cache ─► reply in the packet
//	                              └ miss ─► route ─► upstream ─► chase ─► late reply
//
// Where a question goes is the binary's to say: its [Route]. An alias that leads to
// names of other servers is followed there, through rules and cache like any
// question; nobody is believed about others' names.
//
// Files, in the order of a query: answer, guard, cookies, seen, counts (what is in the packet);
// rules, view; hold, late, post, chase, scan, chain, ask (behind a miss); route, upstreams, domains
// (whom to ask); resolver, life, reload, config (around it); commands, lookup,
// memory, trace, dump, flush, top, metrics (for operators); fault (what askers are
// told).
package resolver
