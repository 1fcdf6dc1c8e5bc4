package zone

import "github.com/strata-dns/strata/core/wire"

// LeaveOut has out asked, within updates, which addresses are not to be answered
// with at present: data of A and AAAA RRsets, whoever's they are. They stay in the
// table, for Each and for the time when they are answered with again. Where all of
// an RRset were to be left out none is: an answer is never empty for that.
//
// It is asked when an RRset changes, and by Rejoin. To be called before the first
// update.
func (t *Table) LeaveOut(out func(name []byte, typ uint16, data []byte) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.build.out = out
}

// leaveOut takes out of a joined RRset what is not to be answered with, and reports
// whether there was any.
func (b *builder) leaveOut(name []byte, rec *Record) bool {
	if b.out == nil || rec.Type != wire.TypeA && rec.Type != wire.TypeAAAA {
		return false
	}
	b.left = b.left[:0]
	for _, d := range rec.Data {
		if !b.out(name, rec.Type, d) {
			b.left = append(b.left, d)
		}
	}
	if len(b.left) == 0 || len(b.left) == len(rec.Data) {
		return false
	}
	rec.Data = b.left
	return true
}

// Rejoin has what is left out of an RRset decided anew, and reports whether that
// changed what is answered.
func (tx *Tx) Rejoin(name []byte, typ uint16) (changed bool, err error) {
	tx.t.room()
	h := wire.HashName(name)
	r := tx.findRef(h, name)
	if r == 0 {
		return false, nil
	}
	n := tx.t.node(r)
	b := &tx.t.build
	b.entries = b.entries[:0]
	held := false
	off := n.records()
	for i := range n.entries() {
		var e entry
		e, off = n.entryAt(i, off)
		if e.Type == typ {
			if e.Source == union {
				continue
			}
			held, e.hidden = true, false
		}
		b.entries = append(b.entries, e)
	}
	if !held {
		return false, nil
	}
	b.join(name, typ)
	if len(b.entries) > 255 {
		return false, ErrSize
	}
	if before, _ := n.find(typ); string(before.RRs) == string(b.visible(typ)) {
		return false, nil
	}
	return true, tx.rebuild(h, r, n)
}

// visible gives the records of a type as readers will see them.
func (b *builder) visible(typ uint16) []byte {
	for i := range b.entries {
		if e := &b.entries[i]; e.Type == typ && !e.hidden {
			return e.RRs
		}
	}
	return nil
}
