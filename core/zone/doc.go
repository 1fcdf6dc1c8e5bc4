// Package zone holds the data of all zones a server answers for, and finds the
// answer to a question as RFC 1034 §4.3.2 says.
//
// All names of all zones stand in one [Table]: a hash of the name leads to a
// node, an immutable block with the name, its flags and its RRsets as ready wire
// bytes. Blocks and index live in mapped memory outside the Go heap and hold no
// pointers: the collector has nothing to follow however many records there are.
// A change writes the new block of each name it touches and then swaps one 64-bit
// word of the index; readers take no lock and see a name's old or its new
// RRsets, never a mixture. A look-up that had to read several names, for a wildcard
// or a delegation above, begins anew if any came or went meanwhile. What is not
// one step is the change of several names: a chain of aliases may be followed from
// the old of one name to the new of the next. The memory of an old block is used again once
// no reader can still be looking at it (see [Reader]).
//
// Zones that were signed elsewhere are served with what proves their answers (proof.go);
// what denies names is found in an index of its own (denial.go).
//
// Addresses that are down can be left out of answers, never all of an RRset (absent.go).
//
// A lookup ends in a named state ([Outcome]); reply.go turns states into
// messages. Master files are read through miekg/dns in master.go, and their plain
// lines, which are most, in plain.go.
package zone
