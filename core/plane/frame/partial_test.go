package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// segments are whole TCP segments and datagrams in all kinds of frames, and where each
// one's checksum stands.
func segments(t testing.TB) (all map[string][]byte, places map[string]int) {
	all, places = make(map[string][]byte), make(map[string]int)
	for _, l := range links {
		for _, protocol := range []layers.IPProtocol{layers.IPProtocolTCP, layers.IPProtocolUDP} {
			for version, n := range map[layers.EthernetType]gopacket.NetworkLayer{layers.EthernetTypeIPv4: from4(), layers.EthernetTypeIPv6: from6()} {
				size, place := ipv4Size, 16
				if ip, ok := n.(*layers.IPv6); ok {
					size, ip.NextHeader = ipv6Size, protocol
				} else {
					n.(*layers.IPv4).Protocol = protocol
				}
				var carried gopacket.SerializableLayer = toDNS()
				if protocol == layers.IPProtocolTCP {
					tcp := &layers.TCP{SrcPort: 4242, DstPort: 53, SYN: true, Window: 512}
					if err := tcp.SetNetworkLayerForChecksum(n); err != nil {
						t.Fatal(err)
					}
					carried = tcp
				} else {
					place = 6
				}
				name := fmt.Sprint(l.name, " ", protocol, " ", version)
				all[name] = build(t, append(l.layers(clientMAC, ourMAC, version), n.(gopacket.SerializableLayer), carried, gopacket.Payload("odd"))...)
				places[name] = ethernetSize + 4*len(l.tags) + size + place
			}
		}
	}
	return all, places
}

// TestComplete: a checksum that was left out comes to be what it should, one that is there
// stays, and so does a wrong one.
func TestComplete(t *testing.T) {
	all, places := segments(t)
	for name, b := range all {
		whole, place := bytes.Clone(b), places[name]
		Complete(b)
		if !bytes.Equal(b, whole) {
			t.Errorf("%s: a whole one is changed", name)
		}
		b[place]++
		wrong := bytes.Clone(b)
		Complete(b)
		if !bytes.Equal(b, wrong) {
			t.Errorf("%s: a wrong one is changed", name)
		}
		kind, at := etherType(b)
		header := pseudo(b[at+12:at+20], b[at+9], int(binary.BigEndian.Uint16(b[at+2:]))-ipv4Size)
		if kind == typeIPv6 {
			header = pseudo(b[at+8:at+40], b[at+6], int(binary.BigEndian.Uint16(b[at+4:])))
		}
		binary.BigEndian.PutUint16(b[place:], fold(header))
		Complete(b)
		if !bytes.Equal(b, whole) {
			t.Errorf("%s: completed\n%x, should be\n%x", name, b, whole)
		}
	}
}

// FuzzComplete: whatever comes, nothing but a checksum changes, which is right then.
func FuzzComplete(f *testing.F) {
	all, _ := segments(f)
	for _, b := range all {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := bytes.Clone(in)
		Complete(b)
		if bytes.Equal(b, in) {
			return
		}
		changed := 0
		for i := range b {
			if b[i] != in[i] {
				changed++
			}
		}
		if changed > 2 {
			t.Fatalf("%d octets changed", changed)
		}
		_, at := etherType(b)
		carried, addresses, protocol := carried4(b[at:])
		if carried == nil {
			carried, addresses, protocol = carried6(b[at:])
		}
		if !whole(sum(carried, pseudo(addresses, protocol, len(carried)))) {
			t.Errorf("%x: became\n%x", in, b)
		}
	})
}
