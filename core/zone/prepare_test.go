package zone

import "github.com/strata-dns/strata/core/wire"

// Prepare is See, of parsed queries, and Fetch.
func (r *Reader) Prepare(queries []wire.Query) {
	queries = queries[:min(len(queries), len(r.sights))]
	for i := range queries {
		r.sights[i] = sight{hash: queries[i].Hash[0]}
	}
	r.Fetch(len(queries))
}
