// Package wire reads queries and writes replies in the wire form of RFC 1035,
// in place and without allocating.
//
// A query is parsed into a [Query] its caller owns: the name folded to lower
// case, one hash for each of its suffixes, and what EDNS says (RFC 6891). A
// [Reply] is written behind the question of the very packet that asked, so that
// the asker's ID and the case of its name are kept by leaving them alone. A
// [Reader] walks the records of a message somebody else wrote; it follows
// compression pointers only backwards, and never in a query.
//
// Names are wire form throughout: length octets and labels up to the root's
// zero octet, uncompressed, at most 255 octets. "Folded" means ASCII letters in
// lower case (RFC 4343).
package wire
