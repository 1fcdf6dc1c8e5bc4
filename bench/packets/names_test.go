package packets

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestReadNames(t *testing.T) {
	n, err := ReadNames(strings.NewReader("# dnsperf's format\nwww.example.org A\n\n  mail.example.org.  MX\na.b\nc.d TYPE65280\n. NS\nx.y\n"), []uint16{1, 28})
	if err != nil {
		t.Fatal(err)
	}
	// Those without a type take A and AAAA in turn, by where they stand.
	want := []string{"www.example.org. A", "mail.example.org. MX", "a.b. A", "c.d. TYPE65280", ". NS", "x.y. AAAA"}
	if n.Len() != len(want) {
		t.Fatalf("%d names", n.Len())
	}
	for i, w := range want {
		m := new(dns.Msg)
		if err := m.Unpack(append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, n.At(i)...)); err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		q := m.Question[0]
		if got := q.Name + " " + dns.Type(q.Qtype).String(); got != w || q.Qclass != dns.ClassINET {
			t.Errorf("%d: %s, want %s", i, got, w)
		}
	}
	for _, text := range []string{"", "# nothing\n", "a..b A", strings.Repeat("a", 64) + ".org", strings.Repeat("abcdefg.", 40) + "org", "a.b NOSUCH", "a.b TYPE65536"} {
		if _, err := ReadNames(strings.NewReader(text), []uint16{1}); err == nil {
			t.Errorf("%.20q: no error", text)
		}
	}
	for _, pattern := range []string{"host.example.org", ".%d"} {
		if _, err := NumberNames(pattern, 0, 2, []uint16{1}); err == nil {
			t.Errorf("%s: no error", pattern)
		}
	}
}

// What is read of lines are questions that a parser which is not ours can read.
func FuzzReadNames(f *testing.F) {
	f.Add("www.example.org A\n")
	f.Add(". NS\n\n#\na.b TYPE1\n")
	f.Add(strings.Repeat("a.", 126) + "b\n")
	f.Add("a..b\n")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ReadNames(strings.NewReader(text), []uint16{1, 28})
		if err != nil {
			return
		}
		for i := range n.Len() {
			m := new(dns.Msg)
			if err := m.Unpack(append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, n.At(i)...)); err != nil {
				t.Fatalf("question %d, %x: %v", i, n.At(i), err)
			}
		}
	})
}

// Any frame may come; only replies to the sequence are read.
func FuzzRead(f *testing.F) {
	names, err := NumberNames("host-%d.example.org", 0, 4, []uint16{1})
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewSequence(way, Mix{Names: names, Length: 4, Seed: 1})
	if err != nil {
		f.Fatal(err)
	}
	b := append([]byte(nil), s.Next()...)
	s.Stamp(b, 5*64+5)
	f.Add(append([]byte(nil), b...))
	b[atDNS+2] |= 0x80
	copy(b[atUDP:], []byte{0, 53, 0x4e, 0x25})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := s.Read(b); ok && (len(b) < atDNS+header || b[atDNS+2]&0x80 == 0 || int(r.Number)/64 != int(b[atDNS])<<8|int(b[atDNS+1])) {
			t.Fatalf("%x is %+v", b, r)
		}
	})
}
