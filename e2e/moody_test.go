package e2e

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
)

// A temper is how a stand-in resolver answers.
type temper int32

const (
	helpful  temper = iota // hands questions to the world and answers back
	servfail               // SERVFAIL for everything
	refused                // REFUSED for everything
	silent                 // nothing
	outdated               // what it has answered before, and SERVFAIL for the rest
)

func (m temper) String() string {
	return [...]string{"helpful", "answering SERVFAIL", "answering REFUSED", "silent", "answering from memory only"}[m]
}

// A moody is a fake: it stands for an external resolver, and fails as told.
type moody struct {
	host   *hosts.Host
	temper atomic.Int32

	mu     sync.Mutex
	memory map[dns.Question]*dns.Msg
}

// newMoody has a host answer at port 5301, over UDP and TCP.
func newMoody(t *testing.T, h *hosts.Host) *moody {
	t.Helper()
	m := &moody{host: h, memory: map[dns.Question]*dns.Msg{}}
	packets, err := h.ListenPacket("udp", "0.0.0.0:5301")
	must(t, err)
	listener, err := h.Listen("tcp", "0.0.0.0:5301")
	must(t, err)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: m}, {Listener: listener, Handler: m}} {
		go func() { _ = server.ActivateAndServe() }()
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return m
}

// ServeDNS implements dns.Handler.
func (m *moody) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg)
	switch temper(m.temper.Load()) {
	case servfail:
		reply.SetRcode(q, dns.RcodeServerFailure)
	case refused:
		reply.SetRcode(q, dns.RcodeRefused)
	case silent:
		return
	case outdated:
		if reply = m.remembered(q); reply == nil {
			reply = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
	default:
		if reply = m.forward(q); reply == nil {
			return
		}
	}
	reply.RecursionAvailable = true
	_ = w.WriteMsg(reply)
}

func (m *moody) forward(q *dns.Msg) *dns.Msg {
	conn, err := m.host.Dial("udp", net.JoinHostPort("10.9.0.53", "53"), time.Second)
	if err != nil {
		return nil
	}
	defer conn.Close()
	client := dns.Client{Timeout: time.Second}
	reply, _, err := client.ExchangeWithConn(q, &dns.Conn{Conn: conn})
	if err != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.memory[q.Question[0]] = reply.Copy()
	return reply
}

func (m *moody) remembered(q *dns.Msg) *dns.Msg {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.memory[q.Question[0]]
	if known == nil {
		return nil
	}
	reply := known.Copy()
	reply.Id = q.Id
	for _, rr := range reply.Answer {
		rr.Header().Ttl = 30 // RFC 8767 §4
	}
	return reply
}
