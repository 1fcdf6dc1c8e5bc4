package packets

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
)

var way = Way{
	FromMAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, ToMAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x53},
	From: netip.MustParseAddr("10.0.0.9"), To: netip.MustParseAddr("10.0.0.53"), Port: 53, Source: 20_000, Sources: 64,
}

// testMix is 100 names that there are, 100 that there are not, a quarter of the queries for those.
func testMix(t *testing.T) Mix {
	t.Helper()
	names, err := NumberNames("host-%d.example.org", 0, 100, []uint16{1, 28})
	if err != nil {
		t.Fatal(err)
	}
	absent, err := NumberNames("host-%d.example.org", 100, 100, []uint16{1})
	if err != nil {
		t.Fatal(err)
	}
	return Mix{Names: names, Absent: absent, Share: 0.25, Length: 8000, Seed: 1}
}

// A host of ours takes every frame for a query, with its checksums, and a parser that is
// not ours reads what is asked.
func TestFrames(t *testing.T) {
	s, err := NewSequence(way, testMix(t))
	if err != nil {
		t.Fatal(err)
	}
	host, err := frame.NewHost(way.ToMAC, []netip.Prefix{netip.PrefixFrom(way.To, 24)}, 53)
	if err != nil {
		t.Fatal(err)
	}
	absent, kinds := 0, map[uint16]int{}
	for n := range s.Len() {
		b := make([]byte, 0, 512)
		b = append(b, s.Next()...)
		stamp := uint32(n * 521)
		s.Stamp(b, stamp)
		var f frame.Frame
		if v := host.Decode(b, &f); v != frame.Query {
			t.Fatalf("frame %d is %v", n, v)
		}
		if want := netip.AddrPortFrom(way.From, way.Source+uint16(stamp%64)); f.Client != want {
			t.Fatalf("frame %d is from %s, want %s", n, f.Client, want)
		}
		if b[atUDP+6]|b[atUDP+7] == 0 {
			t.Fatalf("frame %d has no checksum", n)
		}
		m := new(dns.Msg)
		if err := m.Unpack(b[f.Payload:f.End]); err != nil || m.Id != uint16(stamp/64) || len(m.Question) != 1 || m.Response {
			t.Fatalf("frame %d: %v, %v", n, m, err)
		}
		q := m.Question[0]
		kinds[q.Qtype]++
		var number int
		if rest, ok := strings.CutPrefix(q.Name, "host-"); !ok || !strings.HasSuffix(rest, ".example.org.") {
			t.Fatalf("frame %d asks for %s", n, q.Name)
		} else if number = atoi(t, strings.TrimSuffix(rest, ".example.org.")); number >= 200 {
			t.Fatalf("frame %d asks for %s", n, q.Name)
		}
		if number >= 100 {
			absent++
		}
		reply(t, s, b, &f, stamp, m)
	}
	if absent < 1750 || absent > 2250 { // 6 standard deviations of 39
		t.Errorf("%d of 8000 are absent, want a quarter", absent)
	}
	if kinds[1] < 4500 || kinds[28] < 2500 || kinds[1]+kinds[28] != 8000 {
		t.Errorf("types %v", kinds)
	}
}

func atoi(t *testing.T, text string) (n int) {
	t.Helper()
	for _, d := range text {
		if d < '0' || d > '9' {
			t.Fatalf("%q is no number", text)
		}
		n = 10*n + int(d-'0')
	}
	return n
}

// reply turns the frame as a plane does, and has the sequence read that.
func reply(t *testing.T, s *Sequence, b []byte, f *frame.Frame, number uint32, m *dns.Msg) {
	t.Helper()
	if _, ok := s.Read(b); ok {
		t.Fatal("a query was taken for a reply")
	}
	m.SetRcode(m.Copy(), dns.RcodeNameError)
	out, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var to plane.Return
	f.Save(b, &to)
	back := make([]byte, 512)
	back = back[:frame.Restore(&to, out, back)]
	r, ok := s.Read(back)
	if !ok || r.Number != number || r.RCode != dns.RcodeNameError || r.Answers {
		t.Fatalf("%+v, %v", r, ok)
	}
	for n := range back[:atDNS+header] {
		s.Read(back[:n]) // short ones are no reply, and no panic
	}
	back[atUDP+2] ^= 1
	if _, ok := s.Read(back); ok {
		t.Fatal("a reply to another port was read")
	}
}

// After the last frame comes the first, and the same seed asks the same.
func TestSequenceAgain(t *testing.T) {
	a, err := NewSequence(way, testMix(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewSequence(way, testMix(t))
	if err != nil {
		t.Fatal(err)
	}
	first := string(a.Next())
	if first != string(b.Next()) {
		t.Error("another first frame with the same seed")
	}
	for range a.Len() - 1 {
		a.Next()
	}
	if string(a.Next()) != first {
		t.Error("after the last frame another comes than the first")
	}
	buffer := make([]byte, 2048)
	if n := testing.AllocsPerRun(100, func() {
		f := buffer[:copy(buffer, a.Next())]
		a.Stamp(f, 77)
		a.Read(f)
	}); n != 0 {
		t.Errorf("a query allocates %g times", n)
	}
}

func TestNoSequence(t *testing.T) {
	good := testMix(t)
	for name, change := range map[string]func(*Way, *Mix){
		"no length":      func(_ *Way, m *Mix) { m.Length = 0 },
		"a share of 2":   func(_ *Way, m *Mix) { m.Share = 2 },
		"nothing absent": func(_ *Way, m *Mix) { m.Absent = nil },
		"IPv6":           func(w *Way, _ *Mix) { w.To = netip.MustParseAddr("fd53::53") },
		"no source":      func(w *Way, _ *Mix) { w.Sources = 0 },
		"a port too far": func(w *Way, _ *Mix) { w.Sources = 60_000 },
		"no address":     func(w *Way, _ *Mix) { w.ToMAC = nil },
	} {
		w, m := way, good
		change(&w, &m)
		if _, err := NewSequence(w, m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	names, err := NumberNames("host-%d.bench.example", 0, 2_000_000, []uint16{1})
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewSequence(way, Mix{Names: names, Length: 4_000_000, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, 2048)
	b.ReportAllocs()
	number := uint32(0)
	for b.Loop() {
		f := buffer[:copy(buffer, s.Next())]
		s.Stamp(f, number)
		number++
	}
}
