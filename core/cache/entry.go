package cache

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

type marks uint8

const (
	markDO      marks = 1 << iota // of the question
	markCD                        // of the question
	markAD                        // upstream said the data is authentic
	markFailure                   // no answer, but the memory of having got none

	questionMarks = markDO | markCD
	rcodeShift    = 4 // the response code stands above the marks
)

// An entry is one answer. All but the atomic fields is immutable once the entry
// is in the index. It is kept at 80 octets, a size class of the allocator; data
// holds no pointers, so the collector does not look into it.
type entry struct {
	next atomic.Pointer[entry] // of the same bucket; guarded by its stripe for writers
	key  uint64

	// data is the question (name folded, type, class), the records as they
	// follow it in a message, and for each record the offset of its TTL within
	// the records, two octets.
	data []byte

	stored Instant // when upstream answered; negative where read from a file
	// hold is positive where a try for a newer answer failed: until that
	// Instant a stale answer is given at once. Negative: a refresh was started,
	// the next one not before the Instant -hold.
	hold atomic.Int64

	life uint32        // ms that the answer is fresh for
	uses atomic.Uint32 // how often it was asked for: uses.go

	view uint32 // of the question

	answers, rest  uint16 // records in the answer and in the authority section
	rotate, rotary uint16 // where the data of the first address in the records is, and how many addresses; 0 for none
	ede            uint16 // extended error of a failure, or of what upstream gave as stale
	nameLen        uint8  // octets of the name in data
	marks          marks  // and the response code
}

// entryOverhead is what an entry costs beside its data: the entry itself. Index
// and sketch are taken off the size before entries have a share in it.
const entryOverhead = 80

// cost is the bytes the entry is charged with.
func (e *entry) cost() uint32 { return uint32(entryOverhead + sizeClass(len(e.data))) }

// sizeClass rounds up roughly as the allocator does.
func sizeClass(n int) int {
	switch {
	case n <= 256:
		return (n + 15) &^ 15
	case n <= 1024:
		return (n + 63) &^ 63
	}
	return (n + 511) &^ 511
}

func (e *entry) expires() Instant { return e.stored + Instant(e.life) }

// lead is how long before its expiry a hit has the entry asked for anew: a tenth of
// its life, but time enough for a slow upstream where its life has that. What comes
// from another cache, just before it expires there, lives for a second only.
func (e *entry) lead() Instant {
	return max(Instant(e.life)/10, min(Instant(e.life)/2, refreshLead))
}

func (e *entry) name() []byte  { return e.data[:e.nameLen] }
func (e *entry) qtype() uint16 { return binary.BigEndian.Uint16(e.data[e.nameLen:]) }
func (e *entry) class() uint16 { return binary.BigEndian.Uint16(e.data[int(e.nameLen)+2:]) }
func (e *entry) rcode() int    { return int(e.marks >> rcodeShift) }

func (e *entry) records() []byte { return e.data[int(e.nameLen)+4 : len(e.data)-2*e.total()] }
func (e *entry) offsets() []byte { return e.data[len(e.data)-2*e.total():] }
func (e *entry) total() int      { return int(e.answers) + int(e.rest) }

// asked is the question the entry answers. Name is the entry's own.
func (e *entry) asked() Question {
	return Question{
		Name: e.name(), Type: e.qtype(), Class: e.class(),
		DO: e.marks&markDO != 0, CD: e.marks&markCD != 0, View: e.view,
	}
}

// answersTo reports whether the entry's question is this one; equal keys are not enough.
func (e *entry) answersTo(name []byte, typ, class uint16, m marks, view uint32) bool {
	return e.marks&questionMarks == m && e.view == view && e.qtype() == typ && e.class() == class &&
		string(e.name()) == string(name)
}

// fresh reports whether the entry has not expired.
func (e *entry) fresh(now Instant) bool { return now < e.expires() }

// usable reports whether the entry may be given as a stale answer.
func (e *entry) usable(now, staleFor Instant) bool {
	return e.marks&markFailure == 0 && now < e.expires()+max(staleFor, 0)
}

// staleCode is the extended error that goes with the entry when stale (RFC 8914 §4.4, §4.20).
func (e *entry) staleCode() uint16 {
	if e.rcode() == wire.RcodeNXDomain {
		return wire.EDEStaleNXDomain
	}
	return wire.EDEStaleAnswer
}

// reply writes the entry's answer to q into data, the packet that asked. At now
// the entry is fresh, or else it is given as stale.
func (e *entry) reply(q *wire.Query, data []byte, limit int, now Instant) []byte {
	var r wire.Reply
	r.Begin(data, q, limit)
	r.SetFlags(wire.FlagRA)
	fresh := e.fresh(now)
	if e.marks&markAD != 0 && (q.DO || q.Flags&wire.FlagAD != 0) && fresh { // RFC 6840 §5.7; signatures may have expired with TTLs
		r.SetFlags(wire.FlagAD)
	}
	r.SetRcode(e.rcode())
	if !r.PutBody(e.records(), [3]uint16{e.answers, e.rest}) {
		r.Truncate(q)
		return r.Finish()
	}
	body := r.Written(q.End, r.Len())
	if fresh {
		e.age(body, uint32(max(now-e.stored, 0)/1000))
		if e.ede != wire.EDENone {
			r.SetEDE(e.ede, "")
		}
	} else {
		e.restamp(body, staleTTL)
		r.SetEDE(e.staleCode(), "")
	}
	if e.rotary > 1 {
		e.turn(body, uint32(q.ID)+uint32(now))
	}
	return r.Finish()
}

// age takes seconds off each record's TTL.
func (e *entry) age(body []byte, seconds uint32) {
	if seconds == 0 {
		return
	}
	for t := e.offsets(); len(t) >= 2; t = t[2:] {
		at := body[binary.BigEndian.Uint16(t):]
		ttl := binary.BigEndian.Uint32(at)
		binary.BigEndian.PutUint32(at, ttl-min(ttl, seconds))
	}
}

// restamp gives each record the same TTL.
func (e *entry) restamp(body []byte, ttl uint32) {
	for t := e.offsets(); len(t) >= 2; t = t[2:] {
		binary.BigEndian.PutUint32(body[binary.BigEndian.Uint16(t):], ttl)
	}
}

// turn rotates the addresses of the answer, so that askers spread over them.
// All but the first have their owner as a pointer: their data is equally spaced.
func (e *entry) turn(body []byte, by uint32) {
	size := 4
	if e.qtype() == wire.TypeAAAA {
		size = 16
	}
	const between = 2 + 10 // pointer; type, class, TTL, length
	from := e.records()[e.rotate:]
	to := body[e.rotate:]
	n := uint32(e.rotary)
	k := by % n
	for range n {
		copy(to[:size], from[int(k)*(size+between):])
		if k++; k == n {
			k = 0
		}
		if len(to) < size+between {
			break
		}
		to = to[size+between:]
	}
}
