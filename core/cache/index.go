package cache

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// bytesPerBucket is what a small entry costs: a full cache has between one and two
// of them in a bucket, or fewer that are larger.
const bytesPerBucket = 192

// An index finds entries by key. Readers follow atomic pointers and take no
// lock; writers lock the stripe that the bucket belongs to. An entry that was
// unlinked keeps its next pointer, so that a reader who stands on it gets on.
type index struct {
	shift   uint // of a key, down to its bucket
	buckets []atomic.Pointer[entry]
	stripes [64]sync.Mutex
	entries atomic.Int64
	bytes   atomic.Int64
}

func (x *index) init(size int64) {
	n := max(1<<(bits.Len64(uint64(size/bytesPerBucket))-1), len(x.stripes))
	x.buckets = make([]atomic.Pointer[entry], n)
	x.shift = uint(64 - bits.TrailingZeros(uint(n)))
}

// size is the bytes that the buckets take.
func (x *index) size() int64 { return 8 * int64(len(x.buckets)) }

func (x *index) bucket(key uint64) int { return int(key >> x.shift) }

func (x *index) stripe(bucket int) *sync.Mutex { return &x.stripes[bucket%len(x.stripes)] }

// find returns the entry that answers exactly this question, or nil.
func (x *index) find(key uint64, name []byte, typ, class uint16, m marks, view uint32) *entry {
	for e := x.buckets[x.bucket(key)].Load(); e != nil; e = e.next.Load() {
		if e.key == key && e.answersTo(name, typ, class, m, view) {
			return e
		}
	}
	return nil
}

// query is find for a parsed query.
func (x *index) query(q *wire.Query) *entry {
	m := queryMarks(q)
	return x.find(keyOf(q.Hash[0], q.Type, q.Class, m, q.View), q.Name(), q.Type, q.Class, m, q.View)
}

// question is find for a question.
func (x *index) question(q *Question, key uint64) *entry {
	return x.find(key, q.Name, q.Type, q.Class, q.marks(), q.View)
}

// holds reports whether e is what is found under its key.
func (x *index) holds(e *entry) bool { return x.held(e.key) == e }

// held returns what is found under key, or nil.
func (x *index) held(key uint64) *entry {
	for e := x.buckets[x.bucket(key)].Load(); e != nil; e = e.next.Load() {
		if e.key == key {
			return e
		}
	}
	return nil
}

// A change is to what the index counts.
type change struct{ entries, bytes int64 }

// add takes up a change. What comes to nothing, as one entry for another, is not written.
func (x *index) add(c change) {
	if c.entries != 0 {
		x.entries.Add(c.entries)
	}
	if c.bytes != 0 {
		x.bytes.Add(c.bytes)
	}
}

// put makes e what is found under its key. It reports whether nothing was; or else
// e goes on with the uses of what it replaces.
func (x *index) put(e *entry, era uint32) bool {
	c := x.link(e, era)
	x.add(c)
	return c.entries > 0
}

// link is put, without its counting.
func (x *index) link(e *entry, era uint32) change {
	b := x.bucket(e.key)
	mu := x.stripe(b)
	mu.Lock()
	defer mu.Unlock()
	at := &x.buckets[b]
	for old := at.Load(); old != nil; old = at.Load() {
		if old.key == e.key {
			e.uses.Store(used(old.uses.Load(), era))
			e.next.Store(old.next.Load())
			at.Store(e)
			return change{0, int64(e.cost()) - int64(old.cost())}
		}
		at = &old.next
	}
	e.next.Store(x.buckets[b].Load())
	x.buckets[b].Store(e)
	return change{1, int64(e.cost())}
}

// remove drops e. It reports false where e is not what is found under its key.
func (x *index) remove(e *entry) bool {
	c := x.unlink(e)
	x.add(c)
	return c.entries < 0
}

// unlink is remove, without its counting.
func (x *index) unlink(e *entry) change {
	b := x.bucket(e.key)
	mu := x.stripe(b)
	mu.Lock()
	defer mu.Unlock()
	at := &x.buckets[b]
	for in := at.Load(); in != nil; in = at.Load() {
		if in == e {
			at.Store(e.next.Load())
			return change{-1, -int64(e.cost())}
		}
		at = &in.next
	}
	return change{}
}

// each calls visit with every entry until it reports false. Entries that come
// or go meanwhile may be seen or not.
func (x *index) each(visit func(*entry) bool) {
	for i := range x.buckets {
		for e := x.buckets[i].Load(); e != nil; e = e.next.Load() {
			if !visit(e) {
				return
			}
		}
	}
}

func queryMarks(q *wire.Query) marks {
	var m marks
	if q.DO {
		m = markDO
	}
	if q.Flags&wire.FlagCD != 0 {
		m |= markCD
	}
	return m
}
