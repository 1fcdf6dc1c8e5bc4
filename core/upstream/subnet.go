package upstream

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// subnetHead is the octets of a client subnet option in front of its address: family,
// source and scope prefix lengths (RFC 7871 §6).
const subnetHead = 4

// subnet is the data of the client subnet option that a flight's queries carry, nil
// where they have none.
func (f *flight) subnet() []byte { return findOption(f.options(), wire.OptionECS) }

// sameSubnet reports whether a reply's client subnet is the one that was asked with
// (RFC 7871 §7.3): family, source prefix length, and as many bits of the address. How
// far the answer holds, the scope, is the server's to say, and what was not asked for is
// not looked at.
func sameSubnet(asked, got []byte) bool {
	if asked == nil {
		return true
	}
	if len(got) < subnetHead || string(got[:3]) != string(asked[:3]) {
		return false
	}
	want, have, bits := asked[subnetHead:], got[subnetHead:], int(asked[2])
	whole, rest := bits/8, bits%8
	if len(have) < (bits+7)/8 || string(have[:whole]) != string(want[:whole]) {
		return false
	}
	return rest == 0 || (have[whole]^want[whole])>>(8-rest) == 0
}

// findOption gives the data of the first EDNS option of a kind, nil where there is
// none; a truncated list ends where it cannot be read.
func findOption(options []byte, code uint16) []byte {
	for len(options) >= 4 {
		end := 4 + int(binary.BigEndian.Uint16(options[2:]))
		if end > len(options) {
			return nil
		}
		if binary.BigEndian.Uint16(options) == code {
			return options[4:end:end]
		}
		options = options[end:]
	}
	return nil
}
