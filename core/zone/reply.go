package zone

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// maxAliases bounds a chain of CNAMEs and DNAMEs; loops end sooner, at the first
// name met again.
const maxAliases = 16

// An answer is a reply in the making.
type answer struct {
	r       *Reader // that found what was looked up last
	front   *Reader // that is asked first
	q       *wire.Query
	reply   wire.Reply
	limit   int
	nameAt  int // where the name being looked up stands in the message
	aliases int
	wilds   int                // in r.wild
	proofs  int                // in r.proved
	seen    [maxAliases]uint64 // hashes of the names that were followed
	data    [wire.MaxName]byte
}

// Answer writes the whole reply to q into data, the packet that asked, and
// returns it with the outcome of the first look-up, or Unread where any ended so. at is
// as for Lookup. After an alias was followed q asks for the alias's target.
func (r *Reader) Answer(q *wire.Query, data []byte, limit, at int) ([]byte, Outcome) {
	var a answer
	a.r, a.front, a.q, a.limit, a.nameAt = r, r, q, limit, wire.HeaderLen
	a.reply.Begin(data, q, limit)
	if q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR {
		a.reply.SetRcode(wire.RcodeRefused)
		a.reply.SetEDE(wire.EDEProhibited, "")
		return a.reply.Finish(), Refused
	}
	res := r.Lookup(q, q.Type, at)
	if r.behind != nil && res.Outcome == Refused {
		a.fallBack(&res, at)
	}
	first := res.Outcome
	if first != Refused && first != NotReady && first != Referral {
		a.reply.SetFlags(wire.FlagAA)
	}
	for a.step(&res) {
		a.next(&res)
	}
	if res.Outcome == Unread {
		return a.reply.Finish(), Unread
	}
	if a.wilds > 0 {
		a.expansions()
	}
	return a.reply.Finish(), first
}

// step writes what a look-up found, and reports whether an alias leads on.
func (a *answer) step(res *Result) bool {
	switch res.Outcome {
	case Refused:
		if a.aliases == 0 { // else the chain has left our zones: what is there is the answer
			a.reply.SetRcode(wire.RcodeRefused)
			a.reply.SetEDE(wire.EDENotAuthoritative, "")
		}
	case NotReady:
		if a.aliases == 0 {
			a.reply.SetRcode(wire.RcodeServFail)
			a.reply.SetEDE(wire.EDENotReady, "")
		}
	case Unread: // what is asked again says all
		a.reply.SetRcode(wire.RcodeServFail)
	case Hit:
		if a.putAnswer(res) {
			end := a.reply.Len()
			if a.q.DO {
				a.signHit(res)
			}
			a.addresses(&res.Set, end)
		}
	case NoData:
		a.negative(res)
	case NoName:
		a.reply.SetRcode(wire.RcodeNXDomain) // RFC 6604 §3: the last name's
		a.negative(res)
	case Referral:
		a.referral(res)
	case Alias:
		return a.alias(res)
	case Substitution:
		return a.substitute(res)
	}
	return false
}

// put writes a whole RRset, its records rotated, or says TC (RFC 2181 §9). An
// RRset that no message can hold is cut where the largest one ends: there is
// nothing else to come back for, and each asker gets another part.
func (a *answer) put(s wire.Section, owner int, set *RRset) bool {
	mark := a.reply.Mark()
	rest := set.RRs
	if set.Count > 1 {
		a.r.turn++
		rest = rest[a.rotation(set):]
	}
	for range 2 { // from the first record of this turn to the end, and those before it
		for len(rest) > 0 {
			n := rrSize(rest)
			if !a.reply.Put(s, owner, rest[:n]) {
				if a.limit < wire.MaxMessage || written(set) <= wire.MaxMessage-a.q.End {
					a.reply.Rollback(mark)
				}
				a.reply.SetFlags(wire.FlagTC)
				return false
			}
			rest = rest[n:]
		}
		if set.Count == 1 {
			return true
		}
		rest = set.RRs[:a.rotation(set)]
	}
	return true
}

// rotation is the offset of the record this turn begins with.
func (a *answer) rotation(set *RRset) int {
	skip := int(a.r.turn) % set.Count
	if set.Type == wire.TypeA || set.Type == wire.TypeAAAA {
		return skip * rrSize(set.RRs)
	}
	off := 0
	for ; skip > 0; skip-- {
		off += rrSize(set.RRs[off:])
	}
	return off
}

// negative writes the SOA of the zone that the last name looked up is in, and proofs.
func (a *answer) negative(res *Result) {
	z := res.Zone
	owner := a.nameAt + int(a.q.Offset[a.q.Labels-z.Labels])
	if !a.reply.Put(wire.Authority, owner, z.soa) {
		a.reply.SetFlags(wire.FlagTC)
		return
	}
	if !a.proving(z) {
		return
	}
	if apex := a.r.find(wire.HashName(z.Apex), z.Apex); apex != nil {
		a.sign(wire.Authority, owner, apex, wire.TypeSOA, binary.BigEndian.Uint32(z.soa[4:]))
	}
	a.deny(res)
}

// alias writes a CNAME and goes on with its target.
func (a *answer) alias(res *Result) bool {
	if !a.put(wire.Answer, a.nameAt, &res.Set) {
		return false
	}
	target := res.Set.Data()
	at := a.reply.Len() - len(target)
	if a.proving(res.Zone) {
		a.signAnswer(res, a.nameAt)
	}
	return a.follow(target, at)
}

// follow goes on with an alias's target, which was written at an offset.
func (a *answer) follow(target []byte, at int) bool {
	if a.aliases == maxAliases {
		return false
	}
	a.seen[a.aliases] = a.q.Hash[0]
	a.aliases++
	a.nameAt = at
	a.q.SetName(target)
	for _, h := range a.seen[:a.aliases] {
		if h == a.q.Hash[0] {
			return false
		}
	}
	return true
}

// substitute writes a DNAME and the CNAME that follows from it (RFC 6672 §3.1).
func (a *answer) substitute(res *Result) bool {
	prefix := int(a.q.Offset[res.Owner])
	target := res.Set.Data()
	n := copy(a.data[:], a.q.Name()[:prefix])
	if !a.put(wire.Answer, a.nameAt+prefix, &res.Set) {
		return false
	}
	if a.proving(res.Zone) {
		a.signAnswer(res, a.nameAt+prefix)
	}
	if n+len(target) > wire.MaxName {
		a.reply.SetRcode(wire.RcodeYXDomain) // RFC 6672 §2.2
		return false
	}
	n += copy(a.data[n:], target)
	if !a.reply.PutRR(wire.Answer, a.nameAt, wire.TypeCNAME, wire.ClassIN, res.Set.TTL(), a.data[:n]) {
		a.reply.SetFlags(wire.FlagTC)
		return false
	}
	if a.q.Type == wire.TypeCNAME && a.aliases == 0 {
		return false // the synthesised CNAME is what was asked for
	}
	wire.Fold(a.data[:n])
	if wire.IsSubdomain(a.data[n-len(target):n], a.q.Suffix(res.Owner)) {
		return false // the target is below the DNAME itself: the name would grow for ever
	}
	return a.follow(a.data[:n], a.reply.Len()-n)
}

// referral writes a delegation's NS set and the addresses we have for its
// servers. Those within the delegated zone are needed to get there: without room
// for one of them the reply says TC (RFC 9471 §3.1).
func (a *answer) referral(res *Result) {
	cut := a.q.Suffix(res.Owner)
	start := a.reply.Len()
	if !a.put(wire.Authority, a.nameAt+int(a.q.Offset[res.Owner]), &res.Set) {
		return
	}
	end := a.reply.Len()
	a.security(res)
	for _, needed := range [...]bool{true, false} {
		for at := start; at < end; {
			at += 2 // the owner, a pointer
			rr := a.reply.Written(at, end)
			a.glue(rrData(rr), at+rrHead, cut, needed)
			at += rrSize(rr)
		}
	}
}

// security writes what says whether a delegated zone is signed: its DS set, or the proof
// that it has none (RFC 4035 §3.1.4, RFC 5155 §7.2.7).
func (a *answer) security(res *Result) {
	if a.wilds > 0 {
		a.expansions()
	}
	if !a.proving(res.Zone) {
		return
	}
	owner := a.nameAt + int(a.q.Offset[res.Owner])
	set, ok := res.node.find(wire.TypeDS)
	if !ok {
		a.absent(res.Zone, res.Owner)
		return
	}
	if a.put(wire.Authority, owner, &set) {
		a.sign(wire.Authority, owner, res.node, wire.TypeDS, set.TTL())
	}
}

// glue writes a name server's addresses, if they are needed or not.
func (a *answer) glue(name []byte, nameAt int, cut []byte, needed bool) {
	r, n := a.host(name)
	if n == nil || needed != wire.IsSubdomain(n.name(), cut) {
		return
	}
	for _, typ := range [...]uint16{wire.TypeA, wire.TypeAAAA} {
		set, ok := n.find(typ)
		if ok && !a.additional(r, nameAt, n, &set) && needed {
			a.reply.SetFlags(wire.FlagTC)
		}
	}
}

// addresses adds what we know of the hosts that the answer names: a client that
// asks for SRV or MX asks for those next. They go where there is room. end is where the
// answer's records end.
func (a *answer) addresses(set *RRset, end int) {
	skip := 0
	switch set.Type {
	case wire.TypeSRV:
		skip = 6 // RFC 2782: priority, weight, port
	case wire.TypeMX:
		skip = 2
	case wire.TypeNS:
	default:
		return
	}
	if a.nameAt > 0x3fff {
		return // the owners before it are written in full
	}
	for at, count := end-written(set), 0; at < end && count < maxHosts; count++ {
		at += 2
		rr := a.reply.Written(at, end)
		if r, n := a.host(rrData(rr)[skip:]); n != nil && n.flags()&flagCut == 0 {
			for _, typ := range [...]uint16{wire.TypeA, wire.TypeAAAA} {
				if more, ok := n.find(typ); ok {
					a.additional(r, at+rrHead+skip, n, &more)
				}
			}
		}
		at += rrSize(rr)
	}
}

// maxHosts bounds the look-ups that one answer's additional section costs.
const maxHosts = 16

// written is how long a set became as it was written, with a pointer for each owner.
func written(set *RRset) int { return len(set.RRs) + 2*set.Count }

// additional puts an RRset of a node, with its signatures where those are wanted and
// there is room for them too.
func (a *answer) additional(r *Reader, owner int, n node, set *RRset) bool {
	mark := a.reply.Mark()
	for rest := set.RRs; len(rest) > 0; {
		size := rrSize(rest)
		if !a.reply.Put(wire.Additional, owner, rest[:size]) {
			a.reply.Rollback(mark)
			return false
		}
		rest = rest[size:]
	}
	if a.q.DO {
		if z := r.zone(n); z != nil && a.proving(z) {
			mark = a.reply.Mark()
			if !a.sign(wire.Additional, owner, n, set.Type, set.TTL()) {
				a.reply.Rollback(mark)
			}
		}
	}
	return true
}

// findFolded finds a name as it stands in some record's data, in a zone that is
// answered from: while one is read its RRsets may not be whole.
func (r *Reader) findFolded(name []byte) node {
	n := copy(r.star[:], name)
	wire.Fold(r.star[:n])
	found := r.find(wire.HashName(r.star[:n]), r.star[:n])
	if found != nil {
		if z := r.zone(found); z == nil || !z.Ready() {
			return nil
		}
	}
	return found
}

// SOASerial is the serial of a zone's SOA, 0 where there is none.
func (z *Zone) SOASerial() uint32 {
	if len(z.soa) < 20 {
		return 0
	}
	return binary.BigEndian.Uint32(z.soa[len(z.soa)-20:])
}
