package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/strata-dns/strata/core/wire"
)

// What can be wrong with an upstream's message. It is treated as no answer.
var (
	errMalformed = errors.New("malformed message")
	errQuestion  = errors.New("another question answered")
	errTruncated = errors.New("truncated message")
	errUnrelated = errors.New("answer unrelated to the question")
)

// errRcode is a response code that is no answer.
type errRcode struct {
	rcode int
	ede   uint16
}

func (e errRcode) Error() string { return fmt.Sprintf("upstream: response code %d", e.rcode) }

// EDE is the extended error to give the asker.
func (e errRcode) EDE() uint16 { return e.ede }

// A builder reads one upstream message and writes the entry made of it.
type builder struct {
	question Question
	recs     []wire.Record // of answer and authority
	chain    [][]byte      // the names the question leads to: folded, in arena
	arena    []byte

	out      []byte   // header, question, records
	body     int      // where the records begin in out
	ttls     []uint16 // from body
	suffixes []uint16 // in out
	name     [wire.MaxName]byte

	rcode         int
	ede           uint16
	answers, rest int
	trimmed       int

	passing bool  // the entry is gone before the builder is used again: memory of its own is not made
	passed  entry // such a one
	text    []byte
}

// staleLife is how long, in ms, what upstream gave as stale is fresh: longer would
// hide that upstream knows better again.
const staleLife = 5000

// mostAliases bounds a chain of CNAME and DNAME records.
const mostAliases = 16

var builders = sync.Pool{New: func() any { return new(builder) }}

// understand makes an entry of what upstream sent for a question, or says what
// is wrong with it. Nothing of msg is kept.
func (c *Cache) understand(q *Question, key uint64, msg []byte, now Instant) (*entry, error) {
	b := c.builder(false)
	defer builders.Put(b)
	return c.build(b, q, key, msg, now)
}

// builder gives one that nobody uses, to be put back.
func (c *Cache) builder(passing bool) *builder {
	b := builders.Get().(*builder)
	b.passing = passing
	return b
}

// build is understand with a builder.
func (c *Cache) build(b *builder, q *Question, key uint64, msg []byte, now Instant) (*entry, error) {
	b.reset(q)
	life, ok := b.addresses(msg)
	if !ok {
		var err error
		life, err = b.any(msg, &c.opts)
		c.count.trimmed.Add(uint64(b.trimmed))
		if err != nil {
			return nil, err
		}
	}
	e := b.entry(key, now, life)
	if b.ede == wire.EDEStaleAnswer || b.ede == wire.EDEStaleNXDomain {
		e.ede, e.life = b.ede, min(e.life, staleLife)
	}
	if msg[3]&byte(wire.FlagAD) != 0 {
		e.marks |= markAD
	}
	return e, nil
}

// any reads a message of any shape and writes what is worth keeping.
func (b *builder) any(msg []byte, o *Options) (life uint32, err error) {
	if err := b.read(msg); err != nil {
		return 0, err
	}
	if b.rcode != wire.RcodeSuccess && b.rcode != wire.RcodeNXDomain {
		return 0, errRcode{b.rcode, b.ede}
	}
	if err := b.follow(msg); err != nil {
		return 0, err
	}
	return b.write(msg, o)
}

func (b *builder) reset(q *Question) {
	b.question = *q
	b.recs, b.chain, b.arena = b.recs[:0], b.chain[:0], b.arena[:0]
	b.out = append(b.out[:0], make([]byte, wire.HeaderLen)...)
	b.ttls, b.suffixes = b.ttls[:0], b.suffixes[:0]
	b.rcode, b.ede = 0, wire.EDENone
	b.answers, b.rest, b.trimmed = 0, 0, 0
}

// read checks header and question, and finds the records.
func (b *builder) read(msg []byte) error {
	r, ok := wire.NewReader(msg)
	const opcode = 0xf << 11
	if !ok || wire.Flags(msg)&(wire.FlagQR|opcode) != wire.FlagQR {
		return errMalformed
	}
	q := &b.question
	name := msg[wire.HeaderLen : wire.QuestionEnd(msg)-4]
	if !wire.EqualFold(name, q.Name) ||
		binary.BigEndian.Uint16(msg[wire.HeaderLen+len(name):]) != q.Type ||
		binary.BigEndian.Uint16(msg[wire.HeaderLen+len(name)+2:]) != q.Class {
		return errQuestion
	}
	if wire.Flags(msg)&wire.FlagTC != 0 {
		return errTruncated
	}
	b.rcode = wire.RcodeOf(msg)
	var rec wire.Record
	for r.Next(&rec) {
		if _, _, ok := wire.ReadName(msg, rec.Name, &b.name); !ok {
			return errMalformed
		}
		switch {
		case rec.Type == wire.TypeOPT && rec.Section == wire.Additional:
			b.rcode |= int(rec.TTL>>24) << 4 // RFC 6891 §6.1.3
			b.ede = wire.FindEDE(msg[rec.Data:rec.End])
		case rec.Type == wire.TypeOPT, rec.Type == 0:
			return errMalformed
		case rec.Section != wire.Additional:
			b.recs = append(b.recs, rec)
		}
	}
	if r.Bad() {
		return errMalformed
	}
	return nil
}

// follow lays out the names that the question leads to by CNAME records,
// whatever the order these come in. Those a DNAME stands for are among them: its
// CNAME is always sent along (RFC 6672 §3.1).
func (b *builder) follow(msg []byte) error {
	b.link(b.question.Name)
	if b.question.Type == wire.TypeCNAME || b.question.Type == wire.TypeANY {
		return nil
	}
	for range mostAliases {
		target, err := b.alias(msg, b.chain[len(b.chain)-1])
		if err != nil {
			return err
		}
		if target == nil || b.onChain(target) {
			return nil
		}
		b.link(target)
	}
	return nil
}

// link appends a name to the chain, folded.
func (b *builder) link(name []byte) {
	from := len(b.arena)
	b.arena = append(b.arena, name...)
	wire.Fold(b.arena[from:])
	b.chain = append(b.chain, b.arena[from:])
}

// alias returns where a name's CNAME record leads, nil where it has none.
func (b *builder) alias(msg, from []byte) ([]byte, error) {
	for i := range b.recs {
		rec := &b.recs[i]
		if rec.Section != wire.Answer || rec.Type != wire.TypeCNAME {
			continue
		}
		n, _, _ := wire.ReadName(msg, rec.Name, &b.name)
		if !wire.EqualFold(b.name[:n], from) {
			continue
		}
		n, _, ok := wire.ReadName(msg[:rec.End], rec.Data, &b.name)
		if !ok {
			return nil, errMalformed
		}
		return b.name[:n], nil
	}
	return nil, nil
}

func (b *builder) onChain(name []byte) bool {
	for _, link := range b.chain {
		if wire.EqualFold(name, link) {
			return true
		}
	}
	return false
}
