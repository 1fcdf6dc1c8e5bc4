package packets

// Flights are queries in the air, known by numbers that are given in turn. One that is lost
// keeps its number until patience is at its end; those behind it need not wait for that while
// there are numbers left. With the IDs of one port alone, 65,536, they would: at two million
// queries a second a single lost one stopped all others for most of its patience.
type Flights struct {
	all          []flight
	patience     uint64 // cycles
	next, oldest int    // numbers: the next to be given, the first that may be in the air
	given        int    // from oldest to next
	flying       int
}

type flight struct{ due, made uint64 } // cycles; due 0: not in the air

// mostNumbers is two seconds of a million queries each, or 250 ms of eight million.
const mostNumbers = 1 << 21

// NewFlights has as many numbers as the sequence, of 2^21 at most. patience is in the cycles
// that all times are in.
func NewFlights(s *Sequence, patience uint64) *Flights {
	numbers := s.Numbers()
	if numbers > mostNumbers {
		numbers = mostNumbers - mostNumbers%s.way.Sources // ports go on in turn behind the last
	}
	return &Flights{all: make([]flight, numbers), patience: patience}
}

// spare is how many numbers are kept from being given again at once.
const spare = 1024

// Room is how many can be launched now.
func (f *Flights) Room() int { return max(len(f.all)-spare-f.given, 0) }

// Flying is how many are in the air.
func (f *Flights) Flying() int { return f.flying }

// Launch notes a query that is due since then and made now, and gives its number. There must
// be Room.
func (f *Flights) Launch(due, now uint64) uint32 {
	number := f.next
	f.all[number] = flight{due, now}
	if f.next++; f.next == len(f.all) {
		f.next = 0
	}
	f.given++
	f.flying++
	return uint32(number)
}

// Land notes a reply, and says since when its query was due; ok is false where it was not
// in the air.
func (f *Flights) Land(number uint32) (due uint64, ok bool) {
	if int(number) >= len(f.all) || f.all[number].due == 0 {
		return 0, false
	}
	due = f.all[number].due
	f.all[number].due = 0
	f.flying--
	return due, true
}

// Sweep gives up what is in the air for too long, and says how many that are. What was made
// late has as much time as all else: else who was held up could never recover.
func (f *Flights) Sweep(now uint64) (lost int) {
	for f.given > 0 {
		if q := &f.all[f.oldest]; q.due != 0 {
			if now-q.made < f.patience {
				break
			}
			q.due = 0
			f.flying--
			lost++
		}
		if f.oldest++; f.oldest == len(f.all) {
			f.oldest = 0
		}
		f.given--
	}
	return lost
}
