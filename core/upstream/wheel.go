package upstream

import "math/bits"

// A wheel holds flights by the time they want to be looked at next. Its slots are
// lists linked through the flights themselves, so that setting and clearing a
// time allocates nothing. One turn takes wheelSlots ticks; a flight due later
// than that stays in its slot for another turn.
type wheel struct {
	slots  [wheelSlots]*flight
	filled [wheelSlots / 64]uint64 // which slots are not empty
	tick   int64                   // all slots up to this tick were looked at
	count  int
}

const (
	wheelSlots = 1024
	tickShift  = 21 // a tick is 2^21 ns, 2.1 ms; a turn 2.1 s
)

// tickOf rounds up: a flight is never looked at before its time.
func tickOf(ns int64) int64 { return (ns + 1<<tickShift - 1) >> tickShift }

// set schedules f for the time due, wherever it stood before.
func (w *wheel) set(f *flight, due int64) {
	w.clear(f)
	f.due = due
	f.slot = int32(max(tickOf(due), w.tick+1) % wheelSlots)
	head := w.slots[f.slot]
	f.prev, f.next = nil, head
	if head != nil {
		head.prev = f
	}
	w.slots[f.slot] = f
	w.filled[f.slot/64] |= 1 << (f.slot % 64)
	w.count++
}

// clear takes f out, if it is in.
func (w *wheel) clear(f *flight) {
	if f.slot < 0 {
		return
	}
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		w.slots[f.slot] = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	}
	if w.slots[f.slot] == nil {
		w.filled[f.slot/64] &^= 1 << (f.slot % 64)
	}
	f.prev, f.next, f.slot = nil, nil, -1
	w.count--
}

// turn advances to now and appends flights that are due, taken out of the wheel,
// to due, at most atMost: then it comes to stand before the rest.
func (w *wheel) turn(now int64, due []*flight, atMost int) []*flight {
	to := now >> tickShift
	for t := max(w.tick+1, to-wheelSlots+1); t <= to && w.count > 0; t++ {
		for f := w.slots[t%wheelSlots]; f != nil; {
			next := f.next
			if f.due <= now {
				if len(due) == atMost {
					w.tick = t - 1
					return due
				}
				w.clear(f)
				due = append(due, f)
			}
			f = next
		}
	}
	w.tick = max(w.tick, to)
	return due
}

// next is the time at which turn may find something; false where the wheel is
// empty. It may be early by whole turns, never late.
func (w *wheel) next() (int64, bool) {
	if w.count == 0 {
		return 0, false
	}
	start := int((w.tick + 1) % wheelSlots)
	for i := 0; i <= len(w.filled); i++ {
		word := (start/64 + i) % len(w.filled)
		set := w.filled[word]
		switch i {
		case 0:
			set &= ^uint64(0) << (start % 64)
		case len(w.filled):
			set &= 1<<(start%64) - 1
		}
		if set != 0 {
			slot := word*64 + bits.TrailingZeros64(set)
			return (w.tick + 1 + int64((slot-start+wheelSlots)%wheelSlots)) << tickShift, true
		}
	}
	return 0, false
}
