package store

import (
	"fmt"
	"iter"

	"github.com/strata-dns/strata/core/wire"
)

// MaxTTL is the greatest TTL, in seconds (RFC 2181 §8).
const MaxTTL = 1<<31 - 1

// A Record is what one owner says about one RRset.
//
// Records that come out of a sequence or a call of a [Sink] are lent: their
// slices are valid until the next iteration, or until the call returns.
type Record struct {
	Name  []byte // lower-cased wire form, uncompressed, with the root's octet
	Type  uint16
	Owner string   // who says so, and who alone may take it back: "static", "kubernetes:prod-a"
	TTL   uint32   // seconds, at most MaxTTL
	Data  [][]byte // rdata in wire form, uncompressed; a set, so no two are equal
	// Probe says how the addresses are probed ("tcp:80"), at most MaxProbe octets;
	// "": not at all. What it may say is for authoritative/probe to know.
	Probe string
}

// NewRecord makes a record of its presentation form: name as in a master file
// (absolute, the last dot may be missing), typ as in "AAAA" or "TYPE65280",
// data as in a master file, names in it absolute too.
func NewRecord(name, typ, owner string, ttl uint32, data ...string) (Record, error) {
	wireName, err := wire.ParseName(name)
	if err != nil {
		return Record{}, fmt.Errorf("make record: %w", err)
	}
	t, err := ParseType(typ)
	if err != nil {
		return Record{}, fmt.Errorf("make record %s: %w", name, err)
	}
	rec := Record{Name: wireName, Type: t, Owner: owner, TTL: ttl}
	for _, text := range data {
		rdata, err := appendRdata(nil, t, text)
		if err != nil {
			return Record{}, fmt.Errorf("make record %s %s: %w", name, typ, err)
		}
		rec.Data = append(rec.Data, rdata)
	}
	return rec, nil
}

// Text gives the data in presentation form, one string for each rdata.
func (r Record) Text() ([]string, error) {
	text := make([]string, len(r.Data))
	for i, rdata := range r.Data {
		var err error
		if text[i], err = rdataText(r.Type, rdata); err != nil {
			return nil, fmt.Errorf("write out %s %s: %w", wire.NameString(r.Name), TypeString(r.Type), err)
		}
	}
	return text, nil
}

// String gives the record's name, type and owner.
func (r Record) String() string {
	return wire.NameString(r.Name) + " " + TypeString(r.Type) + " (" + r.Owner + ")"
}

// A Change is a key put or deleted. A key whose new value is none of ours comes
// as Deleted, so that what is served depends on what etcd holds and not on the
// way a server came there. Of a deleted record only Name, Type and Owner are set.
type Change struct {
	Record
	Deleted  bool
	Key      string // as it is in etcd
	Revision int64  // etcd's revision of the change
}

// A Sink takes the records of all owners and merges them. Its methods are called
// by one goroutine at a time; everything they are handed is lent.
type Sink interface {
	// Replace makes the sink hold exactly these records as of revision. Where
	// the sequence yields an error, what was there before stays, and Replace
	// returns that error. The order is that of the keys: a name's records come
	// together, types one after another, and a name comes before what is below it.
	Replace(records iter.Seq2[Record, error], revision int64) error
	// Apply takes changes in etcd's order. All of one revision come in one
	// call; a call may hold several revisions, and several changes of one key.
	// revision is the last of them.
	Apply(changes []Change, revision int64) error
}
