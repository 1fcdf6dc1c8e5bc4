package upstream

import "github.com/strata-dns/strata/core/wire"

// addresses reports whether a message is what most replies are: addresses of the flight's
// question and nothing else. It is one look where judge takes several; of anything else, good
// or bad, judge finds out.
func (f *flight) addresses(msg []byte) bool {
	_, _, _, ok := wire.PlainAddresses(msg, f.name(), f.typ, f.class)
	return ok
}
