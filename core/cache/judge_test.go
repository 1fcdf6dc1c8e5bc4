package cache

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

// TestSizeIsKept stores ten times what there is room for, and looks for anything
// that is held without being charged for.
func TestSizeIsKept(t *testing.T) {
	const size = 1 << 20
	c, err := New(Options{Size: size, Fetch: func(*Question, func([]byte, error)) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	total, most := int64(0), int64(0)
	for i := 0; total < 10*size; i++ {
		q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
		e, err := c.understand(&q, q.key(), addressReply(&q, 3600, uint32(i)), c.Now())
		if err != nil {
			t.Fatal(err)
		}
		total += int64(e.cost())
		c.keep(e, c.Now())
		most = max(most, c.Stats().Bytes)
	}
	if most > size {
		t.Errorf("held up to %d bytes, %d allowed", most, size)
	}
	entries, bytes := int64(0), int64(0)
	c.index.each(func(e *entry) bool {
		entries++
		bytes += int64(e.cost())
		return true
	})
	f := c.Stats()
	if entries != f.Entries || bytes != c.index.bytes.Load() {
		t.Errorf("%d entries of %d bytes held, counted %d of %d", entries, bytes, f.Entries, c.index.bytes.Load())
	}
	if f.Bytes < size*9/10 {
		t.Errorf("only %d of %d bytes are used", f.Bytes, size)
	}
	if n := c.Flush(Match{}); int64(n) != entries {
		t.Errorf("%d of %d flushed", n, entries)
	}
	if n := c.index.bytes.Load(); n != 0 {
		t.Errorf("behind a flush %d bytes are held", n)
	}
}

// TestHeapIsBounded churns through names from several goroutines, with answers of
// different lengths and every name stored several times, and compares what is
// on the heap with the size.
func TestHeapIsBounded(t *testing.T) {
	size, names := int64(16<<20), 150_000
	if raceDetector {
		size, names = 1<<20, 10_000
	}
	before := heapBytes()
	c, err := New(Options{Size: size, Fetch: func(*Question, func([]byte, error)) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var writers sync.WaitGroup
	for g := range 4 {
		writers.Go(func() {
			for i := range names / 3 {
				q := Question{Name: name((i*4 + g) % names), Type: wire.TypeA, Class: wire.ClassIN}
				e, err := c.understand(&q, q.key(), addressesReply(&q, 1+i%40), c.Now())
				if err != nil {
					t.Error(err)
					return
				}
				c.keep(e, c.Now())
			}
		})
	}
	writers.Wait()
	held := heapBytes() - before
	t.Logf("%d of %d bytes on the heap, counted %d", held, size, c.Stats().Bytes)
	if held > size+size/20+64<<10 || held < size*8/10 {
		t.Errorf("%d bytes are on the heap, the size is %d", held, size)
	}
	if f := c.Stats(); f.Bytes > size+4*4096 { // one entry a writer is in before the others leave
		t.Errorf("counted %d of %d bytes", f.Bytes, size)
	}
	runtime.KeepAlive(c)
}

// addressesReply is an answer with n addresses.
func addressesReply(q *Question, n int) []byte {
	b := addressReply(q, 3600, 0)
	rr := b[wire.QuestionEnd(b):]
	for i := 1; i < n; i++ {
		b = append(b, rr...)
		b[len(b)-1] = byte(i)
	}
	binary.BigEndian.PutUint16(b[6:], uint16(n))
	return b
}

// TestNothingLeavesWhereThereIsRoom fills a cache almost.
func TestNothingLeavesWhereThereIsRoom(t *testing.T) {
	const n = 100_000
	c := filled(t, n)
	if f := c.Stats(); f.Entries != n || f.Rejected+f.Evicted != 0 || f.Stored != n {
		t.Errorf("%+v", f)
	}
}

// TestOneInABunch has a full cache asked for the same new name a few times in a
// row: it is kept for as long, however little it is worth.
func TestOneInABunch(t *testing.T) {
	c := busy(t)
	q := Question{Name: name(1_999_999), Type: wire.TypeA, Class: wire.ClassIN}
	store(t, c, 1_999_999)
	entries := int(c.Stats().Entries)
	for i := range entries / 200 {
		if c.index.question(&q, q.key()) == nil {
			t.Fatalf("gone behind %d others", i)
		}
		store(t, c, 2_000_000+i)
	}
	for i := range entries {
		store(t, c, 3_000_000+i)
	}
	if c.index.question(&q, q.key()) != nil {
		t.Errorf("still there behind %d others, though never used", entries)
	}
}

// busy is a full cache, each name in it used.
func busy(t *testing.T) *Cache {
	t.Helper()
	c, err := New(Options{Size: 1 << 20, Fetch: func(*Question, func([]byte, error)) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for i := 0; c.Stats().Rejected == 0; i++ {
		store(t, c, i)
	}
	c.index.each(func(e *entry) bool {
		e.touch(0)
		return true
	})
	return c
}

func store(t *testing.T, c *Cache, i int) {
	t.Helper()
	q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
	e, err := c.understand(&q, q.key(), addressReply(&q, 3600, uint32(i)), c.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.keep(e, c.Now())
}

// TestCollision has two questions share a key: neither is answered by the other's
// entry, and the later one takes the place.
func TestCollision(t *testing.T) {
	var x index
	x.init(minSize)
	ask := Question{Name: name(0), Type: wire.TypeA, Class: wire.ClassIN}
	other := ask
	other.Type = wire.TypeAAAA
	third := ask
	third.Name = name(1)
	fourth := ask
	fourth.DO = true
	const key = 4711
	for _, q := range []Question{ask, other, third, fourth} {
		x.put(failure(&q, key, 1, 1, 0, 0), 0)
		for _, asked := range []Question{ask, other, third, fourth} {
			e := x.question(&asked, key)
			if same := asked.Type == q.Type && asked.DO == q.DO && string(asked.Name) == string(q.Name); same != (e != nil) {
				t.Errorf("stored %+v, asked %+v: found %v", q, asked, e != nil)
			}
		}
	}
	if x.entries.Load() != 1 {
		t.Errorf("%d entries", x.entries.Load())
	}
}

// TestIndexUnderWriters has readers find what is always there, while writers put
// and remove its neighbours in the same buckets.
func TestIndexUnderWriters(t *testing.T) {
	var x index
	x.init(minSize) // few buckets, long chains
	entryOf := func(i int) (*entry, Question) {
		q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
		return failure(&q, q.key(), 1, 1, 0, 0), q
	}
	const stay, pass = 500, 500
	for i := range stay {
		e, _ := entryOf(i)
		x.put(e, 0)
	}
	var stop atomic.Bool
	done := make(chan error, 4)
	for g := range 2 {
		go func() {
			for !stop.Load() {
				for i := range pass {
					e, _ := entryOf(stay + i + g*pass)
					x.put(e, 0)
					x.put(func() *entry { e, _ := entryOf((i * 7) % stay); return e }(), 0)
				}
				for i := range pass {
					e, _ := entryOf(stay + i + g*pass)
					if held := x.held(e.key); held != nil {
						x.remove(held)
					}
				}
			}
			done <- nil
		}()
		go func() {
			defer stop.Store(true)
			for range 40 {
				for i := range stay {
					_, q := entryOf(i)
					if x.question(&q, q.key()) == nil {
						done <- fmt.Errorf("%s is gone", wire.NameString(q.Name))
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := x.entries.Load(); n != stay {
		t.Errorf("%d entries, want %d", n, stay)
	}
}
