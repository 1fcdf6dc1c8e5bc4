package frame

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	ourMAC    = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	clientMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	everybody = net.HardwareAddr(broadcast[:])
	our4      = net.IP{10, 0, 0, 53}
	client4   = net.IP{10, 0, 0, 9}
	our6      = net.ParseIP("2001:db8::53")
	client6   = net.ParseIP("2001:db8::9")
)

func host(t testing.TB) *Host {
	t.Helper()
	h, err := NewHost(ourMAC, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.53/24"), netip.MustParsePrefix("192.0.2.53/32"), netip.MustParsePrefix("2001:db8::53/64"),
	}, 53)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// build makes a frame with lengths and checksums as they should be, in a buffer with
// room behind it.
func build(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, l := range all {
		switch l := l.(type) {
		case *layers.UDP:
			l.SetNetworkLayerForChecksum(networkOf(all[:i]))
		case *layers.ICMPv6:
			l.SetNetworkLayerForChecksum(networkOf(all[:i]))
		}
	}
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	return roomy(out.Bytes())
}

func roomy(b []byte) []byte { return append(make([]byte, 0, 2048), b...) }

func networkOf(below []gopacket.SerializableLayer) (n gopacket.NetworkLayer) {
	for _, l := range below {
		if l, ok := l.(gopacket.NetworkLayer); ok {
			n = l
		}
	}
	return n
}

// link is what stands in front of a network layer: Ethernet and VLAN tags.
type link struct {
	name string
	tags []layers.EthernetType
}

var links = []link{
	{"untagged", nil},
	{"802.1Q", []layers.EthernetType{layers.EthernetTypeDot1Q}},
	{"802.1ad", []layers.EthernetType{layers.EthernetTypeQinQ}},
	{"QinQ", []layers.EthernetType{layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q}},
	{"two 802.1Q", []layers.EthernetType{layers.EthernetTypeDot1Q, layers.EthernetTypeDot1Q}},
}

func (l link) layers(source, destination net.HardwareAddr, carried layers.EthernetType) (all []gopacket.SerializableLayer) {
	kinds := append(append([]layers.EthernetType(nil), l.tags...), carried)
	all = append(all, &layers.Ethernet{SrcMAC: source, DstMAC: destination, EthernetType: kinds[0]})
	for i := range l.tags {
		all = append(all, &layers.Dot1Q{VLANIdentifier: uint16(100 + i), Priority: 3, Type: kinds[i+1]})
	}
	return all
}

func from4() *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, Id: 77, TOS: 3, TTL: 9, Protocol: layers.IPProtocolUDP, SrcIP: client4, DstIP: our4}
}

func from6() *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 9, FlowLabel: 5, NextHeader: layers.IPProtocolUDP, SrcIP: client6, DstIP: our6}
}

func toDNS() *layers.UDP { return &layers.UDP{SrcPort: 4242, DstPort: 53} }

// udp4 and udp6 are untagged queries.
func udp4(t testing.TB, ip *layers.IPv4, query string) []byte {
	t.Helper()
	return build(t, append(links[0].layers(clientMAC, ourMAC, layers.EthernetTypeIPv4), ip, toDNS(), gopacket.Payload(query))...)
}

func udp6(t testing.TB, ip *layers.IPv6, query string) []byte {
	t.Helper()
	return build(t, append(links[0].layers(clientMAC, ourMAC, layers.EthernetTypeIPv6), ip, toDNS(), gopacket.Payload(query))...)
}

// parse reads a frame, and wants it to be what gopacket itself would write, but for
// padding: all lengths and checksums included. What UDP carries is not looked at.
func parse(t testing.TB, b []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(bytes.Clone(b), layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil && p.Layer(layers.LayerTypeUDP) == nil {
		t.Fatalf("%x: %v", b, e.Error())
	}
	var all []gopacket.SerializableLayer
	for _, l := range p.Layers() {
		s, ok := l.(gopacket.SerializableLayer)
		if !ok {
			t.Fatalf("layer %v cannot be written", l.LayerType())
		}
		all = append(all, s)
		if kind := l.LayerType(); kind == layers.LayerTypeICMPv6 || kind == layers.LayerTypeUDP {
			all = append(all, gopacket.Payload(l.LayerPayload())) // as octets
			break
		}
	}
	again := build(t, all...)
	if pad := len(again) - len(b); pad > 0 && len(again) == 60 {
		again = again[:len(b)]
	}
	if !bytes.Equal(again, b) {
		t.Fatalf("the frame is\n%x, should be\n%x", b, again)
	}
	return p
}

// ethernet checks the outermost header of a reply.
func ethernet(t testing.TB, p gopacket.Packet, destination net.HardwareAddr) {
	t.Helper()
	e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if !bytes.Equal(e.SrcMAC, ourMAC) || !bytes.Equal(e.DstMAC, destination) {
		t.Fatalf("from %s to %s, want to %s", e.SrcMAC, e.DstMAC, destination)
	}
}
