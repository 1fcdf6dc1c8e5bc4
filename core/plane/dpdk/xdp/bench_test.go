package xdp

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// BenchmarkSteer is what the program costs a frame, in the kernel, without the way to it and
// from it.
func BenchmarkSteer(b *testing.B) {
	c := newProgram(b, 53)
	tcp := &layers.TCP{SrcPort: 4242, DstPort: 53, SYN: true}
	for name, data := range map[string][]byte{
		"query":  frame(b, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolUDP), udp(53), gopacket.Payload("a query")),
		"query6": frame(b, ethernet(ourMAC, type6), ipv6(shared6, layers.IPProtocolUDP), udp(53), gopacket.Payload("a query")),
		"tcp":    frame(b, ethernet(ourMAC, type4), ipv4(shared4, layers.IPProtocolTCP), tcp),
	} {
		b.Run(name, func(b *testing.B) {
			// One call tries it many times.
			if _, err := c.Programs[programName].Run(&ebpf.RunOptions{Data: data, Repeat: uint32(b.N)}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
