package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Recursors that are asked within TLS are none that a C library could ask.
func TestFallBacks(t *testing.T) {
	c, err := load(t, "upstreams: [\"tls://192.0.2.1#dns.example\", \"tcp://192.0.2.2:53\", \"192.0.2.3:5301\"]")
	if err != nil {
		t.Fatal(err)
	}
	recursors, warnings := fallBacks(c.Upstreams)
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:53"), netip.MustParseAddrPort("192.0.2.3:5301")}
	if !slices.Equal(recursors, want) || len(warnings) != 1 || !strings.Contains(warnings[0], "192.0.2.1:853 is no fall-back: a C library speaks no TLS") {
		t.Errorf("%v %q", recursors, warnings)
	}
}

func TestJunkDomains(t *testing.T) {
	for junk, want := range map[string]string{
		"":                               "a.example b.example",
		", junk: {under: auto}":          "a.example b.example",
		", junk: {under: off}":           "",
		", junk: {under: \"b.example\"}": "b.example",
	} {
		c, err := load(t, "policy: {search: [a.example, b.example]"+junk+"}")
		if err != nil {
			t.Errorf("%s: %v", junk, err)
			continue
		}
		if got := strings.Join(junkDomains(c), " "); got != want {
			t.Errorf("%s: %q, want %q", junk, got, want)
		}
	}
}
