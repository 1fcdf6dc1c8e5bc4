package frame

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestDecodeChecked: what the port vouches for is not looked at, and nothing else is
// let through by that.
func TestDecodeChecked(t *testing.T) {
	h := host(t)
	four, six := udp4(t, from4(), "question"), udp6(t, from6(), "question")
	damage := func(b []byte, at int) []byte {
		b = roomy(b)
		b[at]++
		return b
	}
	unsummed := roomy(six)
	unsummed[14+ipv6Size+6], unsummed[14+ipv6Size+7] = 0, 0
	for _, c := range []struct {
		name string
		in   []byte
		good Sums
		want Verdict
	}{
		{"whole, nothing known", four, 0, Query},
		{"whole, all known", four, GoodIP | GoodL4, Query},
		{"IPv4 header, nothing known", damage(four, 14+8), 0, Checksum},
		{"IPv4 header, datagram known", damage(four, 14+8), GoodL4, Checksum},
		{"IPv4 header, header known", damage(four, 14+8), GoodIP, Query},
		{"IPv4 datagram, nothing known", damage(four, 14+ipv4Size+udpSize), 0, Checksum},
		{"IPv4 datagram, header known", damage(four, 14+ipv4Size+udpSize), GoodIP, Checksum},
		{"IPv4 datagram, datagram known", damage(four, 14+ipv4Size+udpSize), GoodL4, Query},
		{"IPv6 datagram, nothing known", damage(six, 14+ipv6Size+udpSize), 0, Checksum},
		{"IPv6 datagram, datagram known", damage(six, 14+ipv6Size+udpSize), GoodL4, Query},
		{"IPv6 without a checksum, which cannot be good", unsummed, GoodIP | GoodL4, Checksum},
	} {
		var f Frame
		if got := h.DecodeChecked(roomy(c.in), &f, c.good); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// finish does what a port does that writes checksums itself.
func finish(b []byte, l2, l3 int) {
	ip, datagram := b[l2:l2+l3], b[l2+l3:]
	if l3 == ipv4Size {
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip, 0)))
	}
	s := ^fold(sum(datagram, 0)) // what stands there is the pseudo-header's
	if s == 0 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(datagram[6:], s)
}

// TestTurnUnsummed: the port's sums make of it what Turn would have made.
func TestTurnUnsummed(t *testing.T) {
	h := host(t)
	for name, in := range examples(t) {
		whole, unsummed := roomy(in), roomy(in)
		var f, g Frame
		if h.Decode(whole, &f) != Query {
			continue
		}
		h.Decode(unsummed, &g)
		for _, length := range []int{0, 1, 26, 27, 512} {
			end := f.Turn(whole[:cap(whole)], length)
			again, l2, l3 := g.TurnUnsummed(unsummed[:cap(unsummed)], length)
			if got := unsummed[g.Start:again]; again == end {
				if bytes.Equal(got, whole[f.Start:end]) {
					t.Errorf("%s: summed already", name)
				}
				finish(got, l2, l3)
			}
			if again != end || !bytes.Equal(unsummed[g.Start:again], whole[f.Start:end]) {
				t.Errorf("%s, %d octets:\n%x, want\n%x", name, length, unsummed[g.Start:again], whole[f.Start:end])
			}
			// Turn turned it round; the next reply goes to the same client.
			turnBack(whole[f.Start:cap(whole)], &f)
			turnBack(unsummed[g.Start:cap(unsummed)], &g)
		}
		if n := testing.AllocsPerRun(50, func() { g.TurnUnsummed(unsummed[:cap(unsummed)], 40) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// turnBack makes the client the sender again.
func turnBack(b []byte, f *Frame) { turnHeaders(b[:f.Payload-f.Start+8], f.network, f.Payload-f.Start) }
