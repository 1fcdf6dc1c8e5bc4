package main

import (
	"errors"
	"hash/fnv"
	"sync"

	"github.com/strata-dns/strata/core/zone"
)

// Sources in the table: the server's own records (SOA and NS of etcd zones),
// those of master files, and from ownersFrom on one number for each owner in etcd.
const (
	ownRecords zone.Source = iota
	fileRecords
	ownersFrom
)

// maxOwners leaves room below the numbers that the table keeps for itself.
const maxOwners = 65_000

var errOwners = errors.New("more than 65,000 owners")

// owners numbers those whose records are in etcd. Where two of them hold what can
// only be there once, a CNAME, the table takes the lower number's; so the number
// is drawn from the owner's name, for all servers to take the same one's, and what
// people wrote by hand goes before all else.
type owners struct {
	mu    sync.Mutex
	ids   map[string]zone.Source
	names map[zone.Source]string
}

// byHand is the owner of `authoritative records` unless told otherwise.
const byHand = "static"

// number gives an owner's number, a new one where it has none.
func (o *owners) number(owner string) (zone.Source, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id, ok := o.ids[owner]; ok {
		return id, nil
	}
	if o.ids == nil {
		o.ids, o.names = map[string]zone.Source{}, map[zone.Source]string{}
	}
	if len(o.ids) == maxOwners {
		return 0, errOwners
	}
	id := ownersFrom
	if owner != byHand {
		h := fnv.New32a()
		h.Write([]byte(owner))
		at := h.Sum32() % maxOwners
		for ; o.names[ownersFrom+1+zone.Source(at)] != ""; at = (at + 1) % maxOwners {
		}
		id += 1 + zone.Source(at)
	}
	o.ids[owner], o.names[id] = id, owner
	return id, nil
}

// known gives the number of an owner that has one.
func (o *owners) known(owner string) (zone.Source, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id, ok := o.ids[owner]
	return id, ok
}

// name is number the other way round.
func (o *owners) name(id zone.Source) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.names[id]
}
