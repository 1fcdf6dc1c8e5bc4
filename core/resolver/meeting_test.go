package resolver

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestMeeting has a server ask what it is asked itself: as another process of ours in a
// circle, which knows its own stamp, it is refused at once, and as a program on the
// server's host it gets the answer that all wait for.
func TestMeeting(t *testing.T) {
	for _, circle := range []bool{true, false} {
		var asked atomic.Int32
		release := make(chan struct{})
		other := wire.NewStamp()
		up := serveBy(t, func(q *dns.Msg) *dns.Msg {
			asked.Add(1)
			if circle && other.In(trailOf(q)) {
				m := new(dns.Msg).SetRcode(q, dns.RcodeRefused)
				m.SetEdns0(1232, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: wire.EDEOther, ExtraText: loopText}}
				return m
			}
			<-release
			return nil
		}, "example. 60 SOA . . 1 1 1 1 60", "www.example. 60 A 192.0.2.1")
		s := play(t, plot{rest: up})
		first, _ := s.send(pack(t, new(dns.Msg).SetQuestion("www.example.", dns.TypeA)), "192.0.2.7", false)
		deadline := time.Now().Add(patience)
		for asked.Load() == 0 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		query := withTrail(t, "www.example.", other[:])
		stranger, _ := s.send(query, "192.0.2.8", false)
		server, _ := s.send(query, "127.0.0.1", false)
		if !circle {
			for asked.Load() < 2 && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			close(release)
		}
		var m dns.Msg
		if err := m.Unpack(s.reply(server)); err != nil {
			t.Fatal(err)
		}
		if circle && (m.Rcode != dns.RcodeRefused || ede(&m) != int(wire.EDEOther) || !strings.Contains(m.String(), loopText)) {
			t.Errorf("in a circle: %v", &m)
		}
		if !circle && (m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1) {
			t.Errorf("a program of the server's host: %v", &m)
		}
		if circle {
			close(release)
		}
		s.reply(first) // whatever it is
		s.reply(stranger)
		for s.circles.meetings.Load() > 0 {
			if time.Now().After(deadline) {
				t.Fatal("the meeting has no end")
			}
			time.Sleep(time.Millisecond)
		}
	}
}
