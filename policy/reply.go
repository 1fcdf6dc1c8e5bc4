package policy

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// Reply writes what a verdict other than Pass says in the place of the query's
// packet, at most limit octets (what q.Limit gave), and returns it: empty for Drop
// and Pass. data must have room for 512 octets. A Rewrite's reply holds the alias
// alone; to go on behind it use Alias.
//
// RA is set: a resolver that gets an empty reply with neither AA nor RA takes it
// for a lame server's.
func (p *Policy) Reply(v Verdict, q *wire.Query, data []byte, limit int) []byte {
	if v.Action == Drop || v.Action == Pass {
		return data[:0]
	}
	var r wire.Reply
	r.Begin(data, q, limit)
	r.SetFlags(wire.FlagRA)
	switch v.Action {
	case Refuse:
		r.SetRcode(wire.RcodeRefused)
		r.SetEDE(wire.EDEProhibited, "")
	case Truncate:
		r.Truncate(q)
	default:
		r.SetRcode(int(v.Rcode))
		if !p.put(&r, v, q) {
			r.Truncate(q)
		}
	}
	return r.Finish()
}

// Alias puts a Rewrite's CNAME into a reply and returns where its target stands
// in full: the owner of what comes behind. It reports false where there is no room.
func (p *Policy) Alias(r *wire.Reply, v Verdict, q *wire.Query) (target int, ok bool) {
	var buf [wire.MaxName]byte
	target = r.Len() + rrFixed
	if v.set != 0 {
		return target, r.Put(wire.Answer, wire.HeaderLen, p.sets[v.set].rrs[0])
	}
	return target, r.PutRR(wire.Answer, wire.HeaderLen, wire.TypeCNAME, wire.ClassIN, p.rules[v.rule].ttl, p.Target(v, q, &buf))
}

// rrFixed is what stands before a record's data: pointer to the owner, type,
// class, TTL, length.
const rrFixed = 12

// put writes the records of an Answer or Rewrite.
func (p *Policy) put(r *wire.Reply, v Verdict, q *wire.Query) bool {
	switch v.form {
	case formHidden: // which is worth an extended error (RFC 8914 §4.16)
		r.SetEDE(wire.EDEBlocked, "")
		return p.putSOA(r, wire.Authority, int(q.Offset[v.apex]))
	case formNegative:
		return p.putSOA(r, wire.Authority, int(q.Offset[v.apex]))
	case formSOA:
		return p.putSOA(r, wire.Answer, int(q.Offset[v.apex]))
	case formAddress:
		return putAddress(r, v, q, p.rules[v.rule].ttl)
	case formPointer:
		return p.putPointer(r, v, q, p.rules[v.rule].ttl)
	case formData:
		for _, rr := range p.sets[v.set].rrs {
			if !r.Put(wire.Answer, wire.HeaderLen, rr) {
				return false
			}
		}
	case formAlias:
		_, ok := p.Alias(r, v, q)
		return ok
	}
	return true
}

func putAddress(r *wire.Reply, v Verdict, q *wire.Query, ttl uint32) bool {
	addr, _ := nameAddr(q, int(v.apex))
	if addr.Is4() {
		b := addr.As4()
		return r.PutRR(wire.Answer, wire.HeaderLen, wire.TypeA, wire.ClassIN, ttl, b[:])
	}
	b := addr.As16()
	return r.PutRR(wire.Answer, wire.HeaderLen, wire.TypeAAAA, wire.ClassIN, ttl, b[:])
}

func (p *Policy) putPointer(r *wire.Reply, v Verdict, q *wire.Query, ttl uint32) bool {
	addr, _, _ := reverseAddr(q)
	var buf [wire.MaxName]byte
	name := appendDashed(buf[:1], addr)
	name[0] = byte(len(name) - 1)
	name = append(name, p.rules[v.rule].to...)
	return r.PutRR(wire.Answer, wire.HeaderLen, wire.TypePTR, wire.ClassIN, ttl, name)
}

// soaTail is what follows MNAME: RNAME nobody.invalid. (RFC 6303 §3), serial,
// refresh, retry, expire, and the minimum, which is written per policy.
const (
	soaTail = "\x06nobody\x07invalid\x00" +
		"\x00\x00\x00\x01" + "\x00\x00\x0e\x10" + "\x00\x00\x04\xb0" + "\x00\x09\x3a\x80" +
		"\x00\x00\x00\x00"
	soaLen = 2 + len(soaTail)
)

// putSOA makes up the SOA of the suffix that begins at an offset of the name. TTL
// and MINIMUM both say how long the denial lasts (RFC 2308 §5).
func (p *Policy) putSOA(r *wire.Reply, s wire.Section, offset int) bool {
	var b [soaLen]byte
	owner := wire.HeaderLen + offset
	binary.BigEndian.PutUint16(b[:], 0xc000|uint16(owner)) // MNAME is the owner itself
	copy(b[2:], soaTail)
	binary.BigEndian.PutUint32(b[soaLen-4:], p.negative)
	return r.PutRR(s, owner, wire.TypeSOA, wire.ClassIN, p.negative, b[:])
}
