package zone

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// maxSorted is how many addresses can be put in an order; RRsets of more, which no
// message over UDP holds the tenth of, are rotated.
const maxSorted = 1 << 12

// A sorter is what a reader needs to put addresses in order: its own chance, its own
// room. Each address gets a key, and the lowest come first.
type sorter struct {
	chance  rand.PCG
	keys    [maxSorted]uint64 // the upper bits decide, the lower 12 are the record's place
	weights [maxSorted]uint16
}

// From says who asks, for orders that heed it: until the next call, all answers are for
// this client. nil, as at first: nobody is known.
func (r *Reader) From(client *netip.AddrPort) { r.from = client }

// SetOrder says in which order the addresses of a zone's names are answered where those
// say nothing themselves, and how many of them at most (0: all). Weights are a name's alone.
func (tx *Tx) SetOrder(apex []byte, order Order, most uint16) error {
	z := tx.t.Zone(apex)
	if z == nil {
		return ErrZone
	}
	if z.order == order && z.most == most {
		return nil
	}
	y := *z
	y.order, y.most = order, most
	y.ordered = order > Rotate || most != 0
	tx.t.setZone(z.number, &y)
	return nil
}

// putAnswer is put for the RRset that was asked for, in the order that its name or its
// zone wants.
func (a *answer) putAnswer(res *Result) bool {
	if res.Set.Count > 1 && (res.Zone.ordered || res.node.flags()&flagOrder != 0) {
		return a.putOrdered(res)
	}
	return a.put(wire.Answer, a.nameAt, &res.Set)
}

func (a *answer) putOrdered(res *Result) bool {
	set := &res.Set
	order, most := res.Zone.order, res.Zone.most
	said, ok := RRset{}, false
	if res.node.flags()&flagOrder != 0 {
		if said, ok = res.node.find(TypeOrder); ok {
			d := said.Data() // of several owners', the one that sorts first
			if d[0] != 0 {
				order = Order(d[0])
			}
			if n := binary.BigEndian.Uint16(d[1:]); n != 0 {
				most = n
			}
		}
	}
	if set.Type != wire.TypeA && set.Type != wire.TypeAAAA {
		if order == Fixed {
			return a.putFrom(set, 0, set.Count)
		}
		return a.put(wire.Answer, a.nameAt, set) // what else there is has orders of its own, or none
	}
	count := len(set.RRs) / rrSize(set.RRs) // Count has 15 bits
	n := count
	if most != 0 && res.Zone.denial == nil { // what is signed is signed whole
		n = min(n, int(most))
	}
	switch {
	case order == Fixed:
		return a.putFrom(set, 0, n)
	case order <= Rotate || count > maxSorted:
		a.r.turn++
		return a.putFrom(set, int(a.r.turn)%count, n)
	}
	if a.r.sort == nil {
		a.r.sort = &sorter{chance: *rand.NewPCG(rand.Uint64(), rand.Uint64())}
	}
	a.r.sort.rank(a, order, set, &said, count)
	a.r.sort.lowest(count, n)
	if order == Sticky {
		a.r.stick(a.q.Hash[0], set, count, n)
	}
	return a.putSorted(set, n)
}

// putFrom writes n records, from one on and round.
func (a *answer) putFrom(set *RRset, from, n int) bool {
	mark := a.reply.Mark()
	off := 0
	for range from {
		off += rrSize(set.RRs[off:])
	}
	for range n {
		if off == len(set.RRs) {
			off = 0
		}
		size := rrSize(set.RRs[off:])
		if !a.reply.Put(wire.Answer, a.nameAt, set.RRs[off:off+size]) {
			return a.cut(mark, n*(size+2))
		}
		off += size
	}
	return true
}

// putSorted writes the first n of a set of addresses.
func (a *answer) putSorted(set *RRset, n int) bool {
	mark := a.reply.Mark()
	size := rrSize(set.RRs)
	for _, key := range a.r.sort.keys[:n] {
		at := int(key%maxSorted) * size
		if !a.reply.Put(wire.Answer, a.nameAt, set.RRs[at:at+size]) {
			return a.cut(mark, n*(size+2))
		}
	}
	return true
}

// cut says TC, as put does. octets is what would have been written.
func (a *answer) cut(mark wire.Mark, octets int) bool {
	if a.limit < wire.MaxMessage || octets <= wire.MaxMessage-a.q.End {
		a.reply.Rollback(mark)
	}
	a.reply.SetFlags(wire.FlagTC)
	return false
}

// rank gives each record its key.
func (s *sorter) rank(a *answer, order Order, set, said *RRset, count int) {
	weighted := order != Shuffle && s.weigh(said, set, count)
	client := uint64(0)
	if order >= SourceHash {
		client = clientHash(a.r.from)
	}
	size := rrSize(set.RRs)
	for i := range count {
		var by uint64
		if order >= SourceHash {
			by = scatter(client ^ addressHash(set.RRs[i*size+rrHead:(i+1)*size]))
		} else {
			by = s.chance.Uint64()
		}
		if weighted {
			by = share(by, s.weights[i])
		}
		s.keys[i] = by&^(maxSorted-1) | uint64(i)
	}
}

// share makes the key of one with a weight of an even number. What is exponentially
// distributed and divided by a weight is least with a probability in proportion to that
// (P. Efraimidis, P. Spirakis: Weighted random sampling with a reservoir, 2006); of a
// hash it makes weighted rendezvous hashing.
func share(even uint64, weight uint16) uint64 {
	if weight == 0 {
		return even | 1<<63 // behind all positive numbers
	}
	return math.Float64bits(-math.Log((float64(even>>11)+0.5)/(1<<53)) / float64(weight))
}

// weigh reads the weights of a set's records, and reports whether any has one.
func (s *sorter) weigh(said, set *RRset, count int) (any bool) {
	if len(said.RRs) == 0 {
		return false
	}
	for i := range count {
		s.weights[i] = 1
	}
	size := rrSize(set.RRs)
	for rr := said.RRs; len(rr) > 0; rr = rr[rrSize(rr):] {
		i := 0
		// Both are in order, so they are gone through together.
		for w := rrData(rr)[orderHead:]; len(w) > 0 && i < count; w = w[3+w[0]:] {
			if int(w[0]) != size-rrHead {
				continue
			}
			for i < count && string(set.RRs[i*size+rrHead:(i+1)*size]) < string(w[1:1+w[0]]) {
				i++
			}
			if i < count && string(set.RRs[i*size+rrHead:(i+1)*size]) == string(w[1:1+w[0]]) {
				s.weights[i] = binary.BigEndian.Uint16(w[1+w[0]:])
				any = true
			}
		}
	}
	return any
}

// lowest brings the n lowest of the first count keys to the front, in order.
func (s *sorter) lowest(count, n int) {
	if count <= 16 || n*4 >= count {
		slices.Sort(s.keys[:count])
		return
	}
	top := s.keys[:n]
	slices.Sort(top)
	for i, key := range s.keys[n:count] {
		if key > top[n-1] {
			continue
		}
		last := top[n-1]
		at := n - 1
		for ; at > 0 && top[at-1] > key; at-- {
			top[at] = top[at-1]
		}
		top[at], s.keys[n+i] = key, last
	}
}

// clientHash is the same at all servers, and for IPv4 by whichever way it came.
func clientHash(client *netip.AddrPort) uint64 {
	if client == nil {
		return 0
	}
	b := client.Addr().As16()
	return scatter(binary.BigEndian.Uint64(b[:]) ^ scatter(binary.BigEndian.Uint64(b[8:])))
}

// addressHash is one of 4 or 16 octets.
func addressHash(b []byte) uint64 {
	if len(b) == 4 {
		return scatter(uint64(binary.BigEndian.Uint32(b)) | 1<<32)
	}
	return scatter(binary.BigEndian.Uint64(b) ^ scatter(binary.BigEndian.Uint64(b[8:])))
}

// scatter lets each bit depend on all (S. Vigna's splitmix64, after G. Steele and others, 2014).
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// firsts remember which address an asker had first: a name and asker in the upper half of
// a word, the address in the lower. All readers share them, as an asker's queries come to
// any; what is right is only read. Where there is no room somebody is forgotten, who then
// gets what SourceHash says.
type firsts [firstBuckets][firstWays]atomic.Uint64

const (
	firstBuckets = 1 << 14
	firstWays    = 4 // in a bucket, a half of a cache line
)

// stick has the address first that the asker had first, if it is still there, and else
// remembers the one that is.
func (r *Reader) stick(name uint64, set *RRset, count, n int) {
	f := r.t.firsts.Load()
	if f == nil {
		r.t.firsts.CompareAndSwap(nil, new(firsts))
		f = r.t.firsts.Load()
	}
	who := scatter(bits.RotateLeft64(name, 16)^uint64(set.Type)) ^ clientHash(r.from)
	bucket := &f[who%firstBuckets]
	who &^= 1<<32 - 1
	room := &bucket[r.sort.chance.Uint64()%firstWays]
	for i := range bucket {
		word := bucket[i].Load()
		if word == 0 {
			room = &bucket[i]
			continue
		}
		if word&^(1<<32-1) != who {
			continue
		}
		room = &bucket[i]
		if r.sort.front(set, count, n, uint32(word)) {
			return
		}
		break
	}
	room.Store(who | uint64(token(set, r.sort.keys[0])))
}

// token tells an address from others; it is never 0.
func token(set *RRset, key uint64) uint32 {
	size := rrSize(set.RRs)
	at := int(key%maxSorted) * size
	return uint32(addressHash(set.RRs[at+rrHead:at+size])) | 1
}

// front brings the record with this mark to the front, the others behind it in order, and
// reports whether there is one.
func (s *sorter) front(set *RRset, count, n int, wanted uint32) bool {
	for i := range count {
		key := s.keys[i]
		if token(set, key) != wanted {
			continue
		}
		copy(s.keys[1:min(i, n-1)+1], s.keys[:min(i, n-1)])
		s.keys[0] = key
		return true
	}
	return false
}
