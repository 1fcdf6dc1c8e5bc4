package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

func TestValue(t *testing.T) {
	for _, tc := range []struct {
		typ  string
		ttl  uint32
		data []string
		want string
	}{
		{"A", 30, []string{"10.0.0.1", "10.0.0.2"}, `{"ttl":30,"data":["10.0.0.1","10.0.0.2"]}`},
		{"AAAA", 0, []string{"2001:db8::1"}, `{"ttl":0,"data":["2001:db8::1"]}`},
		{"AAAA", 0, []string{"::ffff:10.0.0.1"}, `{"ttl":0,"data":["::ffff:10.0.0.1"]}`},
		{"CNAME", MaxTTL, []string{"www.Example.org"}, `{"ttl":2147483647,"data":["www.Example.org."]}`},
		{"TXT", 1, []string{`"v=spf1 <a>" "b\"\200"`}, `{"ttl":1,"data":["\"v=spf1 \u003ca\u003e\" \"b\\\"\\200\""]}`},
		{"SRV", 1, []string{"0 5 443 a.b."}, `{"ttl":1,"data":["0 5 443 a.b."]}`},
		{"MX", 1, []string{"10 mail"}, `{"ttl":1,"data":["10 mail."]}`},
		{"TYPE65280", 1, []string{`\# 3 ABCDEF`}, `{"ttl":1,"data":["\\# 3 abcdef"]}`},
		{"TYPE65280", 1, []string{`\# 0`}, `{"ttl":1,"data":["\\# 0"]}`},
		{"A", 1, []string{`\# 4 0a000001`}, `{"ttl":1,"data":["10.0.0.1"]}`},
		{"CAA", 1, []string{`0 issue "ca.example.net"`}, `{"ttl":1,"data":["0 issue \"ca.example.net\""]}`},
		{"SOA", 1, []string{"ns. root. 1 2 3 4 5"}, `{"ttl":1,"data":["ns. root. 1 2 3 4 5"]}`},
	} {
		rec, err := NewRecord("example.org", tc.typ, "static", tc.ttl, tc.data...)
		if err != nil {
			t.Errorf("%s %v: %v", tc.typ, tc.data, err)
			continue
		}
		raw, err := appendValue(nil, rec)
		if err != nil || string(raw) != tc.want {
			t.Errorf("%s %v: %s, %v, want %s", tc.typ, tc.data, raw, err, tc.want)
		}
		d := newDecoder(newKeys(""))
		back := Record{Type: rec.Type}
		if err := d.fill(&back, raw); err != nil || back.TTL != tc.ttl || !slices.EqualFunc(back.Data, rec.Data, bytes.Equal) {
			t.Errorf("%s: %v %v", raw, back, err)
		}
	}
}

func TestValueBad(t *testing.T) {
	for typ, values := range map[uint16][]string{
		dns.TypeA: {
			``, `x`, `[]`, `null`, `{}`, `{"ttl":30}`, `{"data":["10.0.0.1"]}`, `{"ttl":30,"data":[]}`,
			`{"ttl":"30","data":["10.0.0.1"]}`, `{"ttl":-1,"data":["10.0.0.1"]}`, `{"ttl":2147483648,"data":["10.0.0.1"]}`,
			`{"ttl":1.5,"data":["10.0.0.1"]}`, `{"ttl":99999999999999999999,"data":["10.0.0.1"]}`,
			`{"ttl":30,"data":"10.0.0.1"}`, `{"ttl":30,"data":[10]}`, `{"ttl":30,"data":["10.0.0.1"]`, `{"ttl":30,"data":["10.0.0.1"]}}`,
			`{"ttl":30,"data":["10.0.0.1",]}`, `{"ttl":030,"data":["10.0.0.1"]}`, `{"ttl":30,"data":["10.0.0.1","10.0.0.300"]}`,
			`{"ttl":30,"data":[""]}`, `{"ttl":30,"data":["::1"]}`, `{"ttl":30,"data":["\\# 0"]}`, `{"ttl":30,"data":["\\# 2 0a00"]}`,
			`{"ttl":30,"data":["10.0.0.1\nevil. 30 IN A 10.0.0.2"]}`, `{"ttl":30,"data":["10.0.0.1 10.0.0.2"]}`,
			`{"ttl":30,"data":["("]}`, `{"ttl":30,"data":["; nothing"]}`,
		},
		dns.TypeAAAA:  {`{"ttl":30,"data":["10.0.0.1"]}`, `{"ttl":30,"data":["fe80::1%eth0"]}`},
		dns.TypeCNAME: {`{"ttl":30,"data":["a..b"]}`, `{"ttl":30,"data":["` + strings.Repeat("a", 64) + `."]}`, `{"ttl":30,"data":["a b"]}`},
		dns.TypeMX:    {`{"ttl":30,"data":["mail."]}`, `{"ttl":30,"data":["65536 mail."]}`, `{"ttl":30,"data":["1 ` + strings.Repeat("a.", 128) + `"]}`},
		dns.TypePTR:   {`{"ttl":30,"data":["` + strings.Repeat("a.", 128) + `"]}`, `{"ttl":30,"data":["\\097.` + strings.Repeat("a.", 127) + `"]}`},
		dns.TypeSRV:   {`{"ttl":30,"data":["0 0 a."]}`},
		65280:         {`{"ttl":30,"data":["abc"]}`, `{"ttl":30,"data":["\\# 1 abcd"]}`},
	} {
		for _, raw := range values {
			d := newDecoder(newKeys(""))
			rec := Record{Name: []byte{0}, Type: typ, Owner: "static"}
			if err := d.fill(&rec, []byte(raw)); !errors.Is(err, ErrValue) {
				t.Errorf("%s %s: %x, %v", TypeString(typ), raw, rec.Data, err)
			}
		}
	}
}

func TestValueOfOthers(t *testing.T) { // spaces, escapes, more fields, doubles
	d := newDecoder(newKeys(""))
	rec := Record{Type: dns.TypeA}
	if err := d.fill(&rec, []byte(` { "data" : ["10.0.0.1", "10.0.0.\u0032","10.0.0.1"], "ttl" : 7, "note":"x" } `)); err != nil {
		t.Fatal(err)
	}
	if text, _ := rec.Text(); rec.TTL != 7 || !slices.Equal(text, []string{"10.0.0.1", "10.0.0.2"}) {
		t.Fatal(rec.TTL, text)
	}
}

// A record has a probe or not; one that nobody can read is no reason to leave the
// record out.
func TestValueProbe(t *testing.T) {
	d := newDecoder(newKeys(""))
	long := strings.Repeat("x", MaxProbe-1)
	for raw, want := range map[string]string{
		`{"ttl":7,"data":["10.0.0.1"],"probe":"http:80/a?\u003cb\u003e"}`: "http:80/a?<b>",
		`{"ttl":7,"data":["10.0.0.1"]}`:                                   "",
		`{"probe":"","ttl":7,"data":["10.0.0.1"]}`:                        "",
		`{"ttl":7,"data":["10.0.0.1"],"probe":{"tcp":80}}`:                `{"tcp":80}`,
		`{"ttl":7,"data":["10.0.0.1"],"probe":"` + long + `é"}`:           long,
	} {
		rec := Record{Type: dns.TypeA}
		if err := d.fill(&rec, []byte(raw)); err != nil || rec.Probe != want || len(rec.Data) != 1 || rec.TTL != 7 {
			t.Errorf("%s: %+v, %v", raw, rec, err)
		}
		out, err := appendValue(nil, rec)
		back := Record{Type: dns.TypeA}
		if err != nil || d.fill(&back, out) != nil || back.Probe != want {
			t.Errorf("%s: written %s, %v", raw, out, err)
		}
	}
}

func TestNewRecordBad(t *testing.T) {
	for _, tc := range [][3]string{
		{"a..b", "A", "10.0.0.1"},
		{"a", "AXFR", "10.0.0.1"},
		{"a", "NOSUCH", "10.0.0.1"},
		{"a", "A", "10.0.0"},
		{"a", "NS", ""},
	} {
		if rec, err := NewRecord(tc[0], tc[1], "static", 30, tc[2]); err == nil {
			t.Errorf("%v: %v", tc, rec)
		}
	}
}

// FuzzValue: the short way and encoding/json agree, and what was read is written
// and read again the same.
func FuzzValue(f *testing.F) {
	f.Add(uint16(1), []byte(`{"ttl":30,"data":["10.0.0.1","10.0.0.2"]}`))
	f.Add(uint16(16), []byte(`{"ttl":30,"data":["\"a b\" c"]}`))
	f.Add(uint16(33), []byte(`{"data":["0 5 443 a.b."],"ttl":0}`))
	f.Add(uint16(65280), []byte(`{"ttl":1,"data":["\\# 3 abcdef"]}`))
	f.Add(uint16(1), []byte(`{"ttl":1,"data":["10.0.0.1"],"probe":"tcp:80"}`))
	f.Fuzz(func(t *testing.T, typ uint16, raw []byte) {
		own := value{TTL: new(int64)}
		if parseOwn(raw, &own) {
			var std value
			err := json.Unmarshal(raw, &std)
			if err != nil || *std.TTL != *own.TTL || !slices.Equal(std.Data, own.Data) {
				t.Fatalf("%s: %d %q, and json says %+v, %v", raw, *own.TTL, own.Data, std, err)
			}
		}
		if !storable(typ) {
			return
		}
		d := newDecoder(newKeys(""))
		rec := Record{Name: []byte{0}, Type: typ, Owner: "o"}
		if d.fill(&rec, raw) != nil {
			return
		}
		out, err := appendValue(nil, rec)
		if err != nil {
			t.Fatalf("%s %s: %x cannot be written: %v", TypeString(typ), raw, rec.Data, err)
		}
		back := Record{Name: []byte{0}, Type: typ, Owner: "o"}
		if err := d.fill(&back, out); err != nil || back.TTL != rec.TTL || back.Probe != rec.Probe || !sameSet(back.Data, rec.Data) {
			t.Fatalf("%s %s is %x, written %s is %x, %v", TypeString(typ), raw, rec.Data, out, back.Data, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	k := newKeys(DefaultPrefix)
	key := []byte(k.key(wire.MustName("host-1234.rack7.dc1.example.org"), dns.TypeA, "kubernetes:prod-a"))
	raw := []byte(`{"ttl":30,"data":["10.0.0.1","10.0.0.2"]}`)
	d := newDecoder(k)
	b.ReportAllocs()
	for b.Loop() {
		d.reset()
		if _, err := d.record(key, raw); err != nil {
			b.Fatal(err)
		}
	}
}
