package cache

import "math/rand/v2"

// A candidate is an entry that may leave, and what it was worth when last looked at.
type candidate struct {
	*entry
	worth float64
}

const (
	drawn          = 4 // entries at a time
	mostCandidates = 16
	mostBuckets    = 64 // looked at in one drawing
	drawEvery      = 16 // choices, while there are candidates enough: many entries come, and few of them to stay
)

// worth is the uses that each byte of the entry gets. An expired entry is of half
// the use: it answers only while upstream does not.
func (e *entry) worth(era uint32, now Instant) float64 {
	n := float64(e.count(era))
	if !e.fresh(now) {
		if e.marks&markFailure != 0 {
			return 0
		}
		n /= 2
	}
	return n / float64(e.cost())
}

// least is the candidate worth least, nil where there is none. What was drawn
// before and is still least makes the choice better than that of one drawing.
func (j *judge) least(era uint32, now Instant) *entry {
	if j.asked++; len(j.candidates) < mostCandidates || j.asked%drawEvery == 0 {
		j.draw(era, now)
	}
	for len(j.candidates) > 0 {
		at := 0
		for i := range j.candidates {
			if j.candidates[i].worth < j.candidates[at].worth {
				at = i
			}
		}
		c := &j.candidates[at]
		switch worth := c.entry.worth(era, now); {
		case !j.index.holds(c.entry):
			last := len(j.candidates) - 1
			j.candidates[at], j.candidates[last] = j.candidates[last], candidate{}
			j.candidates = j.candidates[:last]
		case worth > c.worth: // was used since
			c.worth = worth
		default:
			return c.entry
		}
	}
	return nil
}

// draw draws some entries at random: neighbours, as the index is in the order of
// a hash. Those worth least are kept as candidates.
func (j *judge) draw(era uint32, now Instant) {
	at, n := rand.IntN(len(j.index.buckets)), 0
	for range mostBuckets {
		for e := j.index.buckets[at].Load(); e != nil; e = e.next.Load() {
			if e.uses.Load()&onTrial == 0 {
				j.consider(candidate{e, e.worth(era, now)})
				n++
			}
		}
		if at++; n >= drawn || at == len(j.index.buckets) {
			return
		}
	}
}

// consider has c take the place of the candidate worth most, if it is worth less.
func (j *judge) consider(c candidate) {
	most := 0
	for i, other := range j.candidates {
		if other.entry == c.entry {
			return
		}
		if other.worth > j.candidates[most].worth {
			most = i
		}
	}
	switch {
	case len(j.candidates) < mostCandidates:
		j.candidates = append(j.candidates, c)
	case c.worth < j.candidates[most].worth:
		j.candidates[most] = c
	}
}
