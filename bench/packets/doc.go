// Package packets is the arithmetic of a DNS load generator below sockets: which
// names are asked, in which frames, when, and what came of it.
//
//	Names ─► Popularity ─► Sequence of whole frames ─► Stamp (ID, port, checksum)
//	                                 Pace ─┘              └─► Histogram, Report
//
// Everything random is drawn before the run from a fixed seed: while it lasts frames
// are copied in the order of their memory, so that the generator costs little and
// asks every contender the same. The program is in [flood], the only part that needs DPDK.
//
// [flood]: https://pkg.go.dev/github.com/strata-dns/strata/bench/packets/flood
package packets
