package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// A feed is a zone whose records come from etcd, with what this server adds to
// them: an SOA, and NS where nobody else has put any.
type feed struct {
	apex    []byte // wire form
	named   bool   // the config names the name servers
	servers [][]byte
	soa     []byte // data, its serial left open
	negTTL  uint32 // seconds
	met     bool   // a record of it was seen
	// full says that all its records have been seen. Until then it has no SOA and
	// is not answered from: a name that has yet to come is not one that isn't.
	full bool
}

// Times of the SOA in seconds, for those who still ask for zones by RFC 1034
// §4.3.5; nothing here does.
const (
	soaRefresh = 7200
	soaRetry   = 1800
	soaExpire  = 86400
	nsTTL      = 3600
)

// defaultNegativeTTL is how long resolvers may keep that a name of an etcd zone
// does not exist: short, since services come at any moment.
const defaultNegativeTTL = 5 * time.Second

// configure takes up what the config says of the zone.
func (f *feed) configure(z Zone) error {
	var servers [][]byte
	for _, ns := range z.NS {
		name, err := wire.ParseName(ns)
		if err != nil {
			return fmt.Errorf("zone %s: ns: %w", z.Name, err)
		}
		servers = append(servers, name)
	}
	if f.named = len(servers) > 0; !f.named { // as Kubernetes' zones have it
		name := append([]byte("\x02ns\x03dns"), f.apex...)
		if wire.NameLen(name) != len(name) {
			return fmt.Errorf("zone %s: the name is too long for ns.dns below it; set ns", z.Name)
		}
		servers = [][]byte{name}
	}
	mailbox := append([]byte("\x0ahostmaster"), f.apex...)
	if wire.NameLen(mailbox) != len(mailbox) {
		mailbox = []byte{0} // no room for a longer name than the apex
	}
	f.servers, f.negTTL = servers, uint32(z.negativeTTL()/time.Second)
	f.soa = append(append(f.soa[:0], servers[0]...), mailbox...)
	for _, v := range []uint32{0, soaRefresh, soaRetry, soaExpire, f.negTTL} {
		f.soa = binary.BigEndian.AppendUint32(f.soa, v)
	}
	return nil
}

func (z *Zone) negativeTTL() time.Duration {
	if z.MinTTL == 0 {
		return defaultNegativeTTL
	}
	return z.MinTTL
}

// stamp puts the zone's SOA and NS. With the SOA the zone begins to be answered
// from, so it comes last.
func (f *feed) stamp(tx *zone.Tx, serial uint32) error {
	var err error
	if !f.named && tx.HeldByOthers(f.apex, wire.TypeNS, ownRecords) {
		_, err = tx.Delete(f.apex, wire.TypeNS, ownRecords)
	} else {
		_, err = tx.Put(&zone.Record{Name: f.apex, Type: wire.TypeNS, TTL: nsTTL, Source: ownRecords, Data: f.servers})
	}
	if err != nil {
		return fmt.Errorf("NS of zone %s: %w", wire.NameString(f.apex), err)
	}
	binary.BigEndian.PutUint32(f.soa[len(f.soa)-20:], serial)
	_, err = tx.Put(&zone.Record{Name: f.apex, Type: wire.TypeSOA, TTL: f.negTTL, Source: ownRecords, Data: [][]byte{f.soa}})
	if err != nil {
		return fmt.Errorf("SOA of zone %s: %w", wire.NameString(f.apex), err)
	}
	return nil
}
