// Bench measures Strata's binaries beside the servers they would replace, and
// writes RESULTS.md.
//
//	go run ./bench [--only TABLE,TABLE] [--rounds N] [--seconds S] [--peers Knot,NSD]
//
// Every contender of a table runs in the same invocation, one after another in
// an order shuffled anew for each round, pinned with all its threads to one CPU
// while dnsperf has another. What counts is CPU time per query, because on two
// cores the generator is often what limits queries per second.
//
// Where latencies count, or an upstream must answer after an exact delay, be gone
// for an exact time or count its questions, this program is client ([Asking]) and
// upstream ([Upstream]) itself, the same for every contender.
//
// The tables dpdk-… measure authoritative on DPDK's ports, asked by a generator of whole
// frames ([flood]) or by kxdpgun. They need root and a bin/authoritative with the plane
// dpdk; where that is not there they are left out, and said to be. While they run
// the machine keeps huge pages for them. Some tables are drawn, into plots/.
//
// A contender is data: a line in contenders.go and a configuration template
// under peers/. A contender whose program is missing, or that fails, is named in
// the report with the reason; the others run on.
//
// [flood]: https://pkg.go.dev/github.com/strata-dns/strata/bench/packets/flood
package main
