//go:build dpdk

package dpdk

import "testing"

// Bits that are none of those the tests are about.
const others = 1 << 62

func TestChoose(t *testing.T) {
	ip, udp := rxSums&^(rxSums&(rxSums-1)), rxSums&(rxSums-1)
	txIP := txSums &^ (txSums & (txSums - 1))
	for _, c := range []struct {
		name         string
		can, want    abilities
		sums, checks bool
		byPorts      bool
	}{
		{"nothing", abilities{}, abilities{}, false, false, false},
		{"only what is of no use", abilities{others, others, others}, abilities{}, false, false, false},
		{"all", abilities{^uint64(0), ^uint64(0), ^uint64(0)}, abilities{rxSums, txSums | fastFree, hashIP | hashUDP}, true, true, true},
		{"looks at one checksum", abilities{rx: ip | others}, abilities{rx: ip}, false, true, false},
		{"looks at the other", abilities{rx: udp}, abilities{rx: udp}, false, true, false},
		{"writes one alone", abilities{tx: txIP}, abilities{}, false, false, false},
		{"writes both", abilities{tx: txSums | others}, abilities{tx: txSums}, true, false, false},
		{"frees", abilities{tx: fastFree}, abilities{tx: fastFree}, false, false, false},
		{"spreads by addresses", abilities{hash: hashIP | others}, abilities{hash: hashIP}, false, false, false},
		{"spreads by ports of one family", abilities{hash: hashUDP & (hashUDP - 1)}, abilities{hash: hashUDP & (hashUDP - 1)}, false, false, true},
	} {
		use := c.can.choose()
		if use != c.want || use.sums() != c.sums || use.checks() != c.checks || use.byPorts() != c.byPorts {
			t.Errorf("%s: %+v, writes %v, looks %v, by ports %v", c.name, use, use.sums(), use.checks(), use.byPorts())
		}
	}
	if ip == 0 || udp == 0 || ip|udp != rxSums || fastFree == 0 || hashIP&hashUDP != 0 {
		t.Error("bits are not what they should be")
	}
}
