package frame

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func who(target net.IP) *layers.ARP {
	return &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
		SourceHwAddress: clientMAC, SourceProtAddress: client4, DstHwAddress: make([]byte, 6), DstProtAddress: target,
	}
}

// TestARP answers requests and probes in each VLAN, with or without padding.
func TestARP(t *testing.T) {
	h := host(t)
	for _, l := range links {
		for _, to := range []net.HardwareAddr{everybody, ourMAC} {
			for _, sender := range []net.IP{client4, {0, 0, 0, 0}} {
				a := who(our4)
				a.SourceProtAddress = sender
				b := append(build(t, append(l.layers(clientMAC, to, layers.EthernetTypeARP), a)...), make([]byte, 18)...)
				var f Frame
				if v := h.Decode(b, &f); v != Turned {
					t.Fatalf("%s: %v", l.name, v)
				}
				p := parse(t, b[f.Start:f.End])
				ethernet(t, p, clientMAC)
				r := p.Layer(layers.LayerTypeARP).(*layers.ARP)
				if r.Operation != layers.ARPReply || !bytes.Equal(r.SourceHwAddress, ourMAC) || !bytes.Equal(r.SourceProtAddress, our4) ||
					!bytes.Equal(r.DstHwAddress, clientMAC) || !bytes.Equal(r.DstProtAddress, sender) {
					t.Fatalf("%s: %+v", l.name, r)
				}
			}
		}
	}
}

func TestARPRefused(t *testing.T) {
	h := host(t)
	for _, c := range []struct {
		name   string
		change func(*layers.ARP)
		want   Verdict
	}{
		{"another's address", func(a *layers.ARP) { a.DstProtAddress = client4 }, Foreign},
		{"a reply", func(a *layers.ARP) { a.Operation = layers.ARPReply }, Other},
		{"not for IPv4", func(a *layers.ARP) { a.Protocol = layers.EthernetTypeIPv6 }, Other},
		{"from our address", func(a *layers.ARP) { a.SourceProtAddress = our4 }, Source},
		{"from loopback", func(a *layers.ARP) { a.SourceProtAddress = []byte{127, 0, 0, 1} }, Source},
		{"from broadcast", func(a *layers.ARP) { a.SourceHwAddress = everybody }, Source},
		{"from our Ethernet address", func(a *layers.ARP) { a.SourceHwAddress = ourMAC }, Source},
	} {
		a := who(our4)
		c.change(a)
		b := build(t, append(links[0].layers(clientMAC, everybody, layers.EthernetTypeARP), a)...)
		var f Frame
		if v := h.Decode(b, &f); v != c.want {
			t.Errorf("%s: %v, want %v", c.name, v, c.want)
		}
	}
	b := build(t, append(links[0].layers(clientMAC, everybody, layers.EthernetTypeARP), who(our4))...)
	var f Frame
	if v := h.Decode(b[:40], &f); v != Short {
		t.Errorf("cut: %v", v)
	}
	b[0] = 0x01 // some other group
	if v := h.Decode(b, &f); v != Foreign {
		t.Errorf("to another group: %v", v)
	}
}

// TestEcho answers pings of each length with what they carry.
func TestEcho(t *testing.T) {
	h := host(t)
	for _, l := range links {
		for size := range 70 {
			data := bytes.Repeat([]byte{0xa5, byte(size)}, size)[:size]
			ip := from4()
			ip.Protocol = layers.IPProtocolICMPv4
			request := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: 9}
			b := build(t, append(l.layers(clientMAC, ourMAC, layers.EthernetTypeIPv4), ip, request, gopacket.Payload(data))...)
			var f Frame
			if v := h.Decode(b, &f); v != Turned {
				t.Fatalf("%v", v)
			}
			p := parse(t, b[f.Start:f.End])
			ethernet(t, p, clientMAC)
			r := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			if r.TypeCode != 0 || r.Id != 7 || r.Seq != 9 || !bytes.Equal(r.Payload, data) {
				t.Fatalf("%+v", r)
			}
			if got := p.NetworkLayer().(*layers.IPv4); !got.SrcIP.Equal(our4) || !got.DstIP.Equal(client4) {
				t.Fatalf("%+v", got)
			}
			checkEcho6(t, h, l, data)
		}
	}
}

func icmp6(t testing.TB, l link, to net.HardwareAddr, ip *layers.IPv6, kind uint8, body []byte) []byte {
	t.Helper()
	ip.NextHeader = layers.IPProtocolICMPv6
	return build(t, append(l.layers(clientMAC, to, layers.EthernetTypeIPv6), ip, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)}, gopacket.Payload(body))...)
}

func checkEcho6(t *testing.T, h *Host, l link, data []byte) {
	t.Helper()
	b := icmp6(t, l, ourMAC, from6(), echoRequest, append([]byte{0, 7, 0, 9}, data...))
	if len(data)%2 == 1 && len(l.tags) == 0 {
		b = insert(b, []uint8{destination}, [][]byte{{0, 0, 1, 4, 0, 0, 0, 0}})
	}
	var f Frame
	if v := h.Decode(b, &f); v != Turned {
		t.Fatalf("%v", v)
	}
	p := parse(t, b[f.Start:f.End])
	ethernet(t, p, clientMAC)
	r := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if r.TypeCode.Type() != echoReply || !bytes.Equal(r.Payload, append([]byte{0, 7, 0, 9}, data...)) {
		t.Fatalf("%+v", r)
	}
	if got := p.NetworkLayer().(*layers.IPv6); !got.SrcIP.Equal(our6) || !got.DstIP.Equal(client6) {
		t.Fatalf("%+v", got)
	}
}

func TestEchoRefused(t *testing.T) {
	h := host(t)
	ip := from4()
	ip.Protocol = layers.IPProtocolICMPv4
	good := build(t, append(links[0].layers(clientMAC, ourMAC, layers.EthernetTypeIPv4), ip, &layers.ICMPv4{TypeCode: 8 << 8}, gopacket.Payload("data"))...)
	var f Frame
	for _, c := range []struct {
		at    int
		value byte
		want  Verdict
	}{{34, 0, Other}, {34, 3, Other}, {35, 1, Other}, {43, 'D', Checksum}} {
		b := roomy(good)
		b[c.at] = c.value
		if v := h.Decode(b, &f); v != c.want {
			t.Errorf("octet %d = %d: %v, want %v", c.at, c.value, v, c.want)
		}
	}
	good = icmp6(t, links[0], ourMAC, from6(), echoRequest, []byte("....data"))
	for _, c := range []struct {
		at    int
		value byte
		want  Verdict
	}{{54, 129, Other}, {54, 1, Other}, {55, 1, Other}, {63, 'D', Checksum}} {
		b := roomy(good)
		b[c.at] = c.value
		if v := h.Decode(b, &f); v != c.want {
			t.Errorf("IPv6, octet %d = %d: %v, want %v", c.at, c.value, v, c.want)
		}
	}
}

var (
	groupIP  = net.ParseIP("ff02::1:ff00:53")
	groupMAC = net.HardwareAddr{0x33, 0x33, 0xff, 0, 0, 0x53}
)

// asks is the body of a solicitation, with the option of the sender's address if
// link is not nil.
func asks(target net.IP, link net.HardwareAddr) []byte {
	body := append(make([]byte, 4), target.To16()...)
	if link != nil {
		body = append(append(body, sourceLinkLayer, 1), link...)
	}
	return body
}

// TestNeighbour answers solicitations: to the group, to the address, with and
// without the sender's address, and from who has none yet.
func TestNeighbour(t *testing.T) {
	h := host(t)
	router := net.HardwareAddr{2, 0, 0, 0, 0, 0xaa}
	for _, l := range links {
		for _, c := range []struct {
			name     string
			mac      net.HardwareAddr
			from, to net.IP
			link     net.HardwareAddr
			wantMAC  net.HardwareAddr
			wantTo   net.IP
			flags    byte
		}{
			{"to the group", groupMAC, client6, groupIP, clientMAC, clientMAC, client6, 0x60},
			{"to the group, without option", groupMAC, client6, groupIP, nil, clientMAC, client6, 0x60},
			{"to the address", ourMAC, client6, our6, nil, clientMAC, client6, 0x60},
			{"from a link-local address", groupMAC, net.ParseIP("fe80::1"), groupIP, router, router, net.ParseIP("fe80::1"), 0x60},
			{"is it taken", groupMAC, net.IPv6unspecified, groupIP, nil, net.HardwareAddr(allNodesLink[:]), net.IP(allNodes[:]), 0x20},
		} {
			t.Run(l.name+" "+c.name, func(t *testing.T) {
				ip := from6()
				ip.SrcIP, ip.DstIP, ip.HopLimit = c.from, c.to, 255
				b := icmp6(t, l, c.mac, ip, solicitation, asks(our6, c.link))
				var f Frame
				if v := h.Decode(b, &f); v != Turned {
					t.Fatalf("%v", v)
				}
				p := parse(t, b[f.Start:f.End])
				ethernet(t, p, c.wantMAC)
				if got := p.NetworkLayer().(*layers.IPv6); !got.SrcIP.Equal(our6) || !got.DstIP.Equal(c.wantTo) || got.HopLimit != 255 {
					t.Fatalf("%+v", got)
				}
				r := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
				if r.Flags != c.flags || !r.TargetAddress.Equal(our6) || len(r.Options) != 1 ||
					r.Options[0].Type != layers.ICMPv6OptTargetAddress || !bytes.Equal(r.Options[0].Data, ourMAC) {
					t.Fatalf("%+v", r)
				}
			})
		}
	}
}

func TestNeighbourRefused(t *testing.T) {
	h := host(t)
	ask := func(mac net.HardwareAddr, from, to net.IP, hops uint8, body []byte) []byte {
		ip := from6()
		ip.SrcIP, ip.DstIP, ip.HopLimit = from, to, hops
		return icmp6(t, links[0], mac, ip, solicitation, body)
	}
	for i, c := range []struct {
		name string
		b    []byte
		want Verdict
	}{
		{"for another's address", ask(groupMAC, client6, groupIP, 255, asks(client6, nil)), Foreign},
		{"to another group", ask(groupMAC, client6, net.ParseIP("ff02::1"), 255, asks(our6, nil)), Foreign},
		{"to another Ethernet group", ask(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, client6, groupIP, 255, asks(our6, nil)), Foreign},
		{"to the address, by the group", ask(groupMAC, client6, our6, 255, asks(our6, nil)), Foreign},
		{"through a router", ask(groupMAC, client6, groupIP, 254, asks(our6, nil)), Source},
		{"from ourselves", ask(groupMAC, our6, groupIP, 255, asks(our6, nil)), Source},
		{"from multicast", ask(groupMAC, groupIP, groupIP, 255, asks(our6, nil)), Source},
		{"from a group of Ethernet's", ask(groupMAC, client6, groupIP, 255, asks(our6, everybody)), Source},
		{"is it taken, with an option", ask(groupMAC, net.IPv6unspecified, groupIP, 255, asks(our6, clientMAC)), Source},
		{"is it taken, to the address", ask(ourMAC, net.IPv6unspecified, our6, 255, asks(our6, nil)), Source},
		{"option without length", ask(groupMAC, client6, groupIP, 255, append(asks(our6, nil), 1, 0, 0, 0, 0, 0, 0, 0)), Short},
		{"option beyond the end", ask(groupMAC, client6, groupIP, 255, append(asks(our6, nil), 1, 2, 0, 0, 0, 0, 0, 0)), Short},
		{"too short", ask(groupMAC, client6, groupIP, 255, asks(our6, nil)[:18]), Foreign},
	} {
		var f Frame
		if v := h.Decode(c.b, &f); v != c.want {
			t.Errorf("%d %s: %v, want %v", i, c.name, v, c.want)
		}
	}
	b := ask(groupMAC, client6, groupIP, 255, asks(our6, nil))
	b[57] ^= 1 // the checksum
	var f Frame
	if v := h.Decode(b, &f); v != Checksum {
		t.Errorf("damaged: %v", v)
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range Verdicts {
		if name := fmt.Sprint(v); name == "" || seen[name] {
			t.Errorf("verdict %d is called %q", uint8(v), name)
		} else {
			seen[name] = true
		}
	}
}
