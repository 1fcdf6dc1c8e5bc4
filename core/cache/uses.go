package cache

// The uses of an entry, in one word: in which era they were brought up to date, 16
// bits; whether the entry is on trial, 1 bit; and the count, 15 bits, which is
// halved with each era that has begun since.
const (
	eraShift  = 16
	onTrial   = 1 << 15
	countMask = onTrial - 1

	// mostUses is where the count stays. What is asked for more often than this
	// in an era is far from being given up, and its hits write nothing.
	mostUses = 63
)

// aged brings uses up to date.
func aged(uses, era uint32) uint32 {
	passed := (era - uses>>eraShift) & 0xffff
	return era<<eraShift | uses&onTrial | uses&countMask>>min(passed, 15)
}

// used counts one use more.
func used(uses, era uint32) uint32 {
	uses = aged(uses, era)
	if uses&countMask < mostUses {
		uses++
	}
	return uses
}

// touch counts a hit. Of hits that meet, one may be lost.
func (e *entry) touch(era uint32) {
	old := e.uses.Load()
	if uses := used(old, era); uses != old {
		e.uses.CompareAndSwap(old, uses)
	}
}

// count is how often the entry was asked for of late.
func (e *entry) count(era uint32) uint32 { return aged(e.uses.Load(), era) & countMask }

// acquit ends the entry's trial.
func (e *entry) acquit() {
	for old := e.uses.Load(); !e.uses.CompareAndSwap(old, old&^onTrial); old = e.uses.Load() {
	}
}
