package resolver

import "github.com/strata-dns/strata/core/wire"

// Routes find whom to ask about a name: the one given for the longest suffix of
// it, cut at labels.
type Routes[T any] map[string]T

// Add names whom to ask about a domain and all below it.
func (r Routes[T]) Add(domain string, to T) error {
	name, err := wire.ParseName(domain)
	if err != nil {
		return err
	}
	r[string(name)] = to
	return nil
}

// Find gives whom to ask about a folded name; ok is false where nobody is named.
func (r Routes[T]) Find(name []byte) (to T, ok bool) {
	for {
		if to, ok = r[string(name)]; ok || name[0] == 0 {
			return to, ok
		}
		name = name[1+int(name[0]):]
	}
}
