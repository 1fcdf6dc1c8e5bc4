package zone

import (
	"crypto/sha1"
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// What a signed zone adds to answers for those who want it (RFC 4035 §3.1, RFC 5155
// §7.2): signatures, and the records that prove what is not there. Nothing is signed
// here: all of it stands in the zone.

// A wild is a wildcard that an answer was made from: that there was nothing closer is
// to be proved in the authority section, behind all answers.
type wild struct {
	zone   *Zone
	nameAt int // where the name it was made for stands in the message
}

// proving reports whether the asker is to get a zone's DNSSEC records.
func (a *answer) proving(z *Zone) bool { return a.q.DO && z.denial != nil }

// sign puts a node's signatures over an RRset of it, with that one's TTL (RFC 4034 §3).
func (a *answer) sign(s wire.Section, owner int, n node, typ uint16, ttl uint32) bool {
	if n == nil {
		return true
	}
	set, ok := n.find(wire.TypeRRSIG)
	if !ok {
		return true
	}
	for rest := set.RRs; len(rest) > 0; rest = rest[rrSize(rest):] {
		rr := rest[:rrSize(rest)]
		if binary.BigEndian.Uint16(rrData(rr)) != typ {
			continue
		}
		if !a.reply.Put(s, owner, rr) {
			if s != wire.Additional {
				a.reply.SetFlags(wire.FlagTC)
			}
			return false
		}
		end := a.reply.Len()
		binary.BigEndian.PutUint32(a.reply.Written(end-len(rr), end)[4:], ttl)
	}
	return true
}

// signAnswer puts the signatures over what a look-up found, which was written last,
// and remembers wildcards.
func (a *answer) signAnswer(res *Result, owner int) {
	n := res.node
	if res.Set.Type == wire.TypeDS {
		n = a.r.upper(res.Zone, a.q.Name(), n)
	}
	a.sign(wire.Answer, owner, n, res.Set.Type, res.Set.TTL())
	if res.Wildcard && a.wilds < len(a.r.wild) {
		a.r.wild[a.wilds] = wild{res.Zone, a.nameAt}
		a.wilds++
	}
}

// signHit signs what was asked for, and ends the chain of aliases that led there.
func (a *answer) signHit(res *Result) {
	if a.proving(res.Zone) {
		a.signAnswer(res, a.nameAt)
	}
	if a.wilds > 0 {
		a.expansions()
	}
}

// expansions proves of each wildcard in the answer that nothing closer to the name was
// there (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6).
func (a *answer) expansions() {
	var now [wire.MaxName]byte
	n, at := copy(now[:], a.q.Name()), a.nameAt
	for _, w := range a.r.wild[:a.wilds] {
		a.nameAt = w.nameAt
		name := a.reply.Written(w.nameAt, a.reply.Len())
		var asked [wire.MaxName]byte
		size := copy(asked[:], name[:wire.NameLen(name)])
		wire.Fold(asked[:size])
		a.q.SetName(asked[:size])
		if encloser := a.encloser(); w.zone.denial.hashed() {
			h := w.zone.denial.hash(a.q.Suffix(encloser - 1))
			a.putHash(w.zone, &h)
		} else {
			a.putNSEC(w.zone, a.q.Name())
		}
	}
	a.wilds, a.nameAt = 0, at
	a.q.SetName(now[:n])
}

// deny proves NODATA or NXDOMAIN of the name last looked up.
func (a *answer) deny(res *Result) {
	z := res.Zone
	if res.Outcome == NoData && !res.Wildcard {
		a.absent(z, 0)
		return
	}
	encloser := a.encloser()
	if z.denial.hashed() {
		encloser = a.provable(z, encloser-1)
	} else {
		a.putNSEC(z, a.q.Name())
	}
	a.r.star[0], a.r.star[1] = 1, '*'
	n := 2 + copy(a.r.star[2:], a.q.Suffix(encloser))
	a.absentName(z, a.r.star[:n])
}

// absent proves that a label's suffix of the name has no such type, or is not signed
// for, being a delegation without DS.
func (a *answer) absent(z *Zone, label int) {
	if z.denial.hashed() {
		a.provable(z, label)
		return
	}
	a.putNSEC(z, a.q.Suffix(label))
}

// absentName puts the record that matches or covers a name.
func (a *answer) absentName(z *Zone, name []byte) {
	if !z.denial.hashed() {
		a.putNSEC(z, name)
		return
	}
	h := z.denial.hash(name)
	a.putHash(z, &h)
}

// encloser is the label of the closest encloser of a name that is not there (RFC 4592
// §3.3.1).
func (a *answer) encloser() int {
	for i := 1; i < a.q.Labels; i++ {
		if n := a.r.find(a.q.Hash[i], a.q.Suffix(i)); n != nil && n.flags()&flagHash == 0 {
			return i
		}
	}
	return a.q.Labels
}

// provable puts the NSEC3 record that matches a label's suffix of the name, or else the
// proof of the closest encloser that has one (RFC 5155 §7.2.1, §7.2.4): its own record,
// and the one that covers the name one label longer. It returns that encloser's label.
func (a *answer) provable(z *Zone, label int) int {
	apex := a.q.Labels - z.Labels
	for i := label; i < apex; i++ {
		h := z.denial.hash(a.q.Suffix(i))
		if _, match := z.denial.find(&h); match {
			a.putHash(z, &h)
			a.putNext(z, i, label)
			return i
		}
	}
	h := z.denial.hash(z.Apex)
	a.putHash(z, &h)
	a.putNext(z, apex, label)
	return apex
}

// putNext covers the name next closer than an encloser, unless that is what was asked for.
func (a *answer) putNext(z *Zone, encloser, label int) {
	if encloser > label {
		h := z.denial.hash(a.q.Suffix(encloser - 1))
		a.putHash(z, &h)
	}
}

// putNSEC puts the NSEC record that matches or covers a folded name.
func (a *answer) putNSEC(z *Zone, name []byte) {
	a.prove(z, z.denial.owner(name), wire.TypeNSEC)
}

// putHash puts the NSEC3 record that matches or covers a hash.
func (a *answer) putHash(z *Zone, h *[sha1.Size]byte) {
	i, _ := z.denial.find(h)
	var owner [wire.MaxName]byte
	owner[0] = hashLabel - 1
	hashText.Encode(owner[1:hashLabel], z.denial.hashes[i][:])
	n := hashLabel + copy(owner[hashLabel:], z.Apex)
	a.prove(z, owner[:n], wire.TypeNSEC3)
}

// prove puts the NSEC or NSEC3 record of an owner with its signatures, once.
func (a *answer) prove(z *Zone, owner []byte, typ uint16) {
	h := wire.HashName(owner)
	for _, put := range a.r.proved[:a.proofs] {
		if put == h {
			return
		}
	}
	n := a.r.upper(z, owner, a.r.find(h, owner))
	if n == nil { // taken out a moment ago
		return
	}
	set, ok := n.find(typ)
	if !ok {
		return
	}
	if a.proofs < len(a.r.proved) {
		a.r.proved[a.proofs] = h
		a.proofs++
	}
	at := a.reply.Len()
	zone := a.nameAt + int(a.q.Offset[a.q.Labels-z.Labels])
	if !a.reply.PutUnder(wire.Authority, owner[:len(owner)-len(z.Apex)], zone, set.RRs[:rrSize(set.RRs)]) {
		a.reply.SetFlags(wire.FlagTC)
		return
	}
	a.sign(wire.Authority, at, n, typ, set.TTL())
}
