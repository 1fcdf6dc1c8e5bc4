// Package frame turns Ethernet frames into queries and replies into frames, in the
// buffer they came in, for planes that are their own IP stack.
//
//	Ethernet ─ 802.1Q, QinQ ─┬─ ARP ───────────────────────── Turned: a reply, in place
//	                         ├─ IPv4 ─┬─ ICMP echo ────────── Turned
//	                         │        └─ UDP, the port ────── Query ─► Turn, or Save … Restore
//	                         └─ IPv6 ─┬─ UDP, the port ────── Query
//	                                  ├─ echo, solicitation ─ Turned
//	                                  └─ all else ─────────── a Verdict that says why not
//
// Only what is for a [Host]'s own addresses, on both layers, is answered, to nobody
// but the one who sent it. Replies go back to the Ethernet address and through the
// VLAN their query came from: no routes and no neighbours are kept. Nothing allocates.
package frame
