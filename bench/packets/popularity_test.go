package packets

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Drawn names are as popular as Zipf's law says: the frequency of rank k in proportion to
// 1/k^s.
func TestZipf(t *testing.T) {
	const names, draws = 1000, 400_000
	for _, s := range []float64{0.7, 1, 1.3} {
		random := rand.New(rand.NewPCG(3, 4))
		p, err := NewPopularity(names, s, random)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]float64, names)
		for range draws {
			counts[p.Draw(random)]++
		}
		slices.SortFunc(counts, func(a, b float64) int { return int(b - a) })
		total := 0.0
		for k := range names {
			total += math.Pow(float64(k+1), -s)
		}
		for _, k := range []int{0, 1, 9, 49} {
			want := draws * math.Pow(float64(k+1), -s) / total
			if d := math.Abs(counts[k] - want); d > 6*math.Sqrt(want)+want/20 {
				t.Errorf("s = %g, rank %d: drawn %.0f times, want %.0f", s, k+1, counts[k], want)
			}
		}
	}
}

// With exponent 0 all names are drawn alike.
func TestUniform(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	p, err := NewPopularity(50, 0, random)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, 50)
	for range 100_000 {
		counts[p.Draw(random)]++
	}
	for i, n := range counts {
		if n < 1700 || n > 2300 { // 6.7 standard deviations of 44.3
			t.Errorf("name %d was drawn %d times of 2000", i, n)
		}
	}
}

func TestNoPopularity(t *testing.T) {
	for _, c := range []struct {
		n int
		s float64
	}{{0, 1}, {-1, 0}, {10, -1}, {10, math.NaN()}, {10, math.Inf(1)}} {
		if _, err := NewPopularity(c.n, c.s, nil); err == nil {
			t.Errorf("%d names with exponent %g: no error", c.n, c.s)
		}
	}
}
