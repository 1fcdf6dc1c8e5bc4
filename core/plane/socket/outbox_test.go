package socket

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// randomBatch has few clients, so that many share one, and few sizes, some none.
func randomBatch(r *rand.Rand, n int, v6 bool) []plane.Packet {
	sizes := []int{0, 40, 41, 42, 43, 44, 60, maxSegment - 1, maxSegment, maxSegment + 1, 4000}
	sizes = sizes[:1+r.IntN(len(sizes))]
	batch := make([]plane.Packet, n)
	for i := range batch {
		p := &batch[i]
		p.Data = bytes.Repeat([]byte{byte(i)}, sizes[r.IntN(len(sizes))])
		clients := 1 + r.IntN(5)
		binary.BigEndian.PutUint16(p.Return[2:], uint16(1000+r.IntN(clients)))
		if v6 {
			binary.NativeEndian.PutUint16(p.Return[:], unix.AF_INET6)
			p.Return[8], p.Return[23] = 0x20, byte(r.IntN(clients))
		} else {
			binary.NativeEndian.PutUint16(p.Return[:], unix.AF_INET)
			copy(p.Return[4:], []byte{192, 0, 2, byte(r.IntN(clients))})
		}
		p.Return[localAt] = byte(r.IntN(2)) // two addresses that may be asked
	}
	return batch
}

// TestPack finds each reply in exactly one message, to its client, with
// segments that the kernel will cut where the replies end; whole and unfolded.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		q := &udpQueue{local: true, v6: round%2 == 1}
		batch := randomBatch(r, 1+r.IntN(maxBatch), q.v6)
		q.out.pack(batch, q)
		checkMessages(t, q.out.messages[:q.out.count], batch, true)
		from := r.IntN(q.out.count + 1)
		first := q.out.messages[:from]
		checkFirst := 0
		for i := range first {
			checkFirst += int(first[i].Iovlen)
		}
		rest := q.out.unfold(q.out.messages[from:q.out.count], batch, q)
		if len(rest)+checkFirst != replies(batch) {
			t.Fatalf("%d sent before, %d unfolded, of %d", checkFirst, len(rest), replies(batch))
		}
		if from == 0 {
			checkMessages(t, rest, batch, false)
		}
	}
}

func replies(batch []plane.Packet) int {
	n := 0
	for i := range batch {
		if len(batch[i].Data) > 0 {
			n++
		}
	}
	return n
}

func checkMessages(t *testing.T, messages []mmsghdr, batch []plane.Packet, folded bool) {
	t.Helper()
	seen := 0
	for i := range messages {
		m := &messages[i]
		vecs := unsafe.Slice(m.Iov, m.Iovlen)
		total, size := 0, int(vecs[0].Len)
		for at, v := range vecs {
			p := &batch[*v.Base]
			if &p.Data[0] != v.Base || len(p.Data) != int(v.Len) {
				t.Fatalf("a vector of %d octets is not reply %d", v.Len, *v.Base)
			}
			if last := at == len(vecs)-1; int(v.Len) > size || int(v.Len) < size && !last {
				t.Fatalf("segment %d of %d has %d octets, the first %d", at, len(vecs), v.Len, size)
			}
			if [returnUsed]byte(p.Return[:]) != [returnUsed]byte(unsafe.Slice(m.Name, plane.ReturnSize)) {
				t.Fatalf("reply %d goes to another client", *v.Base)
			}
			total += int(v.Len)
			seen++
		}
		control := unsafe.Slice(m.Control, m.Controllen)
		if segmented := len(control) > 40; segmented != (len(vecs) > 1) {
			t.Fatalf("%d replies, %d octets of control", len(vecs), len(control))
		} else if segmented && (!folded || int(binary.NativeEndian.Uint16(control[len(control)-8:])) != size || total > maxMessage || size > maxSegment) {
			t.Fatalf("segments of %d in %d octets: % x", size, total, control)
		}
	}
	if want := replies(batch); seen != want {
		t.Fatalf("%d replies in messages, want %d", seen, want)
	}
}

// TestFewMessages has the replies to one client leave by size: of each message the last
// may be smaller, and where sizes are many that saves messages.
func TestFewMessages(t *testing.T) {
	for _, tt := range []struct {
		sizes []int
		want  int
	}{
		{[]int{60, 90, 70, 60, 90, 80, 60, 4000}, 4},       // 4000; 90 90 80; 70 60; 60 60
		{[]int{90, 90, 90, 80, 80, 80, 70, 60}, 2},         // 90 90 90 60; 80 80 80 70
		{[]int{90, 80, 70, 70, 60, 60, 60, 50, 40}, 3},     // 90 80; 70 70 and 60 60 60 with one of the others
		{[]int{maxSegment + 2, maxSegment + 1, 50, 40}, 3}, // what is no segment takes none
		{[]int{95, 90, 85, 80, 75, 70, 65, 60, 55, 50}, 5}, // two each
		{[]int{90, 90, 90, 80, 80, 80, 70, 70, 70, 60}, 3}, // 60 is somebody's
		{[]int{50, 50, 50, 50}, 1},
	} {
		q := &udpQueue{local: true}
		batch := make([]plane.Packet, 0, maxBatch)
		for _, size := range tt.sizes {
			p := plane.Packet{Data: bytes.Repeat([]byte{byte(len(batch))}, size)}
			binary.NativeEndian.PutUint16(p.Return[:], unix.AF_INET)
			batch = append(batch, p)
		}
		q.out.pack(batch, q)
		checkMessages(t, q.out.messages[:q.out.count], batch, true)
		if q.out.count != tt.want {
			t.Errorf("%d: %d messages, want %d", tt.sizes, q.out.count, tt.want)
		}
	}
}

// TestGather checks when waiting is chosen: never for the few, for the many, not
// when it brought nothing, and not after silence.
func TestGather(t *testing.T) {
	load := func(g *gather, from time.Duration, perMilli, n int, windows int) time.Duration {
		step := time.Millisecond * time.Duration(n) / time.Duration(perMilli)
		for end := from + time.Duration(windows)*time.Millisecond; from < end; from += step {
			g.note(n, from)
		}
		return from
	}
	g := &gather{limit: 100 * time.Microsecond}
	now := load(g, time.Second, 10, 1, 20)
	if g.wait != 0 || g.rest() {
		t.Fatalf("10,000 a second: waits %v, or rests", g.wait)
	}
	now = load(g, now, 400, 4, 5)
	if g.wait == 0 || g.wait > 100*time.Microsecond {
		t.Fatalf("400,000 a second: waits %v", g.wait)
	}
	if full := g.wait; !g.small || full > 85*time.Microsecond {
		t.Fatalf("waits %v for 32 at 400 a millisecond, want 80µs", full)
	}
	g.idle()
	if g.wait != 0 || g.nap(-1) {
		t.Fatal("waits after silence")
	}
	longest := time.Duration(0)
	for range 20 { // a signal ends one early
		began := time.Now()
		if !g.rest() {
			t.Fatal("takes no rest amid many")
		}
		longest = max(longest, time.Since(began))
	}
	if longest < gatherRest {
		t.Fatalf("rests for %v at most", longest)
	}
	now = load(g, now, 100, 4, 5)
	if g.wait != 100*time.Microsecond {
		t.Fatalf("100,000 a second: waits %v, want the limit", g.wait)
	}
	g.slept = true
	g.note(1, now)
	if g.wait != 0 {
		t.Fatal("a wait that brought one datagram is repeated")
	}
	now = load(g, now, 100, 4, gatherPause-2)
	if g.wait != 0 {
		t.Fatal("waits in the pause")
	}
	load(g, now, 100, 4, 10)
	if g.wait == 0 {
		t.Fatal("no waits after the pause")
	}
	g.small = false
	if g.nap(-1) {
		t.Fatal("waits after a full batch")
	}
	never := &gather{}
	never.took(64)
	if load(never, 0, 400, 4, 5); never.wait != 0 {
		t.Fatal("waits though it never may")
	}
}
