package zone

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An index is an open-addressed table of 64-bit slots: the upper half of a
// name's hash, and the ref of its node. The slot's place is the top bits of that
// same half, so growing needs no look at the nodes.
type index struct {
	slots []uint64
	mem   []byte
	shift uint // 32 - log2(len(slots))
	live  int  // names
	taken int  // slots that are not free: live ones and graves
}

const (
	minSlots = 1 << 9
	grave    = 1 // the ref in a slot whose name is gone: probing goes on behind it
)

func newIndex(slots int) (*index, error) {
	mem, err := mapMemory(slots * 8)
	if err != nil {
		return nil, err
	}
	x := &index{slots: unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(mem))), slots), mem: mem, shift: 32}
	for n := slots; n > 1; n >>= 1 {
		x.shift--
	}
	return x, nil
}

func (x *index) close() { _ = unix.Munmap(x.mem) }

func (x *index) place(h uint64) int { return int(uint32(h>>32) >> x.shift) }

func slotOf(h uint64, r ref) uint64 { return h&^0xffffffff | uint64(r) }

// set replaces, adds (old 0) or buries (new 0) the slot of a node.
func (x *index) set(h uint64, old, new ref) {
	mask := len(x.slots) - 1
	i := x.place(h)
	want := slotOf(h, old)
	if old == 0 {
		for x.slots[i] != 0 && ref(x.slots[i]) != grave {
			i = (i + 1) & mask
		}
		if x.slots[i] == 0 {
			x.taken++
		}
		x.live++
		atomic.StoreUint64(&x.slots[i], slotOf(h, new))
		return
	}
	for x.slots[i] != want {
		i = (i + 1) & mask
	}
	if new != 0 {
		atomic.StoreUint64(&x.slots[i], slotOf(h, new))
		return
	}
	x.live--
	atomic.StoreUint64(&x.slots[i], grave)
}

// crowded reports whether one more name calls for a larger (or a cleaned) index:
// three quarters taken.
func (x *index) crowded() bool { return (x.taken+1)*4 > len(x.slots)*3 }

// grown copies the live slots into a new index with room for as many again.
func (x *index) grown() (*index, error) {
	slots := minSlots
	for slots*3 < (x.live+1)*5 { // at most 60 % taken afterwards
		slots *= 2
	}
	y, err := newIndex(slots)
	if err != nil {
		return nil, err
	}
	for _, s := range x.slots {
		if r := ref(s); r > grave {
			y.set(s, 0, r)
		}
	}
	return y, nil
}
