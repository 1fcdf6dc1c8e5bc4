package resolver

import (
	"reflect"
	"slices"

	"github.com/strata-dns/strata/policy"
)

// Rewritten are the zones whose made-up aliases differ between two policies: what
// memory holds of them is by the old one.
func Rewritten(old, fresh policy.Config) (zones []string) {
	one := func(a, b []policy.Synth) {
		for _, s := range a {
			if s.Kind == "site" && !slices.ContainsFunc(b, func(t policy.Synth) bool { return reflect.DeepEqual(s, t) }) {
				zones = append(zones, s.Zone)
			}
		}
	}
	one(old.Synth, fresh.Synth)
	one(fresh.Synth, old.Synth)
	return zones
}
