package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// A Source says whose records these are: one number per owner, chosen by the
// caller. What a source holds of an RRset is replaced or deleted as a whole, and
// leaves what other sources hold of it alone.
type Source uint16

// A Table holds the zones of one server. Any number of goroutines read, each
// through a Reader of its own; updates follow one another.
type Table struct {
	idx   atomic.Pointer[index]
	zones atomic.Pointer[zoneList]
	epoch atomic.Uint64
	_     [64]byte
	shape atomic.Uint64 // goes up behind each change of which names there are, or of their flags
	_     [56]byte
	arena arena

	seatsMu sync.Mutex
	seats   []*seat

	mu      sync.Mutex // what follows, and all changes
	build   builder
	blocks  queue[retiredBlock]
	indexes queue[*index]
	numbers queue[int] // of removed zones
	spare   []int      // numbers that may be given again
	below   []int      // by zone number: delegations and DNAMEs

	reclaimAt int // retired blocks at which an update reclaims in its midst

	names, records, pending, bytes atomic.Int64 // for Stats, as of the last update
	passes                         atomic.Uint32

	firsts atomic.Pointer[firsts] // which address each asker had first, for Sticky
}

// A zoneList holds the zones by number, nil where there is none. It grows by
// being copied; the zones in it change in place.
type zoneList []atomic.Pointer[Zone]

// A Zone is what is known of one zone. It is immutable: a change of its SOA, or
// its first and last delegation, makes a new one.
type Zone struct {
	Apex   []byte
	Labels int // of the apex
	number int
	soa    []byte  // the record for negative answers, its TTL as RFC 2308 §5 says; nil until there is one
	cuts   bool    // has delegations, DNAMEs or NSEC3: where there are none, nobody looks for them
	denial *denial // nil: unsigned

	order   Order  // of its names' addresses, where they say nothing
	most    uint16 // of them in an answer; 0: all
	ordered bool   // that is not what every zone does

	partial bool // see partial.go; cuts is set then, too
}

// Ready reports whether the zone has an SOA: until then it is not answered from.
func (z *Zone) Ready() bool { return z.soa != nil }

// ErrZone is what changes outside of all zones are refused with.
var ErrZone = errors.New("no zone of this server holds the name")

// maxZones is what 16 bits in a node can number.
const maxZones = 1 << 16

// New makes an empty table.
func New() (*Table, error) {
	t := &Table{}
	x, err := newIndex(minSlots)
	if err != nil {
		return nil, err
	}
	t.idx.Store(x)
	t.zones.Store(&zoneList{})
	t.epoch.Store(1)
	t.reclaimAt = reclaimEvery
	return t, nil
}

// Close gives the memory back. No reader may be inside.
func (t *Table) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.indexes.release(^uint64(0), (*index).close)
	t.idx.Load().close()
	t.arena.close()
	t.blocks = nil
}

// A Reader looks things up. It belongs to one goroutine. Between Enter and
// Leave, which enclose a batch, what it returns stays valid.
type Reader struct {
	view
	seat       seat
	turn       uint32  // rotates RRsets
	behind     *Reader // what knows the names of no zone of this table's; mostly nil
	from       *netip.AddrPort
	known      func([]byte) (Known, bool)
	unread     [wire.MaxName]byte
	unreadLen  int
	unreadZone *Zone
	sort       *sorter // made when the first answer is put in an order of its own
	sights     [places]sight
	shape      uint64 // the table's when they were fetched
	star       [wire.MaxName + 2]byte
	sink       byte // keeps loads that are made ahead

	wild   [maxAliases + 1]wild // of the answer in the making, as are:
	proved [64]uint64           // hashes of the owners whose NSEC or NSEC3 records it has
}

// places is how many questions are looked up together.
const places = 64

// A view is the table as of one moment.
type view struct {
	t   *Table
	idx *index
}

// NewReader registers a reader.
func (t *Table) NewReader() *Reader {
	r := &Reader{view: view{t: t}}
	t.seatsMu.Lock()
	t.seats = append(t.seats, &r.seat)
	t.seatsMu.Unlock()
	return r
}

// Close unregisters the reader.
func (r *Reader) Close() {
	r.t.seatsMu.Lock()
	defer r.t.seatsMu.Unlock()
	for i, s := range r.t.seats {
		if s == &r.seat {
			r.t.seats = append(r.t.seats[:i], r.t.seats[i+1:]...)
			return
		}
	}
}

// Enter begins a batch of look-ups.
func (r *Reader) Enter() {
	r.seat.epoch.Store(r.t.epoch.Load())
	r.look()
}

func (v *view) look() { v.idx = v.t.idx.Load() }

// zone gives the zone a node is in as it is now, not as it was when the view was
// made: a delegation is told to the zone before it is shown, so whoever sees the
// one must see the other. nil: the zone was removed in the meantime. A number is
// given again only when nobody is left who saw its old names.
func (v *view) zone(n node) *Zone { return (*v.t.zones.Load())[n.zone()].Load() }

// Leave ends it: what was returned since Enter may change from now on.
func (r *Reader) Leave() { r.seat.epoch.Store(0) }

// find looks a folded name up.
func (v *view) find(h uint64, name []byte) node {
	r := v.findRef(h, name)
	if r == 0 {
		return nil
	}
	return v.t.node(r)
}

func (v *view) findRef(h uint64, name []byte) ref {
	x := v.idx
	mask := len(x.slots) - 1
	for i := x.place(h); ; i = (i + 1) & mask {
		s := atomic.LoadUint64(&x.slots[i])
		if s == 0 {
			return 0
		}
		if (s^h)>>32 == 0 && ref(s) > grave && string(v.t.node(ref(s)).name()) == string(name) {
			return ref(s)
		}
	}
}

// Stats of a table, for metrics.
type Stats struct {
	Zones   int   // served or loading
	Names   int   // nodes, empty non-terminals among them
	Records int   // resource records, each owner's counted
	Bytes   int64 // of live blocks and index
	Waiting int   // old blocks that readers may still see
}

// Stats counts, without waiting for an update that is going on.
func (t *Table) Stats() Stats {
	return Stats{
		Zones:   len(t.Zones()),
		Names:   int(t.names.Load()),
		Records: int(t.records.Load()),
		Bytes:   t.bytes.Load(),
		Waiting: int(t.pending.Load()),
	}
}

// Zones lists the zones there are.
func (t *Table) Zones() []*Zone {
	var zs []*Zone
	list := *t.zones.Load()
	for i := range list {
		if z := list[i].Load(); z != nil {
			zs = append(zs, z)
		}
	}
	return zs
}

// Zone gives the zone with this apex, nil where there is none.
func (t *Table) Zone(apex []byte) *Zone {
	list := *t.zones.Load()
	for i := range list {
		if z := list[i].Load(); z != nil && string(z.Apex) == string(apex) {
			return z
		}
	}
	return nil
}

// setZone publishes a zone under its number.
func (t *Table) setZone(number int, z *Zone) {
	list := *t.zones.Load()
	if number >= len(list) {
		more := make(zoneList, max(8, 2*len(list)))
		for i := range list {
			more[i].Store(list[i].Load())
		}
		t.zones.Store(&more)
		list = more
	}
	list[number].Store(z)
}

// freeNumber finds a number for a new zone.
func (t *Table) freeNumber() (int, error) {
	if n := len(t.spare); n > 0 {
		number := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return number, nil
	}
	if len(t.below) == maxZones {
		return 0, fmt.Errorf("a server holds at most %d zones", maxZones)
	}
	t.below = append(t.below, 0)
	return len(t.below) - 1, nil
}
