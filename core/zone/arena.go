package zone

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Blocks are handed out in units of 16 octets from mapped chunks, and named by
// their unit's number: 32 bits reach 64 GiB.
const (
	unit       = 16
	chunkBits  = 22 // units in a chunk, as a power of two: 64 MiB
	chunkUnits = 1 << chunkBits
	chunkBytes = chunkUnits * unit
	maxChunks  = 1024
	smallUnits = 256 // blocks up to this size are kept in lists of their exact size
	maxBlock   = chunkBytes / 2
)

// A ref names a block. 0 is no block.
type ref uint32

// arena allocates blocks. It is the writer's; readers only turn refs into
// memory, by a chunk table whose entries are set before a ref into them is shown.
type arena struct {
	chunks [maxChunks]unsafe.Pointer // atomic
	maps   [][]byte
	next   uint32 // first unit never handed out
	small  [smallUnits + 1]ref
	large  [chunkBits + 1]ref // by power of two of units
	used   int64              // octets in live blocks
}

// errFull is what an arena of 64 GiB says at its end.
var errFull = fmt.Errorf("zone data: 64 GiB are used up")

func (a *arena) alloc(bytes int) (ref, error) {
	if bytes > maxBlock {
		return 0, ErrSize
	}
	units, list := a.class(bytes)
	if r := *list; r != 0 {
		*list = *(*ref)(a.at(r))
		a.used += int64(units) * unit
		return r, nil
	}
	if int((a.next+units-1)>>chunkBits) >= len(a.maps) {
		if err := a.grow(); err != nil {
			return 0, err
		}
	}
	r := ref(a.next)
	a.next += units
	a.used += int64(units) * unit
	return r, nil
}

func (a *arena) free(r ref, bytes int) {
	units, list := a.class(bytes)
	*(*ref)(a.at(r)) = *list
	*list = r
	a.used -= int64(units) * unit
}

// class gives the units a block of so many octets takes, and the list where
// blocks of that size wait to be used again.
func (a *arena) class(bytes int) (uint32, *ref) {
	units := (bytes + unit - 1) / unit
	if units <= smallUnits {
		return uint32(units), &a.small[units]
	}
	p := 0
	for 1<<p < units {
		p++
	}
	return 1 << p, &a.large[p]
}

// grow maps the next chunk. What is left of the last one stays unused: it is
// less than the block that did not fit.
func (a *arena) grow() error {
	n := len(a.maps)
	if n == maxChunks {
		return errFull
	}
	m, err := mapMemory(chunkBytes)
	if err != nil {
		return err
	}
	a.maps = append(a.maps, m)
	atomic.StorePointer(&a.chunks[n], unsafe.Pointer(unsafe.SliceData(m)))
	a.next = uint32(n) << chunkBits
	if n == 0 {
		a.next = 2 // ref 0 is no block, 1 the index's grave
	}
	return nil
}

// at turns a ref into memory.
func (a *arena) at(r ref) unsafe.Pointer {
	return unsafe.Add(atomic.LoadPointer(&a.chunks[r>>chunkBits]), uintptr(r&(chunkUnits-1))*unit)
}

func (a *arena) close() {
	for _, m := range a.maps {
		_ = unix.Munmap(m)
	}
	*a = arena{}
}

// mapMemory maps zeroed memory and asks for huge pages: at two million names
// most of a lookup's time is spent on missing TLB entries. Where there are none
// the advice fails, and that is all right.
func mapMemory(bytes int) ([]byte, error) {
	m, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d octets for zone data: %w", bytes, err)
	}
	if bytes >= 2<<20 {
		_ = unix.Madvise(m, unix.MADV_HUGEPAGE)
	}
	return m, nil
}
