package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParseName(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
		err  error
	}{
		{".", "\x00", nil},
		{"", "\x00", nil},
		{"Example.ORG", "\x07example\x03org\x00", nil},
		{"example.org.", "\x07example\x03org\x00", nil},
		{`a\.b.c`, "\x03a.b\x01c\x00", nil},
		{`\000\255.x`, "\x02\x00\xff\x01x\x00", nil},
		{"*.x", "\x01*\x01x\x00", nil},
		{strings.Repeat("a", 63), "\x3f" + strings.Repeat("a", 63) + "\x00", nil},
		{strings.Repeat("a", 64), "", ErrLabelLong},
		{"a..b", "", ErrLabelEmpty},
		{".a", "", ErrLabelEmpty},
		{"..", "", ErrLabelEmpty},
		{`a\`, "", ErrEscape},
		{`a\25`, "", ErrEscape},
		{`a\256`, "", ErrEscape},
		{`a\2x6`, "", ErrEscape},
		{strings.Repeat("a.", 127), strings.Repeat("\x01a", 127) + "\x00", nil},
		{strings.Repeat("a.", 128), "", ErrNameLong},
	} {
		got, err := ParseName(c.in)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %q, %v; want %q, %v", c.in, got, err, c.want, c.err)
		}
	}
}

// FuzzName holds ParseName and NameString against each other and against miekg/dns.
func FuzzName(f *testing.F) {
	for _, s := range []string{".", "example.org", `a\.b\\.c\032d`, `\000`, "UPPER.case", "a..b", strings.Repeat("x", 64), `\`, "*._tcp.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseName(s)
		if err != nil {
			return
		}
		if NameLen(name) != len(name) {
			t.Fatalf("%q: %v is not a name", s, name)
		}
		again, err := ParseName(NameString(name))
		if err != nil || !bytes.Equal(name, again) {
			t.Fatalf("%q: %v becomes %q becomes %v, %v", s, name, NameString(name), again, err)
		}
		var buf [MaxName + 1]byte
		n, err := dns.PackDomainName(NameString(name), buf[:], 0, nil, false)
		if err != nil || !bytes.Equal(buf[:n], name) {
			t.Fatalf("%q: %v, miekg/dns %v, %v", s, name, buf[:n], err)
		}
	})
}

func TestIsWildcard(t *testing.T) {
	for name, want := range map[string]bool{"*.example": true, "*": true, "example": false, ".": false, "**.example": false, "a.*.example": false} {
		if got := IsWildcard(MustName(name)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestIsSubdomain(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		want       bool
	}{
		{"example.org", "example.org", true},
		{"www.example.org", "example.org", true},
		{"notexample.org", "example.org", false},
		{"org", "example.org", false},
		{"x", ".", true},
		{".", ".", true},
		{".", "x", false},
		// \007example as text within a label is no label boundary.
		{`a\007example.org`, "example.org", false},
	} {
		if got := IsSubdomain(MustName(c.name), MustName(c.zone)); got != c.want {
			t.Errorf("%s under %s: %v", c.name, c.zone, got)
		}
	}
}

func TestFold(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	for shift := range 9 { // every octet at every place of a word
		in := append(make([]byte, shift), all[:]...)
		want := bytes.Clone(in)
		for i, c := range want {
			if 'A' <= c && c <= 'Z' {
				want[i] = c + 32
			}
		}
		got := bytes.Clone(in)
		Fold(got)
		if !bytes.Equal(got, want) {
			t.Errorf("shift %d", shift)
		}
		if !EqualFold(in, want) || EqualFold(in, append(want[:len(want)-1:len(want)-1], 'x')) || EqualFold(in, want[1:]) {
			t.Errorf("EqualFold, shift %d", shift)
		}
	}
}

func TestParent(t *testing.T) {
	if got := Parent(MustName("a.b")); !bytes.Equal(got, MustName("b")) {
		t.Errorf("%v", got)
	}
	if got := Parent(MustName(".")); !bytes.Equal(got, MustName(".")) {
		t.Errorf("%v", got)
	}
	if Labels(MustName("a.b.c")) != 3 || Labels(MustName(".")) != 0 {
		t.Error("labels")
	}
}
