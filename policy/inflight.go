package policy

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// InFlight bounds the queries of each client that wait for upstream at once. What a
// client may have shrinks as the sum of all grows, to nothing when there is no room for
// any more: however many clients ask for all they can get, there is room left for one
// who asks for little.
//
// It is a table of fixed size without locks, counted twice under different hashes (a
// count-min sketch), the halves of one: a client is over its limit only where both counts
// say so.
type InFlight struct {
	rows    [2][]atomic.Int32
	seed    maphash.Seed
	most    int64 // of one client
	waiting atomic.Int64
	bits    prefixBits
	exempt  prefixMap
	refused count
}

// A Place is what a waiting query has of the table, until Leave.
type Place struct{ at [2]uint32 }

const (
	inFlightRow  = 1 << 16
	maxInFlight  = 100_000
	inFlightRoom = 100_000 // queries of all clients: as many as upstream is asked at once
	leastAllowed = 4       // as long as there is room
)

// NewInFlight makes the table of a configuration, nil where there is no limit. Its
// error is of type [Problems]; Compile reports the same.
func NewInFlight(c Rate) (*InFlight, error) {
	if problems := c.problems(); len(problems) > 0 {
		return nil, problems
	}
	if c.InFlight == 0 {
		return nil, nil
	}
	c = c.filled()
	f := &InFlight{seed: maphash.MakeSeed(), most: int64(c.InFlight), bits: prefixBits{c.IPv4, c.IPv6}, exempt: c.exempt()}
	for i := range f.rows {
		f.rows[i] = make([]atomic.Int32, inFlightRow)
	}
	return f, nil
}

// Take counts a query that is about to wait. Where its client has too many waiting
// already it reports false. A nil InFlight, as an exempt client, has room for all.
func (f *InFlight) Take(client netip.Addr) (Place, bool) {
	p, n := f.TakeSome(client, 1)
	return p, n > 0
}

// TakeSome counts the query and others of the same client that are about to come, and gives
// for how many there is room: most of them, or 1, or 0. Who takes ahead keeps nobody from
// waiting: that is done only while the client has less than half of what it may have.
func (f *InFlight) TakeSome(client netip.Addr, most int) (Place, int) {
	if f == nil {
		return Place{}, most
	}
	client = client.Unmap().WithZone("")
	if f.exempt.find(client) != 0 {
		return Place{}, most
	}
	hash := maphash.Comparable(f.seed, f.bits.key(client))
	var p Place
	for i := range f.rows {
		p.at[i] = 1 + uint32(hash>>(32*i))%inFlightRow
	}
	if most > 1 && f.least(p)+int64(most) <= f.allowed(f.waiting.Load())/2 {
		f.add(p, most)
		return p, most
	}
	if least, allowed := f.add(p, 1); least > allowed {
		f.Leave(p)
		f.refused.n.Add(1)
		return Place{}, 0
	}
	return p, 1
}

// add counts n queries, and gives how many there are of their client at most, and may be.
func (f *InFlight) add(p Place, n int) (least, allowed int64) {
	allowed = f.allowed(f.waiting.Add(int64(n)))
	a, b := f.rows[0][p.at[0]-1].Add(int32(n)), f.rows[1][p.at[1]-1].Add(int32(n))
	return int64(min(a, b)), allowed
}

// least is how many queries there are of a client at most.
func (f *InFlight) least(p Place) int64 {
	return int64(min(f.rows[0][p.at[0]-1].Load(), f.rows[1][p.at[1]-1].Load()))
}

// allowed is how many queries one client may have waiting while there are so many in
// all. The fourth power leaves a hundred greedy clients 270 of a thousand each, and room
// for as many again; ten thousand have seven each.
func (f *InFlight) allowed(all int64) int64 {
	if all > inFlightRoom {
		return 0
	}
	free := 1 - float64(all)/inFlightRoom
	free *= free
	return max(int64(float64(f.most)*free*free+0.5), min(f.most, leastAllowed))
}

// Leave gives back what Take gave.
func (f *InFlight) Leave(p Place) { f.LeaveAll(p, 1) }

// LeaveAll gives back n of what TakeSome gave.
func (f *InFlight) LeaveAll(p Place, n int) {
	if p.at[0] == 0 {
		return
	}
	for i := range f.rows {
		f.rows[i][p.at[i]-1].Add(-int32(n))
	}
	f.waiting.Add(-int64(n))
}

// Refused is how many queries found no room.
func (f *InFlight) Refused() uint64 {
	if f == nil {
		return 0
	}
	return f.refused.n.Load()
}
