// Package policy says what is allowed, blocked and made up. Rules are compiled
// once into an immutable [Policy]; each query is asked with its wire name and
// its client, and gets a [Verdict]. Asking takes no lock, allocates nothing, and
// costs one table lookup for each suffix of the name that the rules know, at
// most one a label and the root, however many rules there are.
//
// # Which rule decides
//
//  1. The client: the longest prefix in allow and deny that holds its address.
//  2. Data given for exactly this name. A type that is not given is NODATA.
//  3. The zone with the longest suffix of the name: transparent, static, refused,
//     synthesised or reverse. All but transparent decide here.
//  4. Search-suffix junk, unless a transparent zone as long as the search domain
//     or longer holds the name.
//  5. AAAA under a blocked suffix, unless a transparent zone as long as the suffix
//     or longer holds the name.
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
//     junk.keep takes that label off the list of top labels instead), and it is no
//     name that the rules themselves mention nor an ancestor of one.
//
// A single label in front of S is never junk: com.prd.example.com may exist. A
// real dev.prd.example.com with names below it has to be kept: junk.keep:
// [dev.prd.example.com].
//
// Kubernetes' domains (ndots:5) are known by their label svc. In front of
// NS.svc.ZONE stands a service, or a pod's host name and its service, so names
// such as web-0.app.default.svc.cluster.local are real and "app" proves nothing.
// There, and for the namespace in front of svc.ZONE itself, only the top labels
// that nobody calls a service or namespace count (com, net, org, edu, gov, mil,
// int, arpa, those of zones and search domains, and junk.extra). From three labels
// in front of the namespace on, unless the first begins with an underscore, no
// Kubernetes name is possible and all top labels count. Listing svc.ZONE covers
// every namespace.
package policy
