package kube

import (
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// Where very much is missing it is noted in bites: each RRset is written, a name's
// together, and what stands where others should goes with what comes in its place,
// whichever bite that is in.
func TestBites(t *testing.T) {
	t.Parallel()
	s := crowded(t, 100, true)
	all := s.Counts().RRsets
	c := s.compare()
	c.bite = 100
	var aliases [][]byte
	for key := range s.desired.sets {
		if name, typ := splitKey(key); typ == dns.TypeA && len(aliases) < 50 {
			aliases = append(aliases, name)
			c.met(&store.Record{Name: name, Type: dns.TypeCNAME, Data: [][]byte{wire.MustName("elsewhere.example")}})
		}
	}
	found, _ := s.desired.record(rrsetKey(wire.MustName("dns-version.cluster.local"), dns.TypeTXT))
	c.met(&found)
	if _, missing, wrong := c.end(1); missing != all-1 || wrong != len(aliases) {
		t.Fatalf("missing %d of %d, and %d others", missing, all, wrong)
	}
	if pending := s.Counts().Pending; pending < all-1+len(aliases) {
		t.Errorf("%d of %d are pending", pending, all-1+len(aliases))
	}
	written, turns, most := map[string][]int{}, 0, 0
	for {
		edits, _ := s.takeDirty(1, owner) // a name's
		if len(edits) == 0 {
			break
		}
		most = max(most, len(s.dirty))
		for _, e := range edits {
			key := rrsetKey(e.Name, e.Type)
			written[key] = append(written[key], turns)
		}
		turns++
	}
	for _, name := range aliases {
		alias, address := rrsetKey(name, dns.TypeCNAME), rrsetKey(name, dns.TypeA)
		if len(written[alias]) != 1 || !slices.Contains(written[address], written[alias][0]) {
			t.Errorf("%s: alias written in turns %v, and what comes in its place in %v", wire.NameString(name), written[alias], written[address])
		}
		written[address] = written[address][:1] // once more, with its part, finds it right
	}
	for key := range s.desired.sets {
		want := 1
		if key == rrsetKey(found.Name, found.Type) {
			want = 0
		}
		if name, typ := splitKey(key); len(written[key]) != want {
			t.Errorf("%s %s is written %d times", wire.NameString(name), dns.TypeToString[typ], len(written[key]))
		}
	}
	if limit := all / 4; most > limit {
		t.Errorf("%d of %d are noted at once", most, all)
	}
}
