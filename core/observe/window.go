package observe

import "slices"

// A window counts over the last one to two generations: this one, which fills, and
// the one before.
type window struct {
	size   int
	epoch  int64 // the number of this generation
	recent [2]saving
}

func newWindow(size int) window {
	return window{size: size, recent: [2]saving{newSaving(size), newSaving(size)}}
}

// add counts a key in a generation. One that is over is forgotten.
func (w *window) add(key []byte, epoch int64) {
	w.turn(epoch)
	if i := w.epoch - epoch; i < int64(len(w.recent)) {
		w.recent[i].add(key)
	}
}

// begin begins a generation by the clock. Where that has been set back, what was
// counted is forgotten: by it, that is yet to come.
func (w *window) begin(epoch int64) {
	if epoch < w.epoch {
		*w = newWindow(w.size)
	}
	w.turn(epoch)
}

// turn begins a generation, where it is a later one.
func (w *window) turn(epoch int64) {
	switch {
	case epoch <= w.epoch:
		return
	case epoch == w.epoch+1:
		w.recent[1] = w.recent[0]
	default:
		w.recent[1] = newSaving(w.size)
	}
	w.recent[0] = newSaving(w.size)
	w.epoch = epoch
}

// most gives the n keys with the highest counts of both generations together. What
// one of them does not hold may have its floor there: it is added to count and err.
func (w *window) most(n int) []counter {
	both := map[string]counter{}
	for i := range w.recent {
		this, other := &w.recent[i], &w.recent[1-i]
		for _, c := range this.heap {
			if at, ok := other.at[c.key]; ok {
				c.count += other.heap[at].count
				c.err += other.heap[at].err
			} else {
				c.count += other.floor()
				c.err += other.floor()
			}
			both[c.key] = c
		}
	}
	all := make([]counter, 0, len(both))
	for _, c := range both {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b counter) int {
		switch {
		case a.count != b.count && a.count > b.count:
			return -1
		case a.count != b.count:
			return 1
		case a.key < b.key:
			return -1
		}
		return 1
	})
	return all[:min(n, len(all))]
}
