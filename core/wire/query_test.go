package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func query(name string, typ uint16, opts ...func(*dns.Msg)) []byte {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), typ)
	m.Id = 0x1234
	for _, o := range opts {
		o(m)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func edns(version uint8, size uint16, do bool) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, do)
		m.IsEdns0().SetVersion(version)
	}
}

// edit overwrites octets of a message.
func edit(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func TestParseOutcomes(t *testing.T) {
	good := query("www.Example.org", dns.TypeA)
	opt := query("www.example.org", dns.TypeA, edns(0, 1232, false))
	optAt := len(good)
	for _, c := range []struct {
		what string
		msg  []byte
		want Outcome
	}{
		{"a plain question", good, Valid},
		{"the root", query(".", dns.TypeNS), Valid},
		{"with EDNS", opt, Valid},
		{"unknown EDNS option (RFC 6891 §6.1.2)", query("a.b", dns.TypeA, edns(0, 512, true), func(m *dns.Msg) {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")})
		}), Valid},
		{"any type", query("a.b", 65280), Valid},
		{"IXFR with its SOA (RFC 1995 §3)", query("a.b", dns.TypeIXFR, func(m *dns.Msg) {
			m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "a.b.", Rrtype: dns.TypeSOA, Class: 1}, Ns: ".", Mbox: "."}}
		}), Valid},

		{"nothing", nil, Silence},
		{"eleven octets", good[:11], Silence},
		{"a response", edit(good, 2, 0x80), Silence},

		{"header only", good[:12], FormErr},
		{"question cut in its name", good[:20], FormErr},
		{"question cut behind its name", good[:len(good)-3], FormErr},
		{"no question", edit(good, 4, 0, 0), FormErr},
		{"two questions", edit(append(bytes.Clone(good), good[12:]...), 4, 0, 2), FormErr},
		{"an answer in a query", edit(good, 6, 0, 1), FormErr},
		{"an authority in a query", edit(good, 8, 0, 1), FormErr},
		{"an additional that is not there", edit(good, 10, 0, 1), FormErr},
		{"trailing junk", append(bytes.Clone(good), 0), FormErr},
		{"a compressed name", edit(good, 12, 0xc0, 12), FormErr},
		{"a name that points at itself", edit(good, 16, 0xc0, 16), FormErr},
		{"label type 01", edit(good, 12, 0x41), FormErr},
		{"a name of 256 octets", longName(t, 256), FormErr},
		{"a name of 255 octets", longName(t, 255), Valid},
		{"two OPT records (RFC 6891 §6.1.1)", edit(append(bytes.Clone(opt), opt[optAt:]...), 11, 2), FormErr},
		{"OPT with an owner", edit(append(append(bytes.Clone(good), 1, 'a'), opt[optAt:]...), 11, 1), FormErr},
		{"option longer than OPT", append(edit(opt, len(opt)-1, 4), 0, 10, 0, 1), FormErr},
		{"half an option", append(edit(opt, len(opt)-1, 3), 0, 10, 0), FormErr},
		{"OPT cut", opt[:len(opt)-1], FormErr},

		{"STATUS", edit(good, 2, 2<<3), NotImp},
		{"NOTIFY", edit(good, 2, 4<<3), NotImp},
		{"UPDATE", edit(good, 2, 5<<3), NotImp},
		{"opcode 15", edit(good, 2, 15<<3), NotImp},

		{"class CH", edit(good, len(good)-1, 3), Refused},
		{"class ANY", edit(good, len(good)-1, 255), Refused},
		{"EDNS version 1 (RFC 6891 §6.1.3)", query("a.b", dns.TypeA, edns(1, 512, false)), BadVers},
	} {
		var q Query
		if got := q.Parse(c.msg); got != c.want {
			t.Errorf("%s: outcome %d, want %d", c.what, got, c.want)
		}
		checkError(t, c.what, &q, c.msg, c.want)
	}
}

// checkError holds error replies against what they must be.
func checkError(t *testing.T, what string, q *Query, msg []byte, o Outcome) {
	t.Helper()
	if o == Valid {
		return
	}
	data := make([]byte, len(msg), max(len(msg), 512))
	copy(data, msg)
	reply := q.Error(data, o)
	if o == Silence {
		if len(reply) != 0 {
			t.Errorf("%s: %d octets of reply", what, len(reply))
		}
		return
	}
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Errorf("%s: reply %x: %v", what, reply, err)
		return
	}
	if !m.Response || m.Rcode != o.Rcode() || m.Id != binary.BigEndian.Uint16(msg) || m.Opcode != int(msg[2]>>3&15) {
		t.Errorf("%s: reply %v", what, &m)
	}
}

func longName(t *testing.T, octets int) []byte {
	b := query("a", dns.TypeA)[:12]
	for left := octets - 1; left > 0; {
		n := min(left-1, 63)
		if left-1-n == 1 {
			n--
		}
		b = append(append(b, byte(n)), strings.Repeat("x", n)...)
		left -= n + 1
	}
	return append(b, 0, 0, 1, 0, 1)
}

func TestParseFields(t *testing.T) {
	var q Query
	msg := query("WwW.eXaMpLe.OrG", dns.TypeAAAA, edns(0, 4096, true), func(m *dns.Msg) {
		m.CheckingDisabled = true
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
	})
	if o := q.Parse(msg); o != Valid {
		t.Fatal(o)
	}
	if q.ID != 0x1234 || q.Type != TypeAAAA || q.Class != ClassIN || !q.EDNS || !q.DO || q.UDPSize != 4096 || q.Flags&FlagCD == 0 {
		t.Errorf("%+v", q)
	}
	if NameString(q.Name()) != "www.example.org." || q.Labels != 3 || q.End != 12+17+4 {
		t.Errorf("name %s, labels %d, end %d", NameString(q.Name()), q.Labels, q.End)
	}
	if c := q.Option(OptionCookie); !bytes.Equal(c, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("cookie %x", c)
	}
	if q.Option(OptionECS) != nil {
		t.Error("an option that is not there")
	}
	if got := q.Limit(false, 1232); got != 1232 {
		t.Errorf("limit %d", got)
	}
	if got := q.Limit(true, 1232); got != 65535 {
		t.Errorf("limit of a stream %d", got)
	}
	for i := 0; i <= q.Labels; i++ {
		if q.Hash[i] != HashName(q.Suffix(i)) {
			t.Errorf("hash of suffix %s", NameString(q.Suffix(i)))
		}
	}
	// What was parsed before leaves nothing behind.
	q.Parse(query("b", dns.TypeA))
	if q.EDNS || q.DO || q.UDPSize != 512 || q.Options != nil || q.Labels != 1 || q.Hash[0] != HashName(MustName("b")) {
		t.Errorf("%+v", q.EDNS)
	}
}

func TestSetName(t *testing.T) {
	var q, p Query
	q.Parse(query("a.long.name.that.was.asked.for.example", dns.TypeA))
	for _, name := range []string{"x.y", ".", "other.example.org", strings.Repeat("l.", 127)} {
		q.SetName(MustName(name))
		p.Parse(query(name, dns.TypeA))
		if !bytes.Equal(q.Name(), p.Name()) || q.Labels != p.Labels || q.Hash[0] != p.Hash[0] || q.Hash[q.Labels] != HashName([]byte{0}) {
			t.Errorf("%s: %v labels %d, want %d", name, q.Name(), q.Labels, p.Labels)
		}
		for i := 0; i <= q.Labels; i++ {
			if !bytes.Equal(q.Suffix(i), p.Suffix(i)) {
				t.Errorf("%s: suffix %d is %v, want %v", name, i, q.Suffix(i), p.Suffix(i))
			}
		}
	}
}

// TestHashSuffixes: a name's hash is the same by itself, in any case, and as the end of
// a longer one, at each length; and no two are the same.
func TestHashSuffixes(t *testing.T) {
	seen := map[uint64]int{}
	long := bytes.Repeat([]byte("\x01a\x02bC\x03d-1"), 28)
	long = append(long, 0)
	var q Query
	for i := 0; i < len(long); i += 1 + int(long[i]) {
		name := long[i:]
		if len(name) > MaxName {
			continue
		}
		if o := q.Parse(AppendQuery(nil, 1, 0, name, TypeA, ClassIN, nil)); o != Valid {
			t.Fatal(len(name), o)
		}
		for j := 0; j <= q.Labels; j++ {
			suffix := name[q.Offset[j]:]
			if q.Hash[j] != HashName(suffix) || q.Hash[j] != HashName(q.Suffix(j)) || q.Hash[j] != HashName(bytes.ToUpper(suffix)) {
				t.Fatalf("%d octets of %d: %x", len(suffix), len(name), q.Hash[j])
			}
		}
		if n, ok := seen[q.Hash[0]]; ok {
			t.Errorf("%d and %d octets have one hash", n, len(name))
		}
		seen[q.Hash[0]] = len(name)
	}
}

// TestHashSpread: the upper half, which tables go by, is as good as chance: of 2^20 names that
// differ little 128 pairs have the same one.
func TestHashSpread(t *testing.T) {
	seen, same := map[uint32]bool{}, 0
	for i := range 1 << 20 {
		h := uint32(HashName(MustName(fmt.Sprintf("host-%07d.example.org", i))) >> 32)
		if seen[h] {
			same++
		}
		seen[h] = true
	}
	if same > 300 {
		t.Errorf("%d names of %d have the upper half of another's hash", same, 1<<20)
	}
}

// TestRandomPackets sends a million packets of noise and of damaged queries
// through Parse and Error: no crash, no reply larger than a header for what
// could not be read, no memory kept.
func TestRandomPackets(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	rnd := rand.New(rand.NewPCG(1, 1035))
	seeds := [][]byte{query("www.example.org", dns.TypeA), query("a.b.c.d.e.f", dns.TypeAAAA, edns(0, 1232, true)), query(".", dns.TypeNS)}
	var q Query
	buf := make([]byte, 0, 1232)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var outcomes [6]int
	for range n {
		buf = append(buf[:0], seeds[rnd.IntN(len(seeds))]...)
		switch rnd.IntN(4) {
		case 0:
			buf = buf[:rnd.IntN(600)]
			for i := range buf {
				buf[i] = byte(rnd.Uint32())
			}
		case 1:
			buf = buf[:rnd.IntN(len(buf)+1)]
		case 2:
			for range 1 + rnd.IntN(4) {
				buf[rnd.IntN(len(buf))] = byte(rnd.Uint32())
			}
		case 3:
			for range rnd.IntN(40) {
				buf = append(buf, byte(rnd.Uint32()))
			}
		}
		o := q.Parse(buf)
		outcomes[o]++
		if o != Valid {
			if reply := q.Error(buf, o); len(reply) > 512 {
				t.Fatalf("error reply of %d octets to %x", len(reply), buf)
			}
		}
	}
	runtime.ReadMemStats(&after)
	for o, count := range outcomes {
		if count == 0 {
			t.Errorf("no packet ended as %d", o)
		}
	}
	if grown := int64(after.Mallocs - before.Mallocs); grown > 1000 {
		t.Errorf("%d allocations for %d packets", grown, n)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	msg := query("www.example.org", dns.TypeA, edns(0, 1232, false))
	data := make([]byte, 1232)
	var q Query
	n := testing.AllocsPerRun(1000, func() {
		data = data[:copy(data[:cap(data)], msg)]
		if q.Parse(data) != Valid {
			t.Fatal("not valid")
		}
		var r Reply
		r.Begin(data, &q, q.Limit(false, 1232))
		r.SetEDE(EDEBlocked, "blocked")
		r.PutRR(Answer, HeaderLen, TypeA, ClassIN, 60, []byte{10, 0, 0, 1})
		if len(r.Finish()) < len(msg) {
			t.Fatal("short")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	msg := query("host-0001234.prd.example.com", dns.TypeA, edns(0, 1232, false))
	var q Query
	b.ReportAllocs()
	for b.Loop() {
		q.Parse(msg)
	}
}
