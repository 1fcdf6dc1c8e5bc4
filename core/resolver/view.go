package resolver

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// Views tell which view of the names a client has, where domains are answered to
// some clients by servers of their own.
//
// A view is all that a client may be told otherwise than everybody else. What it
// holds is kept apart from all others' from end to end, also for names outside of
// the domains: an alias of anybody may lead into one.
//
// Views have numbers, 0 being everybody else's. A number is made from what the view
// consists of, so what memory or its file holds of a view is found again as long as
// that is the same, and never by a view that is another.
type Views struct {
	prefixes policy.Prefixes // their values are places in numbers
	numbers  []uint32
	views    map[uint32]*view
}

// A view is the entries that answer otherwise in it, by domain.
type view struct {
	clients []netip.Prefix
	entries map[string]int // places in the list of domains
}

// NewViews makes the views that a list of valid domains has; nil where it has but one.
func NewViews(list []Domains) *Views {
	by := entriesByName(list)
	v := &Views{numbers: []uint32{0}, views: map[uint32]*view{}}
	values := map[netip.Prefix]int32{}
	for _, clients := range clientsOf(list) {
		one := view{[]netip.Prefix{clients}, by.seenBy(clients)}
		number := v.number(&one, list)
		if was := v.views[number]; was != nil {
			was.clients = append(was.clients, clients)
		} else {
			v.views[number] = &one
		}
		values[clients] = int32(len(v.numbers))
		v.numbers = append(v.numbers, number)
	}
	if len(values) == 0 {
		return nil
	}
	v.prefixes = policy.NewPrefixes(values)
	return v
}

// clientsOf are all the prefixes of a list, in order.
func clientsOf(list []Domains) []netip.Prefix {
	all := map[netip.Prefix]bool{}
	for _, d := range list {
		for _, p := range d.Clients {
			all[p.Masked()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
	})
}

// entries are the places in a list where a domain stands, by its folded wire name.
type entries map[string][]entryOf

// An entryOf is one of a domain's entries: of some clients, or of everybody else.
type entryOf struct {
	place   int
	clients netip.Prefix
}

func entriesByName(list []Domains) entries {
	by := entries{}
	for i, d := range list {
		for _, n := range d.Names {
			name, err := wire.ParseName(n)
			if err != nil { // reported by ValidateDomains
				continue
			}
			if len(d.Clients) == 0 {
				by[string(name)] = append(by[string(name)], entryOf{place: i})
			}
			for _, p := range d.Clients {
				by[string(name)] = append(by[string(name)], entryOf{i, p.Masked()})
			}
		}
	}
	return by
}

// everybody gives the entries that hold where no other does.
func (by entries) everybody() map[string]int {
	all := map[string]int{}
	for name, list := range by {
		for _, e := range list {
			if !e.clients.IsValid() {
				all[name] = e.place
			}
		}
	}
	return all
}

// seenBy gives the entries that hold for clients instead of everybody's: of those
// for them, that with the longest prefix.
func (by entries) seenBy(clients netip.Prefix) map[string]int {
	own := map[string]int{}
	for name, list := range by {
		best := -1
		for _, e := range list {
			if e.clients.IsValid() && e.clients.Bits() > best && e.clients.Bits() <= clients.Bits() && e.clients.Contains(clients.Addr()) {
				best, own[name] = e.clients.Bits(), e.place
			}
		}
	}
	return own
}

// number is made from what a view consists of.
func (v *Views) number(one *view, list []Domains) uint32 {
	text := one.text(list)
	sum := sha256.Sum256([]byte(text))
	for n := binary.BigEndian.Uint32(sum[:]); ; n++ {
		if was := v.views[n]; n != 0 && (was == nil || was.text(list) == text) {
			return n
		}
	}
}

// text is different for different views.
func (v *view) text(list []Domains) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(v.entries)) {
		fmt.Fprintf(&b, "%q %s\n", name, list[v.entries[name]].servedBy())
	}
	return b.String()
}

// Of is the number of a client's view.
func (v *Views) Of(client netip.Addr) uint32 {
	if v == nil {
		return 0
	}
	return v.numbers[v.prefixes.Find(client)]
}

// all are the views by number, but for everybody else's.
func (v *Views) all() map[uint32]*view {
	if v == nil {
		return nil
	}
	return v.views
}

// Name says whose view it is: its clients, "" where everybody else's.
func (v *Views) Name(number uint32) string {
	if number == 0 {
		return ""
	}
	if v != nil && v.views[number] != nil {
		return strings.Trim(fmt.Sprint(v.views[number].clients), "[]")
	}
	return fmt.Sprintf("%08x, of an earlier configuration", number)
}
