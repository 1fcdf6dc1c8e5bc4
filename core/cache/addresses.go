package cache

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// addresses is read, follow and write in one look, for what most answers are: addresses of
// the question's name and nothing else, each under a pointer to the question. It reports
// false where a message is anything else, be it good or bad; nothing is written then.
func (b *builder) addresses(msg []byte) (life uint32, ok bool) {
	q := &b.question
	from, size, n, ok := wire.PlainAddresses(msg, q.Name, q.Type, q.Class)
	if !ok {
		return 0, false
	}
	to := from + n*size
	b.out = append(b.out, msg[wire.HeaderLen:to]...)
	b.body = from
	ttl := uint32(maxTTL)
	for at := from; at < to; at += size {
		believed := capTTL(binary.BigEndian.Uint32(b.out[at+6:]))
		binary.BigEndian.PutUint32(b.out[at+6:], believed)
		b.ttls = append(b.ttls, uint16(at+6-from))
		ttl = min(ttl, believed)
	}
	b.answers = n
	return ttl * 1000, true
}
