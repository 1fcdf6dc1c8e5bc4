package probe

import (
	"fmt"
	"net/netip"
	"testing"
)

func someAddresses(n int) (all []netip.Addr) {
	for i := range n {
		if i%5 == 4 {
			all = append(all, netip.AddrFrom16([16]byte{0xfd, 15: byte(i), 14: byte(i >> 8)}))
		} else {
			all = append(all, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
	}
	return all
}

// All share alike, whatever the order in which names are known, and one that goes
// or comes moves nothing but its own share.
func TestOwner(t *testing.T) {
	t.Parallel()
	if got := Owner(nil, netip.MustParseAddr("10.0.0.1")); got != "" {
		t.Error(got)
	}
	all := someAddresses(20_000)
	for _, count := range []int{1, 2, 3, 7} {
		var names []string
		for i := range count {
			names = append(names, fmt.Sprintf("prober-%d.example.org", i))
		}
		backwards := make([]string, count)
		for i, name := range names {
			backwards[count-1-i] = name
		}
		shares := map[string]int{}
		moved := map[string]int{}
		for _, addr := range all {
			owner := Owner(names, addr)
			if Owner(backwards, addr) != owner {
				t.Fatalf("%s: it depends on the order", addr)
			}
			shares[owner]++
			if count == 1 {
				continue
			}
			after := Owner(names[1:], addr)
			if owner != names[0] && after != owner {
				t.Fatalf("%s moved from %s to %s when %s went", addr, owner, after, names[0])
			}
			if owner == names[0] {
				moved[after]++
			}
		}
		for _, name := range names {
			if want := len(all) / count; shares[name] < want*9/10 || shares[name] > want*11/10 {
				t.Errorf("%d probers: %s has %d of %d", count, name, shares[name], len(all))
			}
		}
		for name, n := range moved {
			if want := shares[names[0]] / (count - 1); n < want*8/10 || n > want*12/10 {
				t.Errorf("%d probers: of %d that moved %s got %d", count, shares[names[0]], name, n)
			}
		}
	}
}
