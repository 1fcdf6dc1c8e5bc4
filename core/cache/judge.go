package cache

import (
	"sync"
	"sync/atomic"
)

// A judge decides which entries are worth their bytes: those asked for most often
// per byte (LFU), as far as can be told without counting every name there is.
//
// A new entry is in the index at once, and on trial while as many bytes of newer
// ones come in as a 128th of the room: long enough for the askers who come
// in a bunch. Then it stays if there is room, or if it was asked for more often
// than the least of those held, which leaves in its stead. The least is looked
// for among some entries drawn at random and the least of those drawn before.
//
// Entries count their own uses. Those of keys not held are estimated by a sketch.
// Both counts are halved at the end of an era, which lasts for as many look-ups
// that even what is barely worth holding is asked for several times in it: a
// shorter memory cannot tell it from what is not.
//
// While there is room, storing takes no lock of the judge's.
type judge struct {
	index *index
	count *counters
	room  int64 // for entries, in bytes

	sketchSize int64 // of what sketch will be, in bytes

	era    atomic.Uint32 // 16 bits
	begun  atomic.Uint64 // look-ups before this era
	ripe   chan struct{} // there is a new era
	sketch atomic.Pointer[sketch]

	mu         sync.Mutex
	trial      trial
	candidates []candidate
	pending    change // to the index, not counted there yet
	asked      uint32 // choices of the least
}

const (
	sketchShare = 16  // of Options.Size, one part for the sketch
	trialShare  = 128 // of the room, one part for entries on trial
	mostShare   = 8   // of the room, one part for a single entry

	// eraUses is the look-ups of an era for each entry held.
	eraUses  = 176
	leastEra = 64 << 10
	eraCheck = 64 // stored entries between looks at whether an era is over
)

func (j *judge) init(size int64, x *index, n *counters) {
	j.index, j.count = x, n
	j.sketchSize = size / sketchShare
	j.room = size - j.sketchSize - x.size()
	j.ripe = make(chan struct{}, 1)
}

// fixed is the bytes that bookkeeping takes.
func (j *judge) fixed() int64 {
	n := j.index.size()
	if s := j.sketch.Load(); s != nil {
		n += int64(len(s.lines)) * sketchLineBytes
	}
	return n
}

// missed counts a use of a key that had no answer.
func (j *judge) missed(key uint64) {
	if s := j.sketch.Load(); s != nil {
		s.add(key)
	}
}

// admit puts e into the index, and has others leave for it. What would take more
// than an eighth of the room is not kept.
func (j *judge) admit(e *entry, now Instant) {
	if int64(e.cost()) > j.room/mostShare {
		j.count.rejected.Add(1)
		return
	}
	era := j.era.Load()
	held := j.index.bytes.Load()
	full := held > j.room-j.room/trialShare
	e.uses.Store(j.first(e.key, era, held, full))
	if full {
		j.weighIn(e, era, now)
	} else {
		j.index.put(e, era)
	}
	if j.count.stored.Add(1)%eraCheck == 0 && j.over() { // waking a goroutine costs as much as several look-ups
		select {
		case j.ripe <- struct{}{}:
		default:
		}
	}
}

// weighIn is admit where there is hardly room: what comes and what leaves for it is counted
// together.
func (j *judge) weighIn(e *entry, era uint32, now Instant) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pending = j.index.link(e, era); j.pending.entries > 0 {
		j.trial.push(e)
	}
	j.settle(era, now)
	j.index.add(j.pending)
	j.pending = change{}
}

// held is the bytes that entries take.
func (j *judge) held() int64 { return j.index.bytes.Load() + j.pending.bytes }

// first is the uses that a new entry begins with. The sketch is made when half of
// the room is taken: a small working set does not pay for it.
func (j *judge) first(key uint64, era uint32, held int64, full bool) uint32 {
	n := uint32(1) // the miss that fetched it
	if s := j.sketch.Load(); s != nil {
		n = max(n, s.estimate(key))
	} else if held > j.room/2 {
		j.sketch.CompareAndSwap(nil, newSketch(j.sketchSize))
	}
	if full {
		n |= onTrial
	}
	return era<<eraShift | n
}

// settle ends the trials that are over, and has entries leave until all fit.
func (j *judge) settle(era uint32, now Instant) {
	for {
		tooMuch := j.held() > j.room
		switch {
		case j.trial.waiting() > 1 && (tooMuch || j.trial.bytes > j.room/trialShare):
			j.end(j.trial.pop(), era, now)
		case !tooMuch: // the newest stays on trial: it is visible when its flight ends
			return
		case !j.evict(j.least(era, now), era):
			return
		}
	}
}

// end ends the trial of what is held under key.
func (j *judge) end(key uint64, era uint32, now Instant) {
	if e := j.index.held(key); e != nil && e.uses.Load()&onTrial != 0 {
		j.weigh(e, era, now)
	}
}

// weigh ends the trial of e: it stays in the place of those worth less, or leaves.
func (j *judge) weigh(e *entry, era uint32, now Instant) {
	for j.held() > j.room {
		least := j.least(era, now)
		if least == nil || e.worth(era, now) <= least.worth(era, now) {
			if j.leave(e, era) {
				j.count.rejected.Add(1)
			}
			return
		}
		j.evict(least, era)
	}
	e.acquit()
}

// evict has a candidate leave. It reports false where there is none.
func (j *judge) evict(e *entry, era uint32) bool {
	if e == nil {
		return false
	}
	if j.leave(e, era) {
		j.count.evicted.Add(1)
	}
	return true
}

// leave removes e from the index. How often it was asked for is not forgotten.
func (j *judge) leave(e *entry, era uint32) bool {
	if s := j.sketch.Load(); s != nil {
		s.raise(e.key, e.count(era))
	}
	c := j.index.unlink(e)
	j.pending.entries += c.entries
	j.pending.bytes += c.bytes
	return c.entries < 0
}

// over reports whether the era is.
func (j *judge) over() bool {
	return j.count.total()-j.begun.Load() >= max(eraUses*uint64(j.index.entries.Load()), leastEra)
}

// turn begins a new era where the time has come. One goroutine at a time.
func (j *judge) turn() {
	if !j.over() {
		return
	}
	j.begun.Store(j.count.total())
	j.era.Store((j.era.Load() + 1) & 0xffff)
	if s := j.sketch.Load(); s != nil {
		s.halve()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.candidates)
	j.candidates = j.candidates[:0]
}
