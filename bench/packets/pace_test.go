package packets

import "testing"

// At 1,000 queries a second of a clock with 10,000 cycles one is due every 10 cycles,
// the first at once; who comes late gets all that are due, and their latency
// counts from then.
func TestPace(t *testing.T) {
	p := NewPace(500, 1000, 10_000)
	if n := p.Due(499, 64); n != 0 {
		t.Fatalf("%d are due before the start", n)
	}
	for _, step := range []struct {
		now  uint64
		most int
		want int
		due  []uint64
	}{
		{500, 64, 1, []uint64{500}},
		{505, 64, 0, nil},
		{510, 64, 1, []uint64{510}},
		{555, 64, 4, []uint64{520, 530, 540, 550}},
		{1000, 3, 3, []uint64{560, 570, 580}}, // the rest stays due
		{1000, 64, 42, []uint64{590}},
		{1000, 0, 0, nil},
		{1000, -5, 0, nil},
	} {
		if n := p.Due(step.now, step.most); n != step.want {
			t.Fatalf("at %d, at most %d: %d are due, want %d", step.now, step.most, n, step.want)
		}
		for _, want := range step.due {
			if due := p.Take(step.now); due != want {
				t.Fatalf("at %d: due since %d, want %d", step.now, due, want)
			}
		}
	}
}

// Over a long time no query is lost to rounding.
func TestPaceHolds(t *testing.T) {
	const hz, rate = 2.4e9, 3_333_333
	p, taken := NewPace(0, rate, hz), 0
	for now := uint64(0); now <= 10*hz; now += 100_003 {
		n := p.Due(now, 1<<30)
		for range n {
			p.Take(now)
		}
		taken += n
	}
	if taken < 10*rate-200 || taken > 10*rate+1 {
		t.Errorf("%d in ten seconds, want %d", taken, 10*rate)
	}
}

// Without a rate as many are due as there is room for, since now.
func TestNoPace(t *testing.T) {
	p := NewPace(0, 0, 1e9)
	if n := p.Due(7, 64); n != 64 {
		t.Errorf("%d are due", n)
	}
	if n := p.Due(7, -1); n != 0 {
		t.Errorf("%d are due where there is no room", n)
	}
	if due := p.Take(7); due != 7 {
		t.Errorf("due since %d", due)
	}
}
