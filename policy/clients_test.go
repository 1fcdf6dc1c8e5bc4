package policy

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

func TestClients(t *testing.T) {
	deny := Config{Deny: []string{"10.1.0.0/16", "10.255.255.255", "2001:db8:1::/48"}}
	drop := Config{Deny: deny.Deny, DenyAnswer: "drop"}
	allow := Env{Allow: []string{"10.0.0.0/8", "10.1.2.0/24", "2001:db8::/32", "::1"}}
	for _, c := range []struct {
		rules  string
		c      Config
		env    Env
		client string
		want   Action
	}{
		{"none", Config{}, Env{}, "203.0.113.1", Pass},
		{"none", Config{}, Env{}, "2001:db8::1", Pass},
		{"default", Config{}, Env{Private: true}, "127.0.0.1", Pass},
		{"default", Config{}, Env{Private: true}, "::1", Pass},
		{"default", Config{}, Env{Private: true}, "172.31.255.255", Pass},
		{"default", Config{}, Env{Private: true}, "172.32.0.0", Refuse},
		{"default", Config{}, Env{Private: true}, "203.0.113.1", Refuse},
		{"default", Config{}, Env{Private: true}, "2001:db8::1", Refuse},
		{"default", Config{}, Env{Private: true}, "::2", Refuse},
		{"default", Config{}, Env{Private: true}, "::ffff:192.168.1.1", Pass},
		{"default", Config{}, Env{Private: true}, "::ffff:8.8.8.8", Refuse},
		{"default", Config{}, Env{Private: true}, "fe80::1%eth0", Pass},
		{"default and deny", Config{Deny: []string{"10.0.0.0/8"}}, Env{Private: true}, "10.0.0.1", Refuse},
		{"default and deny", Config{Deny: []string{"10.0.0.0/8"}}, Env{Private: true}, "127.0.0.1", Pass},
		{"allow", Config{}, allow, "127.0.0.1", Refuse},
		{"allow", Config{}, allow, "10.255.255.255", Pass},
		{"allow", Config{}, allow, "11.0.0.0", Refuse},
		{"allow", Config{}, allow, "9.255.255.255", Refuse},
		{"deny", deny, Env{}, "10.0.255.255", Pass},
		{"deny", deny, Env{}, "10.1.0.0", Refuse},
		{"deny", deny, Env{}, "10.1.255.255", Refuse},
		{"deny", deny, Env{}, "10.2.0.0", Pass},
		{"deny", deny, Env{}, "2001:db8:1:ffff::", Refuse},
		{"deny", deny, Env{}, "2001:db8:2::", Pass},
		{"both", deny, allow, "10.1.1.255", Refuse},
		{"both", deny, allow, "10.1.2.0", Pass},
		{"both", deny, allow, "10.1.2.255", Pass},
		{"both", deny, allow, "10.1.3.0", Refuse},
		{"both", deny, allow, "10.255.255.254", Pass},
		{"both", deny, allow, "10.255.255.255", Refuse},
		{"both", deny, allow, "2001:db8:1::1", Refuse},
		{"both", deny, allow, "2001:db8::1", Pass},
		{"drop", drop, allow, "10.1.1.1", Drop},
		{"drop", drop, allow, "203.0.113.1", Drop},
		{"everything", Config{}, Env{Allow: []string{"0.0.0.0/0", "::/0"}}, "255.255.255.255", Pass},
		{"everything", Config{}, Env{Allow: []string{"0.0.0.0/0", "::/0"}}, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Pass},
		{"IPv6 only", Config{}, Env{Allow: []string{"::/0"}}, "10.0.0.1", Refuse},
	} {
		t.Run(c.rules+" "+c.client, func(t *testing.T) {
			p := compile(t, c.c, c.env)
			v, m := ask(t, p, "x.test", "A", netip.MustParseAddr(c.client))
			if v.Action != c.want {
				t.Errorf("got %v, want %v", v.Action, c.want)
			}
			if c.want == Refuse && (m == nil || m.Rcode != wire.RcodeRefused) {
				t.Errorf("reply %v", m)
			}
			if c.want == Drop && m != nil {
				t.Errorf("a reply to a dropped query: %v", m)
			}
		})
	}
}

// No address: not a client that a list could hold.
func TestClientWithoutAddress(t *testing.T) {
	p := compile(t, Config{}, Env{Private: true})
	if v, _ := ask(t, p, "x.test", "A", netip.Addr{}); v.Action != Refuse {
		t.Errorf("got %v", v.Action)
	}
}

// The ranges say what a look at each prefix would.
func TestPrefixMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			b := [4]byte{10, 0, rapid.SampledFrom([]byte{0, 1, 128, 255}).Draw(t, "third"), rapid.Byte().Draw(t, "fourth")}
			if rapid.Bool().Draw(t, "six") {
				return netip.AddrFrom16([16]byte{0: 0x20, 7: b[2], 8: b[3], 15: b[2]})
			}
			return netip.AddrFrom4(b)
		})
		var all []prefixValue
		seen := map[netip.Prefix]bool{}
		for i := range rapid.IntRange(0, 12).Draw(t, "prefixes") {
			a := addr.Draw(t, "address")
			p, _ := a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
			if !seen[p] {
				all = append(all, prefixValue{p, int32(i + 1)})
			}
			seen[p] = true
		}
		m := newPrefixMap(all)
		for range 20 {
			a := addr.Draw(t, "client")
			want, longest := int32(0), -1
			for _, p := range all {
				if p.prefix.Contains(a) && p.prefix.Bits() > longest {
					want, longest = p.value, p.prefix.Bits()
				}
			}
			if got := m.find(a); got != want {
				t.Fatalf("%v: got %d, want %d of %v", a, got, want, all)
			}
		}
	})
}
