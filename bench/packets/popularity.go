package packets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
)

// A Popularity draws which of n names is asked.
type Popularity struct {
	n      int
	upTo   []float64 // by rank: the share of all queries for it and those before; nil: uniform
	byRank []uint32  // which name has the rank: the popular ones are not neighbours
}

// NewPopularity makes one of n names. With exponent s the name of rank k is asked
// in proportion to 1/k^s (Zipf's law; queries of resolvers are near s = 1); with 0 all
// alike.
func NewPopularity(n int, s float64, random *rand.Rand) (*Popularity, error) {
	if n < 1 || n > math.MaxInt32 {
		return nil, fmt.Errorf("draw from %d names: must be 1 to 2³¹−1", n)
	}
	if s < 0 || math.IsNaN(s) || math.IsInf(s, 0) {
		return nil, fmt.Errorf("draw names with exponent %g: must be 0, for all alike, or more", s)
	}
	p := &Popularity{n: n}
	if s == 0 {
		return p, nil
	}
	p.upTo, p.byRank = make([]float64, n), make([]uint32, n)
	total := 0.0
	for k := range n {
		total += math.Pow(float64(k+1), -s)
		p.upTo[k] = total
		p.byRank[k] = uint32(k)
	}
	for k := range p.upTo {
		p.upTo[k] /= total
	}
	random.Shuffle(n, func(i, j int) { p.byRank[i], p.byRank[j] = p.byRank[j], p.byRank[i] })
	return p, nil
}

// Draw returns a name's index.
func (p *Popularity) Draw(random *rand.Rand) int {
	if p.upTo == nil {
		return random.IntN(p.n)
	}
	rank := sort.SearchFloat64s(p.upTo, random.Float64())
	return int(p.byRank[min(rank, p.n-1)])
}
