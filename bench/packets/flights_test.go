package packets

import "testing"

func flights(t *testing.T, sources int, patience uint64) (*Sequence, *Flights) {
	t.Helper()
	w := way
	w.Sources = sources
	s, err := NewSequence(w, testMix(t))
	if err != nil {
		t.Fatal(err)
	}
	return s, NewFlights(s, patience)
}

// A lost query stops nobody: at eight million a second, others go on for all of its patience,
// and it is given up at its end.
func TestLost(t *testing.T) {
	const patience, perCycle = 250, 8000 // cycles of a millisecond
	_, f := flights(t, 64, patience)
	gone := f.Launch(1, 1)
	for now := uint64(1); now < 1+patience; now++ {
		if f.Sweep(now) != 0 {
			t.Fatalf("given up after %d cycles of %d", now-1, patience)
		}
		for range perCycle {
			if f.Room() < 1 {
				t.Fatalf("no number is left after %d ms", now)
			}
			if number := f.Launch(now, now); number == gone {
				t.Fatal("a number in the air was given again")
			} else if due, ok := f.Land(number); !ok || due != now {
				t.Fatalf("number %d: due %d, %v", number, due, ok)
			}
		}
	}
	if f.Flying() != 1 {
		t.Errorf("%d in the air", f.Flying())
	}
	if lost := f.Sweep(1 + patience); lost != 1 || f.Flying() != 0 {
		t.Errorf("%d given up, %d in the air", lost, f.Flying())
	}
	if _, ok := f.Land(gone); ok {
		t.Error("what was given up landed")
	}
}

// Whatever there are of ports, each number is another pair of port and ID, there and back,
// and ports take turns, also where the numbers begin again.
func TestNumbers(t *testing.T) {
	for _, sources := range []int{1, 3, 64, 100} {
		s, f := flights(t, sources, 1)
		frame, back := make([]byte, 512), make([]byte, 512)
		frame = frame[:copy(frame, s.Next())]
		seen := make([]bool, len(f.all))
		want := uint16(0)
		for i := range len(f.all) + 2*sources {
			for ; f.Room() == 0; f.Sweep(uint64(i + 2)) {
			}
			number := f.Launch(uint64(i+1), uint64(i+1))
			s.Stamp(frame, number)
			if port := uint16(frame[atUDP])<<8 | uint16(frame[atUDP+1]); port != way.Source+want {
				t.Fatalf("%d sources, query %d is from port %d, want %d", sources, i, port, way.Source+want)
			}
			want = (want + 1) % uint16(sources)
			copy(back, frame)
			copy(back[atUDP:], []byte{0, 53, frame[atUDP], frame[atUDP+1]})
			back[atDNS+2] |= 0x80
			if r, ok := s.Read(back[:len(frame)]); !ok || r.Number != number {
				t.Fatalf("%d sources, number %d came back as %d, %v", sources, number, r.Number, ok)
			}
			if i < len(seen) && seen[number] {
				t.Fatalf("number %d twice", number)
			}
			seen[number] = true
			if _, ok := f.Land(number); !ok {
				t.Fatalf("number %d is not in the air", number)
			}
			copy(frame[atUDP+6:], s.octets[atUDP+6:atUDP+8]) // Stamp adds to it
		}
		if _, ok := f.Land(uint32(len(f.all))); ok {
			t.Error("a number that is none landed")
		}
	}
}

func TestFlightsAllocate(t *testing.T) {
	_, f := flights(t, 64, 5)
	now := uint64(1)
	if n := testing.AllocsPerRun(1000, func() {
		f.Land(f.Launch(now, now))
		f.Launch(now, now)
		f.Sweep(now)
		now++
	}); n != 0 {
		t.Errorf("a query allocates %g times", n)
	}
}
