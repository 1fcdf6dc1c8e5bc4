package packets

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every value is in the bucket whose bounds are around it, and no bucket is wider than
// 1/32 of what it holds.
func TestBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Range(0, 1<<62).Draw(t, "v")
		b := bucket(v)
		low, high := lowest(b), lowest(b+1)-1
		if v < low || v > high {
			t.Fatalf("%d is in bucket %d, %d to %d", v, b, low, high)
		}
		if high-low > low/fine {
			t.Fatalf("bucket %d: %d to %d", b, low, high)
		}
	})
	for b := range buckets - 1 {
		if bucket(lowest(b)) != b || bucket(lowest(b+1)-1) != b {
			t.Fatalf("bucket %d begins at %d, which is in %d", b, lowest(b), bucket(lowest(b)))
		}
	}
	if b := bucket(1<<64 - 1); b != buckets-1 {
		t.Fatalf("the largest is in bucket %d of %d", b, buckets)
	}
}

// Quantiles are those of the sorted values, within a bucket.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []uint64
	sum := 0.0
	for range 20_000 {
		v := uint64(random.ExpFloat64() * 50_000)
		h.Record(v)
		all = append(all, v)
		sum += float64(v)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		got := h.Quantile(q)
		if d := max(got, want) - min(got, want); d > want/fine+1 {
			t.Errorf("quantile %g: %d, want %d", q, got, want)
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != 20_000 || h.Mean() != sum/20_000 {
		t.Errorf("max %d, count %d, mean %g; want %d, 20000, %g", h.Max(), h.Count(), h.Mean(), all[len(all)-1], sum/20_000)
	}
	if l := h.Latency(1e6); l.Max != time.Duration(h.Max())*time.Microsecond {
		t.Errorf("at a MHz the longest is %v of %d cycles", l.Max, h.Max())
	}
	if new(Histogram).Quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	if n := testing.AllocsPerRun(100, func() { h.Record(12345) }); n != 0 {
		t.Errorf("recording allocates %g times", n)
	}
}

func TestDeviation(t *testing.T) {
	for _, c := range []struct {
		counts []uint64
		want   float64
	}{
		{nil, 0}, {[]uint64{7}, 0}, {[]uint64{0, 0}, 0}, {[]uint64{5, 5, 5}, 0},
		{[]uint64{2, 4, 4, 4, 5, 5, 7, 9}, 2.138089935299395 / 5}, // of a sample: n−1
	} {
		if got := Deviation(c.counts); got-c.want > 1e-12 || c.want-got > 1e-12 {
			t.Errorf("%v: %g, want %g", c.counts, got, c.want)
		}
	}
}
