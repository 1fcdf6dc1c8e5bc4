package zone

import "github.com/strata-dns/strata/core/wire"

// A table in front of another has zones that some clients see otherwise, and its readers
// one of the other's behind them, for all that none of its zones holds. What is at and
// below a zone of the front table is that zone's, whatever the other has there.

// Before puts another table's reader behind this one: of names that no zone of this one's
// table holds, Answer says what that one knows. Between Enter and Leave of this reader the
// other must have entered, too.
func (r *Reader) Before(behind *Reader) { r.behind = behind }

// next looks the target of an alias up.
func (a *answer) next(res *Result) {
	from := a.r
	if a.front.behind == nil {
		*res = a.r.Lookup(a.q, a.q.Type, -1)
		return
	}
	a.r = a.front
	if *res = a.r.Lookup(a.q, a.q.Type, -1); res.Outcome == Refused {
		a.fallBack(res, -1)
	}
	if a.wilds > 0 && a.r != from {
		// What proves the wildcards so far is in one table, and what follows in another: the
		// asker is left to ask for the target.
		a.r, *res = from, Result{}
	}
}

// fallBack looks up behind what no zone in front holds. at is as for Lookup.
func (a *answer) fallBack(res *Result, at int) {
	a.r = a.front.behind
	a.r.from = a.front.from
	*res = a.r.Lookup(a.q, a.q.Type, at)
}

// host finds a name as it stands in some record's data, and the reader that knows it.
func (a *answer) host(name []byte) (*Reader, node) {
	front := a.front
	if front.behind == nil {
		return a.r, a.r.findFolded(name)
	}
	if n := front.findFolded(name); n != nil || front.holds(name) {
		return front, n
	}
	return front.behind, front.behind.findFolded(name)
}

// holds reports whether a zone of the table is at or above a name, of any case. There are
// few zones in front of others.
func (r *Reader) holds(name []byte) bool {
	n := copy(r.star[:], name)
	wire.Fold(r.star[:n])
	list := *r.t.zones.Load()
	for i := range list {
		if z := list[i].Load(); z != nil && wire.IsSubdomain(r.star[:n], z.Apex) {
			return true
		}
	}
	return false
}
