package frame

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/strata-dns/strata/core/plane"
)

// examples are frames of each kind that is answered.
func examples(t testing.TB) map[string][]byte {
	ip := from6()
	ip.SrcIP, ip.DstIP, ip.HopLimit = client6, groupIP, 255
	ping := from4()
	ping.Protocol = layers.IPProtocolICMPv4
	return map[string][]byte{
		"echo4":        build(t, append(links[2].layers(clientMAC, ourMAC, layers.EthernetTypeIPv4), ping, &layers.ICMPv4{TypeCode: 8 << 8}, gopacket.Payload("data"))...),
		"query4":       udp4(t, from4(), "a question of some length"),
		"query6":       udp6(t, from6(), "a question of some length"),
		"extension":    insert(udp6(t, from6(), "a question"), []uint8{destination}, [][]byte{{0, 0, 1, 4, 0, 0, 0, 0}}),
		"arp":          build(t, append(links[3].layers(clientMAC, everybody, layers.EthernetTypeARP), who(our4))...),
		"solicitation": icmp6(t, links[1], groupMAC, ip, solicitation, asks(our6, nil)),
		"echo6":        icmp6(t, links[0], ourMAC, from6(), echoRequest, []byte("....data")),
	}
}

func TestNoAllocations(t *testing.T) {
	h := host(t)
	for name, b := range examples(t) {
		work := make([]byte, len(b), 2048)
		late := make([]byte, 2048)
		var f Frame
		var way plane.Return
		if n := testing.AllocsPerRun(100, func() {
			copy(work, b)
			if h.Decode(work, &f) == Query {
				f.Save(work, &way)
				Restore(&way, work[f.Payload:f.End], late)
				f.Turn(work, f.End-f.Payload)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzDecode: whatever comes in, what goes out is a frame from our addresses to who
// sent it, whole in its checksums, and a refused frame is as it was.
func FuzzDecode(f *testing.F) {
	for _, b := range examples(f) {
		f.Add(b, []byte("a reply"), false)
		f.Add(b, []byte("a reply"), true)
	}
	h := host(f)
	f.Fuzz(func(t *testing.T, in, reply []byte, mended bool) {
		if len(in) > 1600 || len(reply) > 1400 {
			return
		}
		if mended {
			mend(in)
		}
		b := append(make([]byte, 0, 4096), in...)
		var d Frame
		switch v := h.Decode(b, &d); v {
		case Turned:
			b = b[d.Start:d.End]
		case Query:
			if d.Payload > d.End || d.End > len(b) || !d.Client.IsValid() || d.Client.Port() == 0 {
				t.Fatalf("%+v", d)
			}
			var way plane.Return
			d.Save(b, &way)
			late := make([]byte, 2048)
			late = late[:Restore(&way, reply, late)]
			end := d.Turn(b, copy(b[d.Payload:cap(b)], reply))
			b = b[d.Start:end]
			if !bytes.Equal(b, late) {
				t.Fatalf("at once\n%x, late\n%x", b, late)
			}
		default:
			if v >= Verdicts {
				t.Fatalf("verdict %d", v)
			}
			if !bytes.Equal(b, in) {
				t.Fatalf("%v, and yet changed", v)
			}
			return
		}
		checkSent(t, b)
	})
}

// mend sums a frame's headers anew, as far as it has any, so that what is wrong in it
// is not always found by its checksum.
func mend(b []byte) {
	if len(b) < ethernetSize {
		return
	}
	kind, at := etherType(b)
	ip := b[at:]
	var addresses, carried []byte
	var protocol uint8
	switch {
	case kind == typeIPv4 && len(ip) >= ipv4Size:
		putChecksum(ip[8:ipv4Size], sum(ip[:8], 0))
		addresses, protocol, carried = ip[12:20], ip[9], ip[ipv4Size:]
		if protocol == protocolICMP {
			addresses = nil
		}
	case kind == typeIPv6 && len(ip) >= ipv6Size:
		addresses, protocol, carried = ip[8:40], ip[6], ip[ipv6Size:]
	}
	s := pseudo(addresses, protocol, len(carried))
	if addresses == nil {
		s = 0
	}
	switch {
	case protocol == protocolUDP && len(carried) >= udpSize:
		carried[6], carried[7] = 0, 0
		putChecksum(carried[4:], sum(carried[:4], s))
	case len(carried) >= 4:
		putChecksum(carried, s)
	}
}

// checkSent checks what any frame that is sent must be.
func checkSent(t *testing.T, b []byte) {
	if !bytes.Equal(b[6:12], ourMAC) || b[0]&1 != 0 && [6]byte(b) != allNodesLink {
		t.Fatalf("from %x to %x", b[6:12], b[:6])
	}
	kind, at := etherType(b)
	ip := b[at:]
	switch kind {
	case typeARP:
		return
	case typeIPv4:
		if ip[0] != 0x45 || !whole(sum(ip[:ipv4Size], 0)) {
			t.Fatalf("%x", ip)
		}
		s := uint64(0)
		if ip[9] == protocolUDP {
			s = pseudo(ip[12:20], ip[9], len(ip)-ipv4Size)
		}
		if !whole(sum(ip[ipv4Size:], s)) {
			t.Fatalf("%x", ip)
		}
	case typeIPv6:
		if !whole(sum(ip[ipv6Size:], pseudo(ip[8:40], ip[6], len(ip)-ipv6Size))) {
			t.Fatalf("%x", ip)
		}
	default:
		t.Fatalf("type %#x", kind)
	}
}

// FuzzRestore: no way back, however forged, leads out of the buffer.
func FuzzRestore(f *testing.F) {
	h := host(f)
	for _, b := range examples(f) {
		var d Frame
		if h.Decode(b, &d) == Query {
			var way plane.Return
			d.Save(b, &way)
			f.Add(way[:], []byte("a reply"), 512)
		}
	}
	f.Fuzz(func(t *testing.T, way, reply []byte, room int) {
		if room < 0 || room > 4096 {
			return
		}
		var r plane.Return
		copy(r[:], way)
		b := make([]byte, room)
		if n := Restore(&r, reply, b); n > 0 && !bytes.Equal(b[n-len(reply):n], reply) {
			t.Fatalf("%x does not end with %x", b[:n], reply)
		}
	})
}

// Way of a query of 30 octets and a reply of 46 through the frames.
func BenchmarkQuery(b *testing.B) {
	h := host(b)
	for name, in := range map[string][]byte{
		"IPv4": udp4(b, from4(), "a question of 30 octets, as ma"),
		"IPv6": udp6(b, from6(), "a question of 30 octets, as ma"),
	} {
		b.Run(name, func(b *testing.B) {
			work := make([]byte, len(in), 2048)
			var f Frame
			b.ReportAllocs()
			for b.Loop() {
				copy(work, in)
				if h.Decode(work, &f) != Query {
					b.Fatal("refused")
				}
				f.Turn(work, 46)
			}
		})
	}
}
