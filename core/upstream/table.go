package upstream

// A table finds the query that an ID belongs to, of those sent from one socket.
// IDs stay known once answered, so that a reply that comes twice is told from
// one that somebody made up. It is open-addressed with linear probing, at most
// half full, and is only ever emptied whole.
type table struct {
	slots []slot
	count int
}

type slot struct {
	f    *flight // nil once answered or given up
	id   uint16
	n    uint8 // which of the flight's attempts
	used bool
}

const tableLeast = 64 // slots; a power of two

// find returns the slot of an ID, nil where it was never used here.
func (t *table) find(id uint16) *slot {
	if len(t.slots) == 0 {
		return nil
	}
	for i := int(id); ; i++ {
		s := &t.slots[i&(len(t.slots)-1)]
		switch {
		case !s.used:
			return nil
		case s.id == id:
			return s
		}
	}
}

// add notes a new ID, which find does not know yet.
func (t *table) add(id uint16, f *flight, n uint8) {
	if 2*t.count >= len(t.slots) {
		t.grow()
	}
	t.count++
	t.place(slot{f: f, id: id, n: n, used: true})
}

func (t *table) place(s slot) {
	for i := int(s.id); ; i++ {
		if at := &t.slots[i&(len(t.slots)-1)]; !at.used {
			*at = s
			return
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, max(tableLeast, 2*len(old)))
	for _, s := range old {
		if s.used {
			t.place(s)
		}
	}
}

// reset empties the table; a large array is given back.
func (t *table) reset() {
	if len(t.slots) > 4*socketQueries {
		t.slots = nil
	}
	clear(t.slots)
	t.count = 0
}
