package frame

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestPlain: what is decoded in words is what is decoded step by step, of good frames and
// of those that are damaged in one place or two, with checksums that are right for that and wrong.
func TestPlain(t *testing.T) {
	h := host(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	good := [][]byte{
		udp4(t, from4(), "a question of 30 octets, as ma"), udp4(t, from4(), "an odd question"), udp4(t, from4(), "short"),
	}
	yes, no := 0, 0
	for range 300_000 {
		b := make([]byte, 0, 256)
		b = append(b, good[rnd.IntN(len(good))]...)
		length := len(b)
		for range rnd.IntN(3) {
			b[rnd.IntN(plainSize)] ^= 1 << rnd.IntN(8)
		}
		if rnd.IntN(4) == 0 { // what the headers say, they say rightly
			binary.BigEndian.PutUint16(b[24:], 0)
			binary.BigEndian.PutUint16(b[24:], ^fold(sum(b[14:34], 0)))
			binary.BigEndian.PutUint16(b[40:], 0)
			binary.BigEndian.PutUint16(b[40:], ^fold(sum(b[34:], pseudo(b[26:34], protocolUDP, length-34))))
		}
		if rnd.IntN(8) == 0 {
			b = b[:rnd.IntN(len(b))]
		}
		sums := Sums(rnd.IntN(4))
		f, steps := Frame{good: sums}, Frame{good: sums}
		if !h.plain(b, &f) {
			no++
			continue
		}
		yes++
		if v := h.steps(b, &steps); v != Query || steps != f {
			t.Fatalf("%x (%d): in words %+v, step by step %v %+v", b, sums, f, v, steps)
		}
	}
	if yes < 10_000 || no < 10_000 {
		t.Errorf("%d are plain, %d not", yes, no)
	}
}

// TestPlainTurned: such a frame is turned round as any other is.
func TestPlainTurned(t *testing.T) {
	h := host(t)
	for _, reply := range []string{"twelve octets", "a reply that is longer than its question by far and away", "odd"} {
		b := append(make([]byte, 0, 256), udp4(t, from4(), "a question of 30 octets, as ma")...)
		var f Frame
		if !h.plain(b, &f) {
			t.Fatal("not plain")
		}
		end := f.Payload + copy(b[f.Payload:cap(b)], reply)
		words, steps := append([]byte(nil), b[:end]...), append([]byte(nil), b[:end]...)
		turnPlain(words)
		ip, addresses, datagram := turnHeaders(steps, f.network, f.Payload)
		sum4(ip)
		sumUDP(datagram, addresses)
		if string(words) != string(steps) {
			t.Errorf("%q: %x, want %x", reply, words, steps)
		}
	}
}

// TestSum holds the sum against the simplest, at each length.
func TestSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		b := make([]byte, rnd.IntN(200))
		for i := range b {
			b[i] = byte(rnd.Uint32())
			if rnd.IntN(3) == 0 {
				b[i] = 0xff
			}
		}
		begin := uint64(rnd.Uint32())
		want := begin
		for i, c := range b {
			if i%2 == 0 {
				want += uint64(c) << 8
			} else {
				want += uint64(c)
			}
		}
		for want > 0xffff {
			want = want>>16 + want&0xffff
		}
		if got := fold(sum(b, begin)); uint64(got)%0xffff != want%0xffff || (got == 0) != (want == 0) {
			t.Fatalf("%x from %d: %x, want %x", b, begin, got, want)
		}
	}
}
