package cache

import (
	"encoding/binary"
	"iter"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// An Item is one entry as it stands.
type Item struct {
	Question
	Rcode   int
	TTL     time.Duration // left of it; negative where the entry has expired
	Stored  time.Duration // ago
	Failure bool          // no answer, but the memory of having got none
	Bytes   int           // the entry is charged with
	// Message is the answer as upstream might have sent it: QR and RA set, ID 0,
	// and the TTLs as they were when it was stored. It may be kept.
	Message []byte
}

// Dump goes over all entries, in no order. Those that come or go meanwhile may
// be seen or not.
func (c *Cache) Dump() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		now := c.Now()
		c.index.each(func(e *entry) bool { return yield(e.item(now)) })
	}
}

func (e *entry) item(now Instant) Item {
	q := e.asked()
	q.Name = append([]byte(nil), q.Name...)
	return Item{
		Question: q, Rcode: e.rcode(),
		TTL:     time.Duration(e.expires()-now) * time.Millisecond,
		Stored:  time.Duration(now-e.stored) * time.Millisecond,
		Failure: e.marks&markFailure != 0, Bytes: int(e.cost()),
		Message: e.appendMessage(nil),
	}
}

// appendMessage appends the entry as a whole message.
func (e *entry) appendMessage(dst []byte) []byte {
	flags := wire.FlagQR | wire.FlagRD | wire.FlagRA | uint16(e.rcode())
	if e.marks&markAD != 0 {
		flags |= wire.FlagAD
	}
	if e.marks&markCD != 0 {
		flags |= wire.FlagCD
	}
	for _, word := range [...]uint16{0, flags, 1, e.answers, e.rest, 0} {
		dst = binary.BigEndian.AppendUint16(dst, word)
	}
	return append(dst, e.data[:len(e.data)-2*e.total()]...)
}
