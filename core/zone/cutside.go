package zone

import "github.com/strata-dns/strata/core/wire"

// Where a zone and one below it are both in the table, two zones have NSEC and RRSIG
// records at the name where they meet (RFC 4035 §2.3, §2.4). The name's node is the lower
// zone's apex; what the upper one says there stands aside, under a name that no question
// has, as those are folded: sub.S.example.org for sub.example.org in example.org.

// aside is the label that such names have above the upper zone's apex.
const aside = "\x01S"

// besideCut gives the name aside for a name of the zone with this apex, false where it
// would be too long.
func besideCut(dst, name, apex []byte) ([]byte, bool) {
	dst = append(append(append(dst, name[:len(name)-len(apex)]...), aside...), apex...)
	return dst, len(dst) <= wire.MaxName
}

// fromBeside gives the name that a name aside stands for; all others stand for themselves.
// dst is written to.
func fromBeside(dst, name, apex []byte) []byte {
	at := len(name) - len(apex) - len(aside)
	if at < 0 || string(name[at:at+len(aside)]) != aside || !wire.IsSubdomain(name, name[at:]) {
		return name
	}
	return append(append(dst, name[:at]...), apex...)
}

// upper gives the node with what a zone says at a name: that one's, or the one aside
// where the name is another zone's apex.
func (r *Reader) upper(z *Zone, name []byte, n node) node {
	if n == nil || n.flags()&flagApex == 0 || len(name) == len(z.Apex) {
		return n
	}
	var buf [wire.MaxName + len(aside)]byte
	owner, ok := besideCut(buf[:0], name, z.Apex)
	if !ok {
		return nil
	}
	return r.find(wire.HashName(owner), owner)
}
