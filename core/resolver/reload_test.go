package resolver

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/strata-dns/strata/policy"
)

func TestMoved(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")
	old := []Domains{{Names: []string{"same", "other"}, Servers: Plain(a, b)}, {Names: []string{"gone"}, Servers: Plain(a)}, {Names: []string{"asked"}, Servers: Plain(a)}}
	fresh := []Domains{{Names: []string{"same"}, Servers: Plain(b, a)}, {Names: []string{"other", "new"}, Servers: Plain(a)}, {Names: []string{"asked"}, Servers: Plain(a), manner: "recursive"}}
	got := Moved(old, fresh)
	slices.Sort(got)
	if want := []string{"asked", "gone", "new", "other"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	site := policy.Synth{Kind: "site", Zone: "dc.example", To: "{site}.example"}
	elsewhere := site
	elsewhere.To = "example"
	if got := Rewritten(policy.Config{Synth: []policy.Synth{site, {Kind: "ip", Zone: "ip"}}}, policy.Config{Synth: []policy.Synth{site}}); len(got) != 0 {
		t.Errorf("rewritten: %q", got)
	}
	if got := Rewritten(policy.Config{Synth: []policy.Synth{site}}, policy.Config{Synth: []policy.Synth{elsewhere}}); !slices.Contains(got, "dc.example") {
		t.Errorf("rewritten: %q", got)
	}
}

// TestRouteMatch finds the longest domain at label boundaries.
func TestRouteMatch(t *testing.T) {
	up := serve(t)
	s := play(t, plot{})
	list := []Domains{
		{Names: []string{"example.com", "10.in-addr.arpa"}, Servers: Plain(up.addr)},
		{Names: []string{"Prd.Example.com."}, Servers: Plain(up.addr)},
	}
	r, err := OpenRoutes(s.engine, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, same := range map[string]string{
		"www.example.com.": "example.com.", "example.com.": "example.com.", "a.b.prd.example.com.": "prd.example.com.",
		"xprd.example.com.": "example.com.", "1.2.3.10.in-addr.arpa.": "10.in-addr.arpa.", "110.in-addr.arpa.": "", "com.": "", ".": "", "anexample.com.": "",
	} {
		got := r.Find(0, wireName(t, name))
		if same == "" && got != nil || same != "" && (got == nil || got != r.Find(0, wireName(t, same))) {
			t.Errorf("%s: not that of %q", name, same)
		}
	}
}
