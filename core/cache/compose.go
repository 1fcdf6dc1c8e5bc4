package cache

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// write writes the records worth keeping and returns how long they are fresh, in
// milliseconds: the least TTL of the answer's records, or what RFC 2308 §5 gives
// a negative answer.
func (b *builder) write(msg []byte, o *Options) (life uint32, err error) {
	b.out = append(b.out, b.question.Name...)
	b.out = binary.BigEndian.AppendUint16(b.out, b.question.Type)
	b.out = binary.BigEndian.AppendUint16(b.out, b.question.Class)
	b.body = len(b.out)
	for i := wire.HeaderLen; b.out[i] != 0; i += 1 + int(b.out[i]) {
		b.suffixes = append(b.suffixes, uint16(i))
	}
	ttl, positive, err := b.answer(msg)
	if err != nil {
		return 0, err
	}
	if positive {
		return ttl * 1000, b.proof(msg)
	}
	return b.negative(msg, ttl, o)
}

// answer writes the answer section. positive is false where nothing in it is
// what was asked for; ttl is the least of those written.
func (b *builder) answer(msg []byte) (ttl uint32, positive bool, err error) {
	ttl = maxTTL
	had := 0
	for i := range b.recs {
		rec := &b.recs[i]
		if rec.Section != wire.Answer {
			break
		}
		had++
		if !b.related(msg, rec) {
			b.trimmed++
			continue
		}
		ttl = min(ttl, capTTL(rec.TTL))
		if !b.putRecord(msg, rec, capTTL(rec.TTL)) {
			return 0, false, errMalformed
		}
		b.answers++
		positive = positive || rec.Type == b.question.Type || b.question.Type == wire.TypeANY
	}
	switch {
	case had > 0 && b.answers == 0:
		return 0, false, errUnrelated
	case b.rcode == wire.RcodeNXDomain: // of the chain's last name (RFC 2308 §2.1)
		positive = false
	}
	return ttl, positive, nil
}

// related reports whether a record of the answer section belongs to a name on
// the chain, or is a DNAME above one (RFC 6672 §3.1).
func (b *builder) related(msg []byte, rec *wire.Record) bool {
	if rec.Class != b.question.Class {
		return false
	}
	switch rec.Type {
	case b.question.Type, wire.TypeCNAME, wire.TypeDNAME:
	case wire.TypeRRSIG:
		if !b.question.DO && b.question.Type != wire.TypeANY {
			return false
		}
	default:
		if b.question.Type != wire.TypeANY {
			return false
		}
	}
	n, _, _ := wire.ReadName(msg, rec.Name, &b.name)
	owner := b.name[:n]
	if b.onChain(owner) {
		return true
	}
	if rec.Type != wire.TypeDNAME && !b.signs(msg, rec, wire.TypeDNAME) {
		return false
	}
	wire.Fold(owner)
	return slices.ContainsFunc(b.chain[:max(len(b.chain)-1, 1)], func(link []byte) bool {
		return wire.IsSubdomain(link, owner)
	})
}

// signs reports whether rec is a signature over one of the types.
func (b *builder) signs(msg []byte, rec *wire.Record, types ...uint16) bool {
	return rec.Type == wire.TypeRRSIG && rec.End-rec.Data >= 18 &&
		slices.Contains(types, binary.BigEndian.Uint16(msg[rec.Data:]))
}

// proof writes what proves that a wildcard was rightly expanded (RFC 4035
// §3.1.3.3), for those who asked for DNSSEC: from the zones that signed the
// answer. Other records of the authority section are of no use to a stub.
func (b *builder) proof(msg []byte) error {
	if !b.question.DO {
		return nil
	}
	for i := range b.recs {
		rec := &b.recs[i]
		if rec.Section != wire.Authority || rec.Class != b.question.Class {
			continue
		}
		if rec.Type != wire.TypeNSEC && rec.Type != wire.TypeNSEC3 && !b.signs(msg, rec, wire.TypeNSEC, wire.TypeNSEC3) {
			continue
		}
		if !b.inSigningZone(msg, rec) {
			b.trimmed++
			continue
		}
		if !b.putRecord(msg, rec, capTTL(rec.TTL)) {
			return errMalformed
		}
		b.rest++
	}
	return nil
}

// inSigningZone reports whether a record's owner is in a zone that signed a part of
// the answer, above a name on the chain.
func (b *builder) inSigningZone(msg []byte, rec *wire.Record) bool {
	n, _, _ := wire.ReadName(msg, rec.Name, &b.name)
	var buf [wire.MaxName]byte
	owner := buf[:copy(buf[:], b.name[:n])]
	wire.Fold(owner)
	for i := range b.recs {
		sig := &b.recs[i]
		if sig.Section != wire.Answer || sig.Type != wire.TypeRRSIG || sig.End-sig.Data < 18 {
			continue
		}
		n, _, ok := wire.ReadName(msg[:sig.End], sig.Data+18, &b.name)
		if !ok {
			continue
		}
		signer := b.name[:n]
		wire.Fold(signer)
		if wire.IsSubdomain(owner, signer) && slices.ContainsFunc(b.chain, func(link []byte) bool { return wire.IsSubdomain(link, signer) }) {
			return true
		}
	}
	return false
}

// negative writes the SOA record of a negative answer, and its proof. Without a
// SOA record an empty answer is kept no longer than a failure (RFC 2308 §5 would
// not keep it at all, but a storm of the same question would all go upstream),
// while a bare alias is kept for its own TTL: that much upstream did say.
func (b *builder) negative(msg []byte, ttl uint32, o *Options) (life uint32, err error) {
	soa := b.soa(msg)
	if soa == nil {
		if b.answers > 0 && b.rcode == wire.RcodeSuccess {
			return ttl * 1000, nil
		}
		return min(milliseconds(o.FailureTTL), ttl*1000), nil
	}
	if soa.End-soa.Data < 22 {
		return 0, errMalformed
	}
	minimum := capTTL(binary.BigEndian.Uint32(msg[soa.End-4:]))
	ttl = min(ttl, capTTL(soa.TTL), minimum)
	life = min(ttl*1000, milliseconds(o.negativeCap(b.chain[len(b.chain)-1])))
	if !b.putRecord(msg, soa, (life+999)/1000) {
		return 0, errMalformed
	}
	b.rest++
	if !b.question.DO {
		return life, nil
	}
	return life, b.denial(msg, soa, (life+999)/1000)
}

// denial writes the records that prove a name or type not to be (RFC 4035
// §3.1.3.1 and §3.1.3.2), as far as they are in the SOA record's zone, or in one that
// signed an alias: that may have been made from a wildcard.
func (b *builder) denial(msg []byte, soa *wire.Record, ttl uint32) error {
	n, _, _ := wire.ReadName(msg, soa.Name, &b.name)
	b.link(b.name[:n])
	zone := b.chain[len(b.chain)-1]
	for i := range b.recs {
		rec := &b.recs[i]
		if rec.Section != wire.Authority || rec == soa || rec.Class != b.question.Class {
			continue
		}
		switch rec.Type {
		case wire.TypeNSEC, wire.TypeNSEC3, wire.TypeRRSIG:
		default:
			continue
		}
		n, _, _ := wire.ReadName(msg, rec.Name, &b.name)
		wire.Fold(b.name[:n])
		if !wire.IsSubdomain(b.name[:n], zone) && !b.inSigningZone(msg, rec) {
			b.trimmed++
			continue
		}
		if !b.putRecord(msg, rec, min(capTTL(rec.TTL), ttl)) {
			return errMalformed
		}
		b.rest++
	}
	return nil
}

// soa finds the SOA record of the authority section that speaks for the last
// name of the chain.
func (b *builder) soa(msg []byte) *wire.Record {
	last := b.chain[len(b.chain)-1]
	for i := range b.recs {
		rec := &b.recs[i]
		if rec.Section != wire.Authority || rec.Type != wire.TypeSOA || rec.Class != b.question.Class {
			continue
		}
		n, _, _ := wire.ReadName(msg, rec.Name, &b.name)
		wire.Fold(b.name[:n])
		if wire.IsSubdomain(last, b.name[:n]) {
			return rec
		}
		b.trimmed++
	}
	return nil
}

// entry packs what was written.
func (b *builder) entry(key uint64, now Instant, life uint32) *entry {
	text := b.out[wire.HeaderLen:]
	e := b.room(len(text) + 2*len(b.ttls))
	e.data = append(e.data, text...)
	for _, at := range b.ttls {
		e.data = binary.BigEndian.AppendUint16(e.data, at)
	}
	if b.passing {
		b.text = e.data
	}
	e.key, e.stored, e.life, e.view = key, now, life, b.question.View
	e.nameLen, e.answers, e.rest = uint8(len(b.question.Name)), uint16(b.answers), uint16(b.rest)
	e.ede, e.marks = wire.EDENone, b.question.marks()|marks(b.rcode)<<rcodeShift
	e.findRotation()
	return e
}

// capTTL is a record's TTL in seconds, as far as it is believed: seven days at most, also
// with its top bit set, which RFC 2181 §8 had meant 0 by (RFC 8767 §4 is the later).
func capTTL(ttl uint32) uint32 { return min(ttl, maxTTL) }

func milliseconds(d time.Duration) uint32 {
	return uint32(min(d, maxTTL*time.Second) / time.Millisecond)
}

// negativeCap is the longest that a negative answer about name is kept.
func (o *Options) negativeCap(name []byte) time.Duration {
	for _, c := range o.Negative {
		if wire.IsSubdomain(name, c.Under) {
			return min(c.Max, o.NegativeMax)
		}
	}
	return o.NegativeMax
}
