package probe

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
)

// Owner says who of the probers probes an address: the one whose name and the
// address together have the greatest hash (rendezvous hashing). All who know the
// same names say the same, and when one goes, only what was its own moves, in equal
// parts to the others. "": there is none.
func Owner(probers []string, addr netip.Addr) (owner string) {
	return newElection(probers).owner(addr)
}

// An election has the names hashed, for many addresses.
type election struct {
	names  []string
	hashes []uint64
}

func newElection(names []string) election {
	e := election{names: names}
	for _, name := range names {
		h := fnv.New64a()
		h.Write([]byte(name))
		e.hashes = append(e.hashes, h.Sum64())
	}
	return e
}

func (e election) owner(addr netip.Addr) (owner string) {
	b := addr.As16()
	at := mix(binary.BigEndian.Uint64(b[:8])) ^ binary.BigEndian.Uint64(b[8:])
	var most uint64
	for i, name := range e.names {
		if score := mix(at ^ e.hashes[i]); owner == "" || score > most || score == most && name < owner {
			owner, most = name, score
		}
	}
	return owner
}

// mix spreads what differs in few bits over all of them (the finalizer of
// MurmurHash3, twice, as FNV leaves its upper bits half mixed).
func mix(h uint64) uint64 {
	for range 2 {
		h ^= h >> 33
		h *= 0xff51afd7ed558ccd
		h ^= h >> 33
		h *= 0xc4ceb9fe1a85ec53
		h ^= h >> 33
	}
	return h
}
