package zone

import (
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

// The order of RFC 4034 §6.1, its example.
func TestCanonical(t *testing.T) {
	want := []string{"example", "a.example", "yljkjljk.a.example", "z.a.example", "zabc.a.example", "z.example", "\\001.z.example", "*.z.example", "\\200.z.example"}
	names := make([][]byte, len(want))
	for i, n := range want {
		names[i] = wire.MustName(n)
		wire.Fold(names[i])
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	slices.SortFunc(names, canonical)
	for i, n := range names {
		if got := wire.NameString(n); got != wire.NameString(wire.MustName(want[i])) {
			t.Errorf("place %d: %s, want %s", i, got, want[i])
		}
	}
}

// Hashes of RFC 5155, appendix A.
func TestHash(t *testing.T) {
	salt, err := hex.DecodeString("aabbccdd")
	if err != nil {
		t.Fatal(err)
	}
	d := denial{iterations: 12, salt: salt}
	for name, want := range map[string]string{
		"example": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "a.example": "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ns1.example": "2t7b4g4vsa5smi47k61mv5bv1a22bojr", "*.w.example": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
	} {
		h := d.hash(wire.MustName(name))
		if got := hashText.EncodeToString(h[:]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { d.hash([]byte{0}) }); n != 0 {
		t.Errorf("%v allocations a hash", n)
	}
}
