package upstream

import (
	"bytes"
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// FuzzJudge throws replies at a question: nothing is believed whose question
// differs, in the eyes of an independent parser too.
func FuzzJudge(f *testing.F) {
	q := subnetQuestion()
	var asked flight
	asked.fill(q)
	query := asked.appendQuery(nil, 1, 0, true)
	good := reply(query, "192.0.2.1", nil)
	f.Add(good, uint64(0), true, false)
	f.Add(good[:12], uint64(0), true, false)
	f.Add(query, uint64(0), true, false)
	f.Add(reply(asked.appendQuery(nil, 1, 1<<63|5, true), "192.0.2.1", nil), uint64(1<<63|5), true, true)
	f.Add(reply(query, "192.0.2.1", func(m *dns.Msg) { m.Rcode = dns.RcodeFormatError }), uint64(0), false, false)
	f.Add(withSubnet("192.0.2.1", askedSubnet)(query), uint64(0), true, false)
	f.Add(withSubnet("192.0.2.1", wrongSubnets["another bit"])(query), uint64(0), false, false)
	f.Add([]byte{0, 1, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0}, uint64(0), true, false)
	f.Fuzz(func(t *testing.T, msg []byte, mix uint64, overUDP, cut bool) {
		before := bytes.Clone(msg)
		asked.mix = mix
		a := attempt{mixed: true, edns: true}
		if !overUDP {
			a.conn = new(conn)
		}
		v := asked.judge(&a, msg, cut)
		if !bytes.Equal(msg, before) {
			t.Fatal("judging changed it")
		}
		if !v.believed() || v == noEDNS || v == failing || v == bogus {
			return
		}
		var m dns.Msg
		if err := m.Unpack(msg[:min(len(msg), wire.HeaderLen+len(q.Name)+4)]); err == nil && len(m.Question) != 1 {
			t.Fatalf("believed with %d questions", len(m.Question))
		}
		name := bytes.Clone(msg[wire.HeaderLen:][:len(q.Name)])
		if overUDP && mix != 0 && !sameCase(name, q.Name, mix) {
			t.Fatal("believed in the wrong case")
		}
		if wire.Fold(name); !bytes.Equal(name, q.Name) || !msgIsReply(msg) {
			t.Fatalf("believed %x", msg)
		}
		if v <= useful && otherSubnetIn(msg) {
			t.Fatalf("believed about another subnet: %x", msg)
		}
	})
}

// otherSubnetIn has an independent parser look for a client subnet that was not asked with.
func otherSubnetIn(msg []byte) bool {
	var m dns.Msg
	if m.Unpack(msg) != nil || m.IsEdns0() == nil {
		return false
	}
	for _, o := range m.IsEdns0().Option {
		if s, ok := o.(*dns.EDNS0_SUBNET); ok {
			return s.Family != 1 || s.SourceNetmask != 19 || !s.Address.Mask(net.CIDRMask(19, 32)).Equal(net.IPv4(198, 51, 96, 0))
		}
	}
	return false
}

func msgIsReply(msg []byte) bool { return msg[2]&0xf8 == 0x80 }

func FuzzPorts(f *testing.F) {
	f.Add("32768 60999", "8080,9148-9150")
	f.Add("1 65535", "")
	f.Add("9 1", ",,-")
	f.Fuzz(func(t *testing.T, span, reserved string) {
		p, err := parsePorts(span, reserved)
		if err != nil {
			return
		}
		for _, lot := range []uint32{0, 1 << 31, ^uint32(0)} {
			if port := p.draw(lot); port != 0 && (port < p.low || port > p.high || p.reserved[port]) {
				t.Fatalf("drew %d of %d…%d", port, p.low, p.high)
			}
		}
	})
}
