package upstream

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWheelAgainstAList runs the wheel beside a plain list of due times.
func TestWheelAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		now := rapid.Int64Range(1, 100*second).Draw(t, "start")
		flights := make([]*flight, 20)
		for i := range flights {
			flights[i] = &flight{slot: -1}
		}
		want := map[*flight]int64{}
		pick := func() *flight { return flights[rapid.IntRange(0, len(flights)-1).Draw(t, "flight")] }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				f, due := pick(), now+rapid.Int64Range(-second, 10*second).Draw(t, "due")
				w.set(f, due)
				want[f] = max(due, now) // what is past is due at once
			},
			"clear": func(*rapid.T) {
				f := pick()
				w.clear(f)
				delete(want, f)
			},
			"turn": func(t *rapid.T) {
				now += rapid.Int64Range(0, 5*second).Draw(t, "pause")
				few := rapid.IntRange(1, 5).Draw(t, "few")
				for {
					due := w.turn(now, nil, few)
					for _, f := range due {
						if at, ok := want[f]; !ok || at > now {
							t.Fatalf("at %d: due %d, set: %v", now, at, ok)
						}
						delete(want, f)
					}
					if len(due) < few {
						break
					}
				}
				for f, at := range want { // at most a tick late
					if at <= now-2<<tickShift {
						t.Fatalf("at %d: missed one due at %d, slot %d", now, at, f.slot)
					}
				}
			},
			"": func(t *rapid.T) {
				if w.count != len(want) {
					t.Fatalf("holds %d, want %d", w.count, len(want))
				}
				next, ok := w.next()
				if ok != (len(want) > 0) {
					t.Fatalf("next: %v with %d flights", ok, len(want))
				}
				for _, at := range want {
					if soonest := max(at, now); ok && next > soonest+2<<tickShift {
						t.Fatalf("next look at %d, one is due at %d", next, at)
					}
				}
			},
		})
	})
}

func TestTableAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table table
		want := map[uint16]*flight{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := rapid.Uint16().Draw(t, "id")
				if table.find(id) == nil {
					want[id] = &flight{}
					table.add(id, want[id], 0)
				}
			},
			"crowd": func(t *rapid.T) { // neighbours, over the end of the array
				id := uint16(rapid.IntRange(0, 65535).Draw(t, "from"))
				for range 40 {
					if id++; table.find(id) == nil {
						want[id] = &flight{}
						table.add(id, want[id], 0)
					}
				}
			},
			"reset": func(*rapid.T) { table.reset(); clear(want) },
			"": func(t *rapid.T) {
				for id, f := range want {
					if s := table.find(id); s == nil || s.f != f {
						t.Fatalf("lost %d", id)
					}
				}
				if table.count != len(want) {
					t.Fatalf("counts %d, want %d", table.count, len(want))
				}
			},
		})
	})
}

func TestPorts(t *testing.T) {
	p, err := parsePorts("32768\t60999\n", "40000,50000-50002\n")
	if err != nil {
		t.Fatal(err)
	}
	if p.draw(0) != 32768 || p.draw(^uint32(0)) != 60999 {
		t.Fatalf("ends %d and %d", p.draw(0), p.draw(^uint32(0)))
	}
	var got []uint16
	for lot := uint64(0); lot < 1<<32; lot += 1 << 14 {
		got = append(got, p.draw(uint32(lot)))
	}
	for _, reserved := range []uint16{40000, 50000, 50001, 50002} {
		if slices.Contains(got, reserved) {
			t.Errorf("drew %d", reserved)
		}
	}
	if slices.Sort(got); len(slices.Compact(got)) != 60999-32768+1-4+1 { // and 0
		t.Errorf("drew %d ports", len(slices.Compact(got)))
	}
	for _, bad := range [][2]string{{"", ""}, {"1", ""}, {"5 4", ""}, {"0 9", ""}, {"1 x", ""}, {"1 70000", ""}, {"1 9", "x"}, {"1 9", "4-"}} {
		if _, err := parsePorts(bad[0], bad[1]); err == nil {
			t.Errorf("%q: taken", bad)
		}
	}
}
