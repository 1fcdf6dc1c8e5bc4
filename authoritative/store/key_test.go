package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

func TestKey(t *testing.T) {
	k := newKeys("/strata/v1")
	for _, tc := range []struct {
		name  string
		typ   uint16
		owner string
		want  string
	}{
		{"example.org.", dns.TypeA, "static", "/strata/v1/records/org/example/A/static"},
		{"www.Example.org.", dns.TypeAAAA, "kubernetes:prod-a", "/strata/v1/records/org/example/www/AAAA/kubernetes:prod-a"},
		{".", dns.TypeNS, "static", "/strata/v1/records/NS/static"},
		{"*.a.", dns.TypeTXT, "a/b", "/strata/v1/records/a/*/TXT/a%2fb"},
		{`a\.b\/\000\%\200.org.`, 65280, "ü %", "/strata/v1/records/org/a%2eb%2f%00%25%c8/TYPE65280/%c3%bc%20%25"},
		{"_sip._tcp.example.org.", dns.TypeSRV, "S", "/strata/v1/records/org/example/_tcp/_sip/SRV/S"},
	} {
		got := k.key(wire.MustName(tc.name), tc.typ, tc.owner)
		if got != tc.want {
			t.Errorf("key of %s: %s, want %s", tc.name, got, tc.want)
		}
		name, typ, owner, _, err := k.parse([]byte(got), nil)
		if err != nil || !bytes.Equal(name, wire.MustName(tc.name)) || typ != tc.typ || string(owner) != tc.owner {
			t.Errorf("parse %s: %q %d %q, %v", got, name, typ, owner, err)
		}
	}
}

func TestKeyBad(t *testing.T) {
	k := newKeys("strata/v1/")
	for _, key := range []string{
		"",
		"/strata/v1/health/10.0.0.1",
		"/strata/v1/records/",
		"/strata/v1/records/A",
		"/strata/v1/records/org/A/",
		"/strata/v1/records/org//A/static",
		"/strata/v1/records//A/static",
		"/strata/v1/records/org/a/static",
		"/strata/v1/records/org/ANY/static",
		"/strata/v1/records/org/OPT/static",
		"/strata/v1/records/org/TYPE1/static",
		"/strata/v1/records/org/TYPE065280/static",
		"/strata/v1/records/org/TYPE65536/static",
		"/strata/v1/records/org/TYPE/static",
		"/strata/v1/records/Org/A/static",
		"/strata/v1/records/%4frg/A/static",
		"/strata/v1/records/%6frg/A/static",
		"/strata/v1/records/o.g/A/static",
		"/strata/v1/records/org%/A/static",
		"/strata/v1/records/org%2/A/static",
		"/strata/v1/records/org%2F/A/static",
		"/strata/v1/records/org/A/sta%74ic",
		"/strata/v1/records/" + strings.Repeat("a", 64) + "/A/static",
		"/strata/v1/records/" + strings.Repeat("abcdefg/", 32) + "A/static",
		"/strata/v1/records/org/A/" + strings.Repeat("o", 256),
	} {
		if name, typ, owner, _, err := k.parse([]byte(key), nil); !errors.Is(err, ErrKey) {
			t.Errorf("parse %s: %q %d %q, %v", key, name, typ, owner, err)
		}
	}
}

// A capital in a label is called that, also where it is escaped.
func TestKeyCapital(t *testing.T) {
	for key, want := range map[string]bool{"Org": true, "%4frg": true, "org%2F": true, "org%2": false} {
		_, _, _, _, err := newKeys("strata/v1/").parse([]byte("/strata/v1/records/"+key+"/A/static"), nil)
		if got := errors.Is(err, errCapital); got != want {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// Types begin with a capital and are letters, digits and hyphens, or the ranges
// of names would not hold.
func TestTypesStandInKeys(t *testing.T) {
	for typ := range 1 << 16 {
		s := TypeString(uint16(typ))
		if !storable(uint16(typ)) {
			continue
		}
		if s[0] < 'A' || s[0] > 'Z' || strings.ContainsAny(s, "/%") {
			t.Errorf("type %d is %q", typ, s)
		}
		if back, err := parseType([]byte(s)); err != nil || back != uint16(typ) {
			t.Errorf("type %d is %q is %d: %v", typ, s, back, err)
		}
	}
}

func drawName(t *rapid.T, label string) []byte {
	octet := rapid.SampledFrom([]byte("ab/.%*_-0~\x00\xff"))
	var name []byte
	for _, l := range rapid.SliceOfN(rapid.SliceOfN(octet, 1, 3), 0, 4).Draw(t, label) {
		name = append(name, byte(len(l)))
		name = append(name, l...)
	}
	return append(name, 0)
}

func TestRanges(t *testing.T) {
	k := newKeys(DefaultPrefix)
	rapid.Check(t, func(t *rapid.T) {
		name, zone := drawName(t, "name"), drawName(t, "zone")
		if rapid.Bool().Draw(t, "below") {
			name = append(name[:len(name)-1:len(name)-1], zone...)
		}
		typ := rapid.SampledFrom([]uint16{1, 2, 5, 28, 52, 65280}).Draw(t, "type")
		key := k.key(name, typ, rapid.SampledFrom([]string{"a", "Z", "~", "/"}).Draw(t, "owner"))
		if start, end := k.under(zone); (start <= key && key < end) != wire.IsSubdomain(name, zone) {
			t.Fatalf("%s in [%s, %s)", key, start, end)
		}
		if start, end := k.at(zone); (start <= key && key < end) != bytes.Equal(name, zone) {
			t.Fatalf("%s in [%s, %s)", key, start, end)
		}
		if start, end := k.all(); key < start || key >= end {
			t.Fatalf("%s in [%s, %s)", key, start, end)
		}
	})
}

func TestZonesApart(t *testing.T) {
	k := newKeys(DefaultPrefix)
	start, end := k.under(wire.MustName("example.org"))
	for name, in := range map[string]bool{
		"example.org": true, "a.b.example.org": true,
		"example.organic": false, "organic": false, "org": false, "example-2.org": false, "exampl.org": false,
		`example\/x.org`: false, "notexample.org": false, "example0.org": false,
	} {
		if key := k.key(wire.MustName(name), dns.TypeA, "o"); (start <= key && key < end) != in {
			t.Errorf("%s under example.org: %v", name, !in)
		}
	}
}

// FuzzKey: what can be written is read back the same.
func FuzzKey(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x03org\x00"), uint16(1), "kubernetes:prod-a")
	f.Add([]byte("\x03A/.\x01%\x00"), uint16(65280), "a/b%2f")
	f.Add([]byte{0}, uint16(28), "\x00\xff")
	k := newKeys(DefaultPrefix)
	f.Fuzz(func(t *testing.T, name []byte, typ uint16, owner string) {
		name = bytes.Clone(name)
		wire.Fold(name)
		if checkName(name) != nil || !storable(typ) || owner == "" || len(owner) > MaxOwner {
			return // no record has these
		}
		key := k.key(name, typ, owner)
		n, ty, o, _, err := k.parse([]byte(key), nil)
		if err != nil || !bytes.Equal(n, name) || ty != typ || string(o) != owner {
			t.Fatalf("%q %d %q -> %s -> %q %d %q, %v", name, typ, owner, key, n, ty, o, err)
		}
		if start, end := k.at(name); key < start || key >= end {
			t.Fatalf("%s is not in [%s, %s)", key, start, end)
		}
	})
}

// FuzzParseKey: what can be read is the only way to write it.
func FuzzParseKey(f *testing.F) {
	f.Add([]byte("/strata/v1/records/org/example/A/static"))
	f.Add([]byte("/strata/v1/records/NS/a%2fb"))
	f.Add([]byte("/strata/v1/records/org/%41/TYPE65280/x"))
	k := newKeys(DefaultPrefix)
	f.Fuzz(func(t *testing.T, key []byte) {
		name, typ, owner, _, err := k.parse(key, nil)
		if err != nil {
			return
		}
		if err := checkName(name); err != nil {
			t.Fatalf("%s: name %q: %v", key, name, err)
		}
		if back := k.key(name, typ, string(owner)); back != string(key) {
			t.Fatalf("%s is %q %d %q is %s", key, name, typ, owner, back)
		}
	})
}
