// Package policy says what is allowed, blocked and made up. Rules are compiled
// once into an immutable [Policy]; each query is asked with its wire name and
// its client, and gets a [Verdict]. Asking takes no lock, allocates nothing, and
// costs one table lookup for each suffix of the name that the rules know, at
// most one a label and the root, however many rules there are. Each goroutine that
// asks often counts by a [Tally] of its own.
//
// # Which rule decides
//
//  1. The client: the longest prefix in allow and deny that holds its address.
//  2. Data given for exactly this name. A type that is not given is NODATA, or
//     REFUSED in a refused zone.
//  3. The zone with the longest suffix of the name: transparent, static, refused,
//     synthesised or reverse. All but transparent decide here.
//  4. Search-suffix junk, unless a transparent zone as long as the search domain
//     or longer holds the name.
//  5. AAAA under a blocked suffix, unless a transparent zone as long as the suffix
//     or longer holds the name.
//
// AAAA is answered without waiting for anything: NODATA, or NXDOMAIN where memory
// says at this moment that the name's A is NXDOMAIN. Nothing is asked upstream to
// find out. A resolver that asks for both at once and gets NODATA here and NXDOMAIN
// for A is told the same by either, that there is nothing to connect to.
//
// What no rule decides passes. A transparent zone therefore passes untouched, but
// for the rules that are written for a name deeper than the zone.
//
// # Search-suffix junk
//
// A resolver with a search list appends each domain of it to names that were
// whole already: www.google.com is asked as www.google.com.prd.example.com. With
// S the longest configured search domain that the name ends in, the name is junk,
// and gets NXDOMAIN, when all of these hold:
//
//   - at least two labels stand in front of S;
//   - the last of them is a top label: one of the well-known top-level domains, a
//     country code, the last label of a search domain or a zone of ours, or in
//     junk.extra. It is so also for whole names of ours in front of S, as in
//     host.prd.example.com.tst.example.com;
//   - the name is not, and is not below, a name in junk.keep (a single label in
//     junk.keep takes that label off the list of top labels instead) or a zone of
//     ours within S, and it is no name that the rules themselves mention nor an
//     ancestor of one.
//
// A single label in front of S is never junk: com.prd.example.com may exist. Some
// top-level domains are also what people call their subdomains: a real
// dev.prd.example.com with names below it, which is no zone of ours, has to be kept:
// junk.keep: [dev.prd.example.com].
//
// # Search-suffix junk of Kubernetes
//
// A pod (ndots:5) has NAMESPACE.svc.ZONE, svc.ZONE and ZONE in its search list,
// known here by the label svc; listing svc.ZONE covers every namespace. What stands
// in front may be a service or namespace of any name, so only what its place leaves
// no doubt about is junk:
//
//   - SERVICE.NAMESPACE.svc.ZONE never is, nor with _PORT._PROTOCOL in front,
//     whatever the names: github.com.svc.ZONE may be a service of the namespace com.
//     Only labels in junk.extra are held to be no namespaces;
//   - where a pod's HOST.SERVICE or HOST.SERVICE.NAMESPACE may stand, a top label
//     counts that hardly anybody calls a service or namespace: com, net, org, edu,
//     gov, mil, arpa, and those in junk.extra. So api.github.com.svc.ZONE is junk,
//     and web-0.app.default.svc.ZONE is not, though app is a top-level domain;
//   - behind more labels than Kubernetes has, all top labels count, and svc for
//     names that lack only ZONE: my.default.svc.default.svc.ZONE.
//
// A junk name that passes for this reason is answered by the cluster's servers and
// remembered, as any name that does not exist.
package policy
