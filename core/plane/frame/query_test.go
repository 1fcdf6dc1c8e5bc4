package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/strata-dns/strata/core/plane"
)

// TestQuery takes queries of all lengths out of frames and puts replies in, longer
// and shorter ones, at once and late.
func TestQuery(t *testing.T) {
	h := host(t)
	for _, l := range links {
		for _, v := range []int{4, 6} {
			t.Run(fmt.Sprintf("%s IPv%d", l.name, v), func(t *testing.T) {
				for size := range 80 {
					question := strings.Repeat("q", size)
					checkQuery(t, h, l, v, question, strings.Repeat("a", 3*size+size%3))
					checkQuery(t, h, l, v, question, "r")
				}
			})
		}
	}
}

func checkQuery(t *testing.T, h *Host, l link, version int, question, answer string) {
	t.Helper()
	var b []byte
	if version == 4 {
		b = build(t, append(l.layers(clientMAC, ourMAC, layers.EthernetTypeIPv4), from4(), toDNS(), gopacket.Payload(question))...)
	} else {
		b = build(t, append(l.layers(clientMAC, ourMAC, layers.EthernetTypeIPv6), from6(), toDNS(), gopacket.Payload(question))...)
	}
	b = append(b, 0, 0, 0) // Ethernet's padding
	var f Frame
	if v := h.Decode(b, &f); v != Query {
		t.Fatalf("%v, want query", v)
	}
	if got := b[f.Payload:f.End]; string(got) != question {
		t.Fatalf("query %q, want %q", got, question)
	}
	var way plane.Return
	f.Save(b, &way)
	var late [512]byte
	lateLen := Restore(&way, []byte(answer), late[:])
	end := f.Turn(b, copy(b[f.Payload:cap(b)], answer))
	b = b[f.Start:end]
	if !bytes.Equal(b, late[:lateLen]) {
		t.Fatalf("late reply\n%x, at once\n%x", late[:lateLen], b)
	}
	checkReply(t, b, l, version, answer)
	if want := []string{"10.0.0.9:4242", "[2001:db8::9]:4242"}[version/6]; f.Client != netip.MustParseAddrPort(want) {
		t.Fatalf("client %s, want %s", f.Client, want)
	}
}

func checkReply(t *testing.T, b []byte, l link, version int, answer string) {
	t.Helper()
	p := parse(t, b)
	ethernet(t, p, clientMAC)
	tags := 0
	for _, layer := range p.Layers() {
		if d, ok := layer.(*layers.Dot1Q); ok {
			if d.VLANIdentifier != uint16(100+tags) {
				t.Fatalf("VLAN %d", d.VLANIdentifier)
			}
			tags++
		}
	}
	if tags != len(l.tags) {
		t.Fatalf("%d tags", tags)
	}
	if version == 4 {
		ip := p.NetworkLayer().(*layers.IPv4)
		if !ip.SrcIP.Equal(our4) || !ip.DstIP.Equal(client4) || ip.TTL != 64 || ip.Flags != layers.IPv4DontFragment || ip.TOS != 0 || ip.Id != 0 {
			t.Fatalf("%+v", ip)
		}
	} else if ip := p.NetworkLayer().(*layers.IPv6); !ip.SrcIP.Equal(our6) || !ip.DstIP.Equal(client6) || ip.HopLimit != 64 {
		t.Fatalf("%+v", ip)
	}
	u := p.TransportLayer().(*layers.UDP)
	if u.SrcPort != 53 || u.DstPort != 4242 || u.Checksum == 0 {
		t.Fatalf("%+v", u)
	}
	if string(u.Payload) != answer {
		t.Fatalf("reply %q, want %q", u.Payload, answer)
	}
}

// TestExtensions steps over options that may be ignored, and replies without them.
func TestExtensions(t *testing.T) {
	h := host(t)
	pad := func(octets int) []byte { // a header of that size, all padding
		e := make([]byte, octets)
		e[1], e[2], e[3] = byte(octets/8-1), 1, byte(octets-4)
		return e
	}
	unknown := func(kind byte) []byte { return []byte{0, 0, kind, 4, 0, 0, 0, 0} }
	for _, c := range []struct {
		name  string
		kinds []uint8
		all   [][]byte
		want  Verdict
	}{
		{"hop by hop", []uint8{hopByHop}, [][]byte{pad(8)}, Query},
		{"destination", []uint8{destination}, [][]byte{pad(16)}, Query},
		{"both", []uint8{hopByHop, destination}, [][]byte{pad(8), pad(56)}, Query},
		{"too long together", []uint8{hopByHop, destination}, [][]byte{pad(16), pad(56)}, Options},
		{"too long", []uint8{destination}, [][]byte{pad(72)}, Options},
		{"twice", []uint8{destination, destination}, [][]byte{pad(8), pad(8)}, Options},
		{"hop by hop behind", []uint8{destination, hopByHop}, [][]byte{pad(8), pad(8)}, Options},
		{"an option to be ignored", []uint8{destination}, [][]byte{unknown(0x1e)}, Query},
		{"an option to be refused", []uint8{destination}, [][]byte{unknown(0xde)}, Options},
		{"an option beyond the end", []uint8{destination}, [][]byte{{0, 0, 0x1e, 9, 0, 0, 0, 0}}, Options},
		{"Pad1", []uint8{destination}, [][]byte{{0, 0, 0, 0, 0, 0, 0, 0}}, Query},
		{"an option without length", []uint8{destination}, [][]byte{{0, 0, 0, 0, 0, 0, 0, 1}}, Options},
		{"routing", []uint8{routing}, [][]byte{pad(8)}, Options},
		{"atomic fragment", []uint8{fragment}, [][]byte{make([]byte, 8)}, Fragment},
		{"longer than the packet", []uint8{destination}, [][]byte{{0, 200, 0, 0, 0, 0, 0, 0}}, Short},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := insert(udp6(t, from6(), "a question"), c.kinds, c.all)
			var f Frame
			if v := h.Decode(b, &f); v != c.want {
				t.Fatalf("%v, want %v", v, c.want)
			} else if v != Query {
				return
			}
			if got := string(b[f.Payload:f.End]); got != "a question" {
				t.Fatalf("query %q", got)
			}
			var way plane.Return
			f.Save(b, &way)
			var late [512]byte
			n := Restore(&way, []byte("an answer"), late[:])
			checkReply(t, late[:n], links[0], 6, "an answer")
			end := f.Turn(b, copy(b[f.Payload:cap(b)], "an answer"))
			checkReply(t, b[f.Start:end], links[0], 6, "an answer")
		})
	}
}

// insert puts extension headers behind the IPv6 header.
func insert(b []byte, kinds []uint8, all [][]byte) []byte {
	const ip = ethernetSize
	var chain []byte
	next := b[ip+6]
	for i := len(all) - 1; i >= 0; i-- {
		e := bytes.Clone(all[i])
		e[0], next = next, kinds[i]
		chain = append(e, chain...)
	}
	out := roomy(b[:ip+ipv6Size])
	out[ip+6] = next
	binary.BigEndian.PutUint16(out[ip+4:], binary.BigEndian.Uint16(out[ip+4:])+uint16(len(chain)))
	return append(append(out, chain...), b[ip+ipv6Size:]...)
}

// TestRefused is all that gets no reply, and why.
func TestRefused(t *testing.T) {
	h := host(t)
	set := func(at int, value ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], value); return b }
	}
	sum4 := func(f func([]byte) []byte) func([]byte) []byte { // with the IPv4 header summed anew
		return func(b []byte) []byte {
			b = f(b)
			ip := b[ethernetSize : ethernetSize+ipv4Size]
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip, 0)))
			return b
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	// Offsets of fields in untagged frames.
	const ip, udpIn4, udpIn6 = 14, 34, 54
	for _, c := range []struct {
		name    string
		version int
		change  func([]byte) []byte
		want    Verdict
	}{
		{"another's Ethernet address", 4, set(0, 2, 0, 0, 0, 0, 2), Foreign},
		{"broadcast", 4, set(0, broadcast[:]...), Foreign},
		{"from an Ethernet group", 4, set(6, 3), Source},
		{"from broadcast", 4, set(6, broadcast[:]...), Source},
		{"from our own Ethernet address", 4, set(6, ourMAC...), Source},
		{"no frame", 4, cut(13), Short},
		{"nothing in it", 4, cut(14), Short},
		{"an unknown type", 4, set(12, 0x88, 0xcc), Other},
		{"three tags", 4, func(b []byte) []byte {
			return append(roomy(b[:12]), append([]byte{0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3}, b[12:]...)...)
		}, Other},
		{"half a tag", 4, func(b []byte) []byte { return append(b[:12], 0x81, 0, 0) }, Other},
		{"version 5", 4, set(ip, 0x55), Short},
		{"header too small", 4, set(ip, 0x44), Short},
		{"options", 4, func(b []byte) []byte {
			out := append(roomy(b[:udpIn4]), 1, 1, 1, 0)
			out = append(out, b[udpIn4:]...)
			out[ip] = 0x46
			binary.BigEndian.PutUint16(out[ip+2:], uint16(len(out)-ip))
			out[ip+10], out[ip+11] = 0, 0
			binary.BigEndian.PutUint16(out[ip+10:], ^fold(sum(out[ip:ip+24], 0)))
			return out
		}, Options},
		{"longer than the frame", 4, set(ip+2, 0x08), Short},
		{"cut", 4, cut(40), Short},
		{"damaged header", 4, set(ip+8, 1), Checksum},
		{"another's address", 4, sum4(set(ip+16, 10, 0, 0, 54)), Foreign},
		{"first fragment", 4, sum4(set(ip+6, 0x20)), Fragment},
		{"last fragment", 4, sum4(set(ip+6, 0, 9)), Fragment},
		{"TCP", 4, sum4(set(ip+9, 6)), Other},
		{"from 0.0.0.0", 4, sum4(set(ip+12, 0, 0, 0, 0)), Source},
		{"from loopback", 4, sum4(set(ip+12, 127)), Source},
		{"from multicast", 4, sum4(set(ip+12, 224, 0, 0, 1)), Source},
		{"from everybody", 4, sum4(set(ip+12, 255, 255, 255, 255)), Source},
		{"from our net's broadcast address", 4, sum4(set(ip+12, 10, 0, 0, 255)), Source},
		{"from our net itself", 4, sum4(set(ip+12, 10, 0, 0, 0)), Source},
		{"from ourselves", 4, sum4(set(ip+12, our4...)), Source},
		{"another port", 4, set(udpIn4+2, 0, 54), Other},
		{"damaged datagram", 4, set(udpIn4+8, 'Q'), Checksum},
		{"datagram longer than the packet", 4, set(udpIn4+4, 9), Short},
		{"datagram shorter than its header", 4, set(udpIn4+4, 0, 7), Short},
		{"from port 0", 4, set(udpIn4, 0, 0, 0, 53, 0, 9, 0, 0), Source},
		{"version 4 as 6", 6, set(ip, 0x40), Short},
		{"cut", 6, cut(ip + 39), Short},
		{"longer than the frame", 6, set(ip+4, 9), Short},
		{"another's address", 6, set(ip+39, 0x54), Foreign},
		{"to a group", 6, set(ip+24, 0xff, 0x02), Foreign},
		{"to a group of Ethernet's", 6, set(0, 0x33, 0x33), Foreign},
		{"from ::", 6, set(ip+8, make([]byte, 16)...), Source},
		{"from ::1", 6, set(ip+8, net.IPv6loopback...), Source},
		{"from multicast", 6, set(ip+8, 0xff, 0x02), Source},
		{"from an IPv4 address in disguise", 6, set(ip+8, append(mapped[:], 10, 0, 0, 9)...), Source},
		{"from ourselves", 6, set(ip+8, our6...), Source},
		{"damaged", 6, set(udpIn6+8, 'Q'), Checksum},
		{"without checksum", 6, set(udpIn6+6, 0, 0), Checksum},
		{"another port", 6, set(udpIn6+2, 0, 54), Other},
		{"TCP", 6, set(ip+6, 6), Other},
		{"no next header", 6, set(ip+6, 59), Other},
		{"datagram longer than the packet", 6, set(udpIn6+4, 9), Short},
	} {
		t.Run(fmt.Sprintf("IPv%d %s", c.version, c.name), func(t *testing.T) {
			b := udp4(t, from4(), "a question")
			if c.version == 6 {
				b = udp6(t, from6(), "a question")
			}
			var f Frame
			if v := h.Decode(bytes.Clone(b)[:len(b):len(b)], &f); len(b) >= MinRoom && v != Query {
				t.Fatalf("unchanged: %v", v)
			}
			if v := h.Decode(c.change(roomy(b)), &f); v != c.want {
				t.Errorf("%v, want %v", v, c.want)
			}
		})
	}
}

// TestAccepted is what is unusual and right.
func TestAccepted(t *testing.T) {
	h := host(t)
	b := udp4(t, from4(), "a question")
	b[40], b[41] = 0, 0 // no checksum (RFC 768)
	var f Frame
	if v := h.Decode(b, &f); v != Query {
		t.Errorf("IPv4 without a checksum: %v", v)
	}
	other := from4()
	other.DstIP, other.SrcIP = net.IP{192, 0, 2, 53}, net.IP{192, 0, 2, 255}
	if v := h.Decode(udp4(t, other, "x"), &f); v != Query {
		t.Errorf("from .255 to a /32: %v", v)
	}
}

// TestPartial: sums of pseudo-headers alone are taken where that is asked for.
func TestPartial(t *testing.T) {
	const question = "a question"
	for _, v := range []int{4, 6} {
		b, at, addresses := udp4(t, from4(), question), 34, []int{26, 34}
		if v == 6 {
			b, at, addresses = udp6(t, from6(), question), 54, []int{22, 54}
		}
		s := fold(pseudo(b[addresses[0]:addresses[1]], protocolUDP, udpSize+len(question)))
		binary.BigEndian.PutUint16(b[at+6:], s)
		h, f := host(t), Frame{}
		if got := h.Decode(roomy(b), &f); got != Checksum {
			t.Errorf("IPv%d: %v, want checksum", v, got)
		}
		h.Partial = true
		if got := h.Decode(roomy(b), &f); got != Query {
			t.Errorf("IPv%d: %v, want query", v, got)
		}
		b[at+7]++
		if got := h.Decode(roomy(b), &f); got != Checksum {
			t.Errorf("IPv%d, damaged: %v, want checksum", v, got)
		}
	}
}

// TestZeroChecksum finds a reply whose checksum comes out as 0: sent is 0xffff.
func TestZeroChecksum(t *testing.T) {
	h := host(t)
	for n := range 1 << 16 {
		b := udp6(t, from6(), "..")
		var f Frame
		h.Decode(b, &f)
		binary.BigEndian.PutUint16(b[f.Payload:], uint16(n))
		end := f.Turn(b, 2)
		switch binary.BigEndian.Uint16(b[end-4:]) {
		case 0:
			t.Fatal("a reply without a checksum")
		case 0xffff:
			if !whole(sum(b[54:end], pseudo(b[22:54], protocolUDP, end-54))) {
				t.Fatal("0xffff is wrong")
			}
			return
		}
	}
	t.Fatal("no payload leads to 0xffff")
}

func TestRestoreRefuses(t *testing.T) {
	var out [64]byte
	for _, r := range []plane.Return{{}, {14, 42}, {14, 42, 16: 0x60}, {200, 200}, {14, 42, 16: 0x45}} {
		if n := Restore(&r, make([]byte, 60), out[:]); n != 0 {
			t.Errorf("%v: %d octets", r, n)
		}
	}
}

func TestNewHost(t *testing.T) {
	for _, c := range []struct{ mac, prefix string }{
		{"03:00:00:00:00:01", "10.0.0.1/24"},
		{"00:00:00:00:00:00", "10.0.0.1/24"},
		{"02:00:00:00:00:00:00:01", "10.0.0.1/24"},
		{"02:00:00:00:00:01", "127.0.0.1/8"},
		{"02:00:00:00:00:01", "0.0.0.0/0"},
		{"02:00:00:00:00:01", "224.0.0.1/32"},
		{"02:00:00:00:00:01", "::ffff:10.0.0.1/128"},
		{"02:00:00:00:00:01", "ff02::1/128"},
		{"02:00:00:00:00:01", "10.0.0.0/24"},
		{"02:00:00:00:00:01", "10.0.0.255/24"},
	} {
		mac, err := net.ParseMAC(c.mac)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewHost(mac, []netip.Prefix{netip.MustParsePrefix(c.prefix)}, 53); err == nil {
			t.Errorf("%s with %s is taken", c.mac, c.prefix)
		}
	}
	if _, err := NewHost(ourMAC, nil, 53); err == nil {
		t.Error("no address is taken")
	}
	if _, err := NewHost(ourMAC, []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}, 0); err == nil {
		t.Error("port 0 is taken")
	}
}
