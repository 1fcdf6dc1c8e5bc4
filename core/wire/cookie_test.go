package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func secretOf(t testing.TB, s string) CookieSecret { return CookieSecret(unhex(t, s)) }

// withCookie parses a query that has a cookie, in an array with room for a reply.
func withCookie(t testing.TB, q *Query, cookie []byte) []byte {
	t.Helper()
	name := []byte("\x07example\x03com\x00")
	packet := AppendQuery(make([]byte, 0, 2048), 7, FlagRD, name, TypeA, ClassIN, &EDNS{UDPSize: 1232, Options: AppendOption(nil, OptionCookie, cookie)})
	if o := q.Parse(packet); o != Valid {
		t.Fatal(o)
	}
	return packet
}

// replyCookie is the cookie of the empty reply to a query.
func replyCookie(t testing.TB, q *Query, packet []byte) []byte {
	t.Helper()
	var r Reply
	r.Begin(packet, q, 512)
	r.SetEDE(EDEOther, "text")
	return optOf(t, r.Finish())[OptionCookie]
}

// optOf reads a message's OPT record with the package's own reader.
func optOf(t testing.TB, m []byte) map[uint16][]byte {
	t.Helper()
	r, ok := NewReader(m)
	if !ok {
		t.Fatalf("not a message: %x", m)
	}
	options := map[uint16][]byte{}
	var rec Record
	for r.Next(&rec) {
		if rec.Type == TypeOPT {
			if !validOptions(m[rec.Data:rec.End]) || rec.End != len(m) {
				t.Fatalf("options %x", m[rec.Data:rec.End])
			}
			q := Query{Options: m[rec.Data:rec.End]}
			for _, code := range []uint16{OptionCookie, OptionPadding, optionEDE} {
				if data := q.Option(code); data != nil {
					options[code] = data
				}
			}
		}
	}
	if r.Bad() {
		t.Fatalf("not whole: %x", m)
	}
	return options
}

// The test vectors of RFC 9018, appendix A.
func TestCookieVectors(t *testing.T) {
	const secret = "e5e973e5a6b2a43f48e7dc849e37bfcf"
	for _, v := range []struct {
		name, secret, previous, client, got string
		now                                 uint32
		state                               CookieState
		want                                string
	}{
		{"A.1 learning a new cookie", secret, "", "198.51.100.100", "2464c4abcf10c957", 1559731985,
			BareCookie, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"A.2 the same client, renewed", secret, "", "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385,
			ProvenCookie, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		{"A.3 another client, too old", secret, "", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700,
			BareCookie, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"A.3 in its time, reserved bits hashed as they came", secret, "", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559728000,
			ProvenCookie, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
		{"A.4 IPv6, by the secret before", "445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715", "2001:db8:220:1:59de:d0f4:8769:82b8",
			"22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961,
			ProvenCookie, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
	} {
		t.Run(v.name, func(t *testing.T) {
			c := NewCookies(secretOf(t, v.secret))
			if v.previous != "" {
				c = NewCookies(secretOf(t, v.secret), secretOf(t, v.previous))
			}
			var q Query
			packet := withCookie(t, &q, unhex(t, v.got))
			if state := c.Check(&q, netip.MustParseAddr(v.client), v.now); state != v.state {
				t.Errorf("state %s, want %s", state, v.state)
			}
			if got := hex.EncodeToString(replyCookie(t, &q, packet)); got != v.want {
				t.Errorf("cookie %s\n  want %s", got, v.want)
			}
		})
	}
}

func TestCookieChecks(t *testing.T) {
	client, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	c := NewCookies(CookieSecret{1})
	made := uint32(0xffffff00) // the clock wraps within the cookie's life
	var q Query
	packet := withCookie(t, &q, []byte("01234567"))
	c.Check(&q, client, made)
	good := bytes.Clone(replyCookie(t, &q, packet))
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	for _, v := range []struct {
		name   string
		cookie []byte
		client netip.Addr
		now    uint32
		want   CookieState
		fresh  bool // the reply has another
	}{
		{"as it was given", good, client, made, ProvenCookie, false},
		{"from a mapped address", good, netip.MustParseAddr("::ffff:192.0.2.1"), made, ProvenCookie, false},
		{"half an hour old", good, client, made + 1800, ProvenCookie, false},
		{"older", good, client, made + 1801, ProvenCookie, true},
		{"an hour old", good, client, made + 3600, ProvenCookie, true},
		{"too old", good, client, made + 3601, BareCookie, true},
		{"from a clock ahead", good, client, made - 300, ProvenCookie, false},
		{"from the future", good, client, made - 301, BareCookie, true},
		{"another client's", good, other, made, BareCookie, true},
		{"another client cookie", flip(0), client, made, BareCookie, true},
		{"another version", flip(8), client, made, BareCookie, true},
		{"another time", flip(15), client, made, BareCookie, true},
		{"another hash", flip(23), client, made, BareCookie, true},
		{"another server's, longer", append(bytes.Clone(good), 1, 2), client, made, BareCookie, true},
		{"the longest", make([]byte, 40), client, made, BareCookie, true},
		{"the shortest with a server's", good[:16], client, made, BareCookie, true},
		{"too long", make([]byte, 41), client, made, BadCookie, false},
		{"empty", []byte{}, client, made, BadCookie, false},
		{"too short", good[:7], client, made, BadCookie, false},
		{"half a server's", good[:15], client, made, BadCookie, false},
	} {
		t.Run(v.name, func(t *testing.T) {
			packet := withCookie(t, &q, v.cookie)
			if got := c.Check(&q, v.client, v.now); got != v.want {
				t.Errorf("%s, want %s", got, v.want)
			}
			back := replyCookie(t, &q, packet)
			switch {
			case v.want == BadCookie:
				if back != nil {
					t.Errorf("a malformed cookie is answered with %x", back)
				}
			case len(back) != 24 || !bytes.Equal(back[:8], v.cookie[:8]):
				t.Errorf("the reply has cookie %x", back)
			case bytes.Equal(back, v.cookie) == v.fresh:
				t.Errorf("a fresh cookie: %v, want %v", !v.fresh, v.fresh)
			}
		})
	}
	if q.Parse(AppendQuery(packet[:0], 1, 0, []byte{0}, TypeNS, ClassIN, &EDNS{UDPSize: 512})); c.Check(&q, client, made) != NoCookie {
		t.Error("a query without a cookie has one")
	}
	if back := replyCookie(t, &q, packet); back != nil {
		t.Errorf("a reply to a query without a cookie has %x", back)
	}
}

// Options of a reply count against its limit, and padding fills blocks.
func TestExtrasRoom(t *testing.T) {
	c := NewCookies(CookieSecret{1})
	rr := append([]byte{0, 16, 0, 1, 0, 0, 0, 1, 0, 50, 49}, make([]byte, 49)...)
	for limit := 512; limit < 600; limit++ {
		var q Query
		packet := withCookie(t, &q, []byte("01234567"))
		c.Check(&q, netip.MustParseAddr("192.0.2.1"), 1)
		var r Reply
		r.Begin(packet, &q, limit)
		for r.Put(Answer, HeaderLen, rr) {
		}
		r.SetEDE(EDEOther, "")
		m := r.Finish()
		if len(m) > limit || len(m) < limit-len(rr)-2-6 {
			t.Fatalf("%d octets of %d", len(m), limit)
		}
		optOf(t, m)
	}
	for n := range 20 {
		var q Query
		packet := withCookie(t, &q, []byte("01234567"))
		c.Check(&q, netip.MustParseAddr("192.0.2.1"), 1)
		q.Extras.Pad()
		var r Reply
		r.Begin(packet, &q, MaxMessage)
		for range n {
			r.Put(Answer, HeaderLen, rr)
		}
		m := r.Finish()
		options := optOf(t, m)
		if len(m)%padBlock != 0 || options[OptionPadding] == nil || len(options[OptionCookie]) != 24 {
			t.Fatalf("%d records: %d octets, padding of %d", n, len(m), len(options[OptionPadding]))
		}
		for _, b := range options[OptionPadding] {
			if b != 0 {
				t.Fatalf("padding %x", options[OptionPadding])
			}
		}
	}
	for room := 100; room < 200; room++ { // less than a block
		var q Query
		packet := withCookie(t, &q, []byte("01234567"))
		q.Extras.Pad()
		var r Reply
		r.Begin(packet[:len(packet):room], &q, MaxMessage)
		if m := r.Finish(); len(m) != room {
			t.Fatalf("%d octets with room for %d", len(m), room)
		}
	}
}

func TestCookieAllocs(t *testing.T) {
	c := NewCookies(CookieSecret{1}, CookieSecret{2})
	var q Query
	packet := withCookie(t, &q, make([]byte, 24))
	client := netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() {
		q.Parse(packet)
		c.Check(&q, client, 7)
		var r Reply
		r.Begin(packet[:len(packet):2048], &q, 1232)
		q.Extras.put(packet[:2048], 1000)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCookie is what a cookie adds to a query: one that is good is checked,
// another is made anew as well.
func BenchmarkCookie(b *testing.B) {
	client := netip.MustParseAddr("192.0.2.1")
	c := NewCookies(CookieSecret{1})
	var q Query
	packet := withCookie(b, &q, []byte("01234567"))
	b.Run("client only", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Check(&q, client, 7)
		}
	})
	good := bytes.Clone(replyCookie(b, &q, packet))
	withCookie(b, &q, good)
	b.Run("valid", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if c.Check(&q, client, 7) != ProvenCookie {
				b.Fatal("not valid")
			}
		}
	})
}
