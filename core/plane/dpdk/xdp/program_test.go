package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

var (
	ourMAC   = net.HardwareAddr{2, 0, 0, 0, 0, 0x53}
	otherMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	// The kernel has the first of each family, and has not got the second.
	shared4, sole4 = netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("10.0.0.54")
	shared6, sole6 = netip.MustParseAddr("fd53::53"), netip.MustParseAddr("fd53::54")
)

// newProgram loads the program with a socket for queue 0; it is not attached.
func newProgram(t testing.TB, port uint16) *ebpf.Collection {
	t.Helper()
	needInside(t)
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	xsk, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(xsk) })
	put := func(m string, key, value any) {
		t.Helper()
		if err := c.Maps[m].Put(key, value); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
	}
	put("xsks_map", uint32(0), uint32(xsk))
	s := settings{MAC: [6]byte(ourMAC)}
	binary.BigEndian.PutUint16(s.Port[:], port)
	put(settingsName, uint32(0), s)
	for _, a := range []netip.Addr{shared4, shared6} {
		put(addressesName, a.As16(), queries)
	}
	for _, a := range []netip.Addr{sole4, sole6} {
		put(addressesName, a.As16(), queries|presence)
	}
	return c
}

// Outcomes of an XDP program (linux/bpf.h).
const (
	pass     = 2
	redirect = 4
)

// to is the outcome for a frame.
func to(t testing.TB, c *ebpf.Collection, frame []byte) uint32 {
	t.Helper()
	verdict, err := c.Programs[programName].Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatalf("%x: %v", frame, err)
	}
	return verdict
}

func frame(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ethernet(to net.HardwareAddr, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: otherMAC, DstMAC: to, EthernetType: kind}
}

func ipv4(to netip.Addr, protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: net.IP{10, 0, 0, 9}, DstIP: to.AsSlice()}
}

func ipv6(to netip.Addr, next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: next, SrcIP: net.ParseIP("fd53::9"), DstIP: to.AsSlice()}
}

func arp(operation uint16, target netip.Addr) *layers.ARP {
	return &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: operation,
		SourceHwAddress: otherMAC, SourceProtAddress: []byte{10, 0, 0, 9}, DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice(),
	}
}

func udp(port uint16) *layers.UDP {
	return &layers.UDP{SrcPort: 4242, DstPort: layers.UDPPort(port)}
}

const (
	typeARP = layers.EthernetTypeARP
	type4   = layers.EthernetTypeIPv4
	type6   = layers.EthernetTypeIPv6
)

func echo4() *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0)}
}

func icmp6(kind uint8) *layers.ICMPv6 {
	return &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)}
}

// TestSteer: who gets what.
func TestSteer(t *testing.T) {
	c := newProgram(t, 53)
	tcp := &layers.TCP{SrcPort: 4242, DstPort: 53, SYN: true}
	query := gopacket.Payload("a query")
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	group := net.HardwareAddr{0x33, 0x33, 0xff, 0, 0, 0x54}
	optioned := ipv4(shared4, layers.IPProtocolUDP)
	optioned.Options = []layers.IPv4Option{{OptionType: 1}}
	first, later := ipv4(shared4, layers.IPProtocolUDP), ipv4(shared4, layers.IPProtocolUDP)
	first.Flags, later.FragOffset = layers.IPv4MoreFragments, 64
	unfragmented := ipv4(shared4, layers.IPProtocolUDP)
	unfragmented.Flags = layers.IPv4DontFragment
	solicit := func(target netip.Addr) gopacket.Payload { return append(make([]byte, 4), target.AsSlice()...) }
	for _, c4 := range []struct {
		name string
		want uint32
		of   []byte
	}{
		{"query", redirect, frame(t, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolUDP), udp(53), query)},
		{"query, DF", redirect, frame(t, ethernet(ourMAC, type4), unfragmented, udp(53), query)},
		{"query to the other address", redirect, frame(t, ethernet(ourMAC, type4), ipv4(sole4, layers.IPProtocolUDP), udp(53), query)},
		{"query over IPv6", redirect, frame(t, ethernet(ourMAC, type6), ipv6(shared6, layers.IPProtocolUDP), udp(53), query)},
		{"datagram to another port", pass, frame(t, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolUDP), udp(54), query)},
		{"datagram to another port over IPv6", pass, frame(t, ethernet(ourMAC, type6), ipv6(shared6, layers.IPProtocolUDP), udp(54), query)},
		{"datagram to another address", pass, frame(t, ethernet(ourMAC, type4), ipv4(netip.MustParseAddr("10.0.0.2"), layers.IPProtocolUDP), udp(53), query)},
		{"query to another Ethernet address", pass, frame(t, ethernet(otherMAC, type4), ipv4(shared4, layers.IPProtocolUDP), udp(53), query)},
		{"broadcast query", pass, frame(t, ethernet(broadcast, type4), ipv4(shared4, layers.IPProtocolUDP), udp(53), query)},
		{"TCP", pass, frame(t, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolTCP), tcp)},
		{"TCP over IPv6", pass, frame(t, ethernet(ourMAC, type6), ipv6(sole6, layers.IPProtocolTCP), tcp)},
		{"IPv4 options", pass, frame(t, ethernet(ourMAC, type4), optioned, udp(53), query)},
		{"first fragment", pass, frame(t, ethernet(ourMAC, type4), first, udp(53), query)},
		{"later fragment", pass, frame(t, ethernet(ourMAC, type4), later, udp(53), query)},
		{"extension header", pass, frame(t, ethernet(ourMAC, type6), ipv6(shared6, layers.IPProtocolIPv6Destination), gopacket.Payload(append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, frame(t, udp(53), query)...)))},
		{"tagged", pass, frame(t, ethernet(ourMAC, layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 5, Type: type4}, ipv4(shared4, layers.IPProtocolUDP), udp(53), query)},
		{"echo, the kernel's", pass, frame(t, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolICMPv4), echo4())},
		{"echo, ours", redirect, frame(t, ethernet(ourMAC, type4), ipv4(sole4, layers.IPProtocolICMPv4), echo4())},
		{"unreachable", pass, frame(t, ethernet(ourMAC, type4), ipv4(sole4, layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)})},
		{"echo over IPv6, the kernel's", pass, frame(t, ethernet(ourMAC, type6), ipv6(shared6, layers.IPProtocolICMPv6), icmp6(128), make(gopacket.Payload, 4))},
		{"echo over IPv6, ours", redirect, frame(t, ethernet(ourMAC, type6), ipv6(sole6, layers.IPProtocolICMPv6), icmp6(128), make(gopacket.Payload, 4))},
		{"ARP, the kernel's", pass, frame(t, ethernet(broadcast, typeARP), arp(layers.ARPRequest, shared4))},
		{"ARP, ours", redirect, frame(t, ethernet(broadcast, typeARP), arp(layers.ARPRequest, sole4))},
		{"ARP of another", pass, frame(t, ethernet(broadcast, typeARP), arp(layers.ARPRequest, netip.MustParseAddr("10.0.0.2")))},
		{"ARP's reply", pass, frame(t, ethernet(ourMAC, typeARP), arp(layers.ARPReply, sole4))},
		{"solicitation, the kernel's", pass, frame(t, ethernet(group, type6), ipv6(netip.MustParseAddr("ff02::1:ff00:53"), layers.IPProtocolICMPv6), icmp6(135), solicit(shared6))},
		{"solicitation, ours", redirect, frame(t, ethernet(group, type6), ipv6(netip.MustParseAddr("ff02::1:ff00:54"), layers.IPProtocolICMPv6), icmp6(135), solicit(sole6))},
		{"advertisement", pass, frame(t, ethernet(ourMAC, type6), ipv6(sole6, layers.IPProtocolICMPv6), icmp6(136), solicit(sole6))},
	} {
		if got := to(t, c, c4.of); got != c4.want {
			t.Errorf("%s: %d, want %d", c4.name, got, c4.want)
		}
	}
}

// The port is data, and until it is there nothing is taken; so is a queue without a
// socket.
func TestSettings(t *testing.T) {
	c := newProgram(t, 5300)
	ask := func(port uint16) uint32 {
		return to(t, c, frame(t, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolUDP), udp(port), gopacket.Payload("a query")))
	}
	if a, b := ask(5300), ask(53); a != redirect || b != pass {
		t.Errorf("%d and %d", a, b)
	}
	if err := c.Maps["xsks_map"].Delete(uint32(0)); err != nil {
		t.Fatal(err)
	}
	if got := ask(5300); got != pass {
		t.Errorf("without a socket: %d", got)
	}
	empty, err := load()
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if got := to(t, empty, frame(t, ethernet(make(net.HardwareAddr, 6), type4), ipv4(netip.IPv4Unspecified(), layers.IPProtocolUDP), udp(0), gopacket.Payload("no query"))); got != pass {
		t.Errorf("without settings: %d", got)
	}
}

// expected is what steer.c does, said once more.
func expected(b []byte) uint32 {
	be := binary.BigEndian
	own := len(b) >= 14 && bytes.Equal(b[:6], ourMAC)
	is := func(b []byte, all ...netip.Addr) bool {
		a, _ := netip.AddrFromSlice(b)
		return slices.Contains(all, a)
	}
	taken := false
	switch kind := be.Uint16(b[12:]); {
	case kind == 0x0806 && len(b) >= 42:
		taken = be.Uint16(b[20:]) == 1 && is(b[38:42], sole4)
	case kind == 0x0800 && own && len(b) >= 34 && b[14] == 0x45 && be.Uint16(b[20:])&0x3fff == 0:
		taken = b[23] == 17 && len(b) >= 42 && be.Uint16(b[36:]) == 53 && is(b[30:34], shared4, sole4) ||
			b[23] == 1 && len(b) >= 42 && b[34] == 8 && is(b[30:34], sole4)
	case kind == 0x86dd && len(b) >= 62:
		taken = own && b[20] == 17 && be.Uint16(b[56:]) == 53 && is(b[38:54], shared6, sole6) ||
			own && b[20] == 58 && b[54] == 128 && is(b[38:54], sole6) ||
			b[20] == 58 && len(b) >= 78 && b[54] == 135 && is(b[62:78], sole6)
	}
	if taken {
		return redirect
	}
	return pass
}

// FuzzSteer: whatever comes, the program does what it should.
func FuzzSteer(f *testing.F) {
	f.Add(frame(f, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolUDP), udp(53), gopacket.Payload("a query")))
	f.Add(frame(f, ethernet(ourMAC, type6), ipv6(sole6, layers.IPProtocolUDP), udp(53), gopacket.Payload("a query")))
	f.Add(frame(f, ethernet(ourMAC, type6), ipv6(sole6, layers.IPProtocolICMPv6), icmp6(135), append(make(gopacket.Payload, 4), sole6.AsSlice()...)))
	f.Add(frame(f, ethernet(ourMAC, typeARP), arp(layers.ARPRequest, sole4)))
	c := newProgram(f, 53)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 14 || len(b) > 1500 {
			return // the kernel tries no other frames
		}
		if got, want := to(t, c, b), expected(b); got != want {
			t.Errorf("%x: %d, want %d", b, got, want)
		}
	})
}

// madeBy is the clang whose code steer.o is; another's may differ.
const madeBy = "clang version 14."

// TestObject: steer.o is what clang makes of steer.c.
func TestObject(t *testing.T) {
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Skip("needs clang 14, to compile steer.c again")
	}
	if !strings.Contains(string(version), madeBy) {
		t.Skipf("needs clang 14, to compile steer.c again; this is %s", strings.SplitN(string(version), "\n", 2)[0])
	}
	if _, err := exec.LookPath("llvm-strip"); err != nil {
		t.Skip("needs llvm-strip, to compile steer.c again")
	}
	dir := t.TempDir()
	for _, name := range []string{"steer.c", "doc.go"} {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	generate := exec.Command("go", "generate", "doc.go")
	generate.Dir = dir
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	again, err := os.ReadFile(filepath.Join(dir, "steer.o"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, object) {
		t.Error(errors.New("steer.o is not made of this steer.c: go generate"), fmt.Sprintf("%d and %d octets", len(again), len(object)))
	}
}
