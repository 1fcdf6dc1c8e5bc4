package nasty

import (
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// What answers say.
const (
	Good = "192.0.2.1"  // an honest answer's address
	Evil = "192.0.2.66" // a forged one's: nobody may ever be given it
)

// A Query is one query that came.
type Query struct {
	*Server
	Wire []byte
	Msg  dns.Msg
	From netip.AddrPort // whom it came from over UDP
	Conn net.Conn       // that it came over; nil over UDP
	Time int            // how many there were with the same second label by the same transport, this one included
}

// Stream reports whether the query came over TCP.
func (q *Query) Stream() bool { return q.Conn != nil }

// Honest answers as a good server does.
func (q *Query) Honest() { q.Send(q.Reply(Good, nil)) }

// Reply makes a reply of one address to the query, changed by change where there is one.
func (q *Query) Reply(address string, change func(*dns.Msg)) []byte {
	m := new(dns.Msg).SetReply(&q.Msg)
	if q.Msg.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	m.RecursionAvailable = true
	m.Answer = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Msg.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
		A:   net.ParseIP(address),
	}}
	if change != nil {
		change(m)
	}
	msg, err := m.Pack()
	if err != nil {
		panic(err) // a mistake of the test's
	}
	return msg
}

// Send sends a message the way the query came.
func (q *Query) Send(msg []byte) {
	if q.Conn != nil {
		_, _ = (&dns.Conn{Conn: q.Conn}).Write(msg)
		return
	}
	_, _ = q.udp.WriteToUDPAddrPort(msg, q.From)
}

// SendFrom sends a datagram from another address, or, where that is the server's own,
// from another port.
func (q *Query) SendFrom(host string, msg []byte) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.WriteToUDPAddrPort(msg, q.From)
}
