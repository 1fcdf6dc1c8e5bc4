package upstream

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"
)

// FuzzAddresses holds the one look at plain answers to what the long way and an
// independent parser make of the same octets.
func FuzzAddresses(f *testing.F) {
	var a, aaaa flight
	a.fill(question("www.example.com"))
	six := *question("www.example.com")
	six.Type = dns.TypeAAAA
	aaaa.fill(&six)
	query := a.appendQuery(nil, 1, 0, true)
	good := reply(query, "192.0.2.1", func(m *dns.Msg) { m.Compress = true })
	if !a.addresses(good) {
		f.Fatalf("not seen to be plain: %x", good)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	for at := range good { // an octet that is another makes another message
		other := bytes.Clone(good)
		other[at] ^= 1
		f.Add(other)
	}
	f.Add(reply(query, "192.0.2.1", func(m *dns.Msg) { m.Compress, m.Answer = true, append(m.Answer, m.Answer...) }))
	f.Add(reply(query, "192.0.2.1", func(m *dns.Msg) { m.SetEdns0(1232, false); m.Compress = true }))
	f.Add(reply(query, "192.0.2.1", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetExtendedRcode(16 << 4) }))
	f.Add(reply(aaaa.appendQuery(nil, 1, 0, true), "192.0.2.1", nil))
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, asked := range []*flight{&a, &aaaa} {
			if !isReply(msg) || !asked.addresses(msg) {
				continue
			}
			if v := asked.examine(&attempt{edns: true}, msg, false); v != useful {
				t.Fatalf("the long way says %d of %x", v, msg)
			}
			var m dns.Msg
			if err := m.Unpack(msg); err != nil {
				t.Fatalf("%v: %x", err, msg)
			}
			for _, rr := range m.Answer {
				if rr.Header().Rrtype != asked.typ || rr.Header().Name != m.Question[0].Name {
					t.Fatalf("%s is no address of %s", rr, m.Question[0].Name)
				}
			}
			if m.Rcode != dns.RcodeSuccess || m.Truncated || len(m.Ns) != 0 || len(m.Answer) == 0 {
				t.Fatalf("not plain: %s", &m)
			}
		}
	})
}
