package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/miekg/dns"
	"github.com/strata-dns/strata/core/wire"
)

// An Op says what an Edit does to its owner's RRset of its name and type.
type Op uint8

// The operations.
const (
	Add    Op = iota // add the values; the RRset's TTL becomes the edit's, and so does its probe where the edit has one
	Remove           // take the values away, all where none are given; nothing left: the key is deleted
	Set              // these values and no others
	Extend           // as Add, but the TTL is for an RRset that is not there yet
)

// An Edit is one wish for Write. Its data are compared octet for octet: names in
// them that differ in case are two values.
type Edit struct {
	Op Op
	Record
}

// Errors of edits.
var (
	ErrEdit = errors.New("not a record to write")
	// ErrCNAME is a CNAME beside other data of its owner (RFC 1034 §3.6.2).
	ErrCNAME = errors.New("a CNAME is alone at its name")
	// ErrSingle is a second value where a name may have one: SOA, CNAME
	// (RFC 2181 §10.1), DNAME (RFC 6672 §2.4).
	ErrSingle = errors.New("a name has but one")
)

// check finds what can be said without asking etcd.
func (e Edit) check() error {
	switch {
	case checkName(e.Name) != nil:
		return fmt.Errorf("%w: name %q: %w", ErrEdit, e.Name, errName)
	case !storable(e.Type):
		return fmt.Errorf("%w: %s: %w", ErrEdit, e.Record, ErrType)
	case len(e.Owner) == 0 || len(e.Owner) > MaxOwner:
		return fmt.Errorf("%w: %s: %w", ErrEdit, e.Record, ErrOwner)
	case e.TTL > MaxTTL:
		return fmt.Errorf("%w: %s: ttl %d is more than %d (RFC 2181 §8)", ErrEdit, e.Record, e.TTL, MaxTTL)
	case len(e.Probe) > MaxProbe || !utf8.ValidString(e.Probe):
		return fmt.Errorf("%w: %s: a probe is at most %d octets of text", ErrEdit, e.Record, MaxProbe)
	case e.Op > Extend:
		return fmt.Errorf("%w: %s: unknown operation %d", ErrEdit, e.Record, e.Op)
	case e.Op != Remove && len(e.Data) == 0:
		return fmt.Errorf("%w: %s: no data", ErrEdit, e.Record)
	}
	for _, rdata := range e.Data {
		if _, err := rdataText(e.Type, rdata); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrEdit, e.Record, err)
		}
	}
	return nil
}

// apply gives the values after the edit of what there was.
func (e Edit) apply(ttl uint32, have [][]byte) (uint32, [][]byte) {
	switch e.Op {
	case Add:
		return e.TTL, union(slices.Clone(have), e.Data)
	case Set:
		return e.TTL, union(nil, e.Data)
	case Extend:
		if len(have) == 0 {
			ttl = e.TTL
		}
		return ttl, union(slices.Clone(have), e.Data)
	}
	if len(e.Data) == 0 {
		return ttl, nil
	}
	return ttl, slices.DeleteFunc(slices.Clone(have), func(rdata []byte) bool {
		return hasRdata(e.Data, rdata)
	})
}

// NoProbe as the probe of an Add takes away the one there was.
const NoProbe = "none"

// probing gives the probe after the edit of an RRset with this one.
func (e Edit) probing(have string) string {
	switch {
	case e.Op == Remove || e.Op != Set && e.Probe == "":
		return have
	case e.Probe == NoProbe:
		return ""
	}
	return e.Probe
}

// few values are found by looking at all of them; more would take the square of
// their number.
const few = 32

func union(set, more [][]byte) [][]byte {
	if len(set)+len(more) > few {
		return distinct(append(set, more...), len(set))
	}
	for _, rdata := range more {
		if !hasRdata(set, rdata) {
			set = append(set, rdata)
		}
	}
	return set
}

// distinct takes out, in place, the values from begin on that stand before them.
func distinct(data [][]byte, begin int) [][]byte {
	seen := members(data[:begin])
	end := begin
	for _, rdata := range data[begin:] {
		if !seen[string(rdata)] {
			seen[string(rdata)] = true
			data[end] = rdata
			end++
		}
	}
	return data[:end]
}

func members(data [][]byte) map[string]bool {
	m := make(map[string]bool, len(data))
	for _, rdata := range data {
		m[string(rdata)] = true
	}
	return m
}

// sameSet compares sets without doubles.
func sameSet(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	has := func(rdata []byte) bool { return hasRdata(b, rdata) }
	if len(b) > few {
		m := members(b)
		has = func(rdata []byte) bool { return m[string(rdata)] }
	}
	return !slices.ContainsFunc(a, func(rdata []byte) bool { return !has(rdata) })
}

// besideCNAME says which types a CNAME suffers (RFC 4035 §2.5, RFC 2181 §10.1).
func besideCNAME(typ uint16) bool {
	return typ == dns.TypeRRSIG || typ == dns.TypeNSEC || typ == dns.TypeKEY || typ == dns.TypeSIG || typ == dns.TypeNXT
}

func single(typ uint16) bool {
	return typ == dns.TypeCNAME || typ == dns.TypeDNAME || typ == dns.TypeSOA
}

// Limits of a transaction. etcd takes 128 comparisons and 128 operations, and
// 1.5 MiB; a key takes up to two comparisons.
const (
	maxKeys   = 60
	maxOctets = 256 << 10 // of wire form, which grows up to fourfold as text
)

// chunk cuts edits into transactions. Those of one name stay together and in
// order, because what a name may hold is decided by all of its types.
func chunk(edits []Edit) ([][]Edit, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return bytes.Compare(a.Name, b.Name) })
	var chunks [][]Edit
	begin, keys, octets := 0, 0, 0
	for at := 0; at < len(edits); {
		end, k, o := sameName(edits, at)
		if k > maxKeys {
			return nil, fmt.Errorf("%w: %d RRsets at %s in one write, at most %d",
				ErrEdit, k, wire.NameString(edits[at].Name), maxKeys)
		}
		if begin < at && (keys+k > maxKeys || octets+o > maxOctets) {
			chunks = append(chunks, edits[begin:at])
			begin, keys, octets = at, 0, 0
		}
		at, keys, octets = end, keys+k, octets+o
	}
	if begin < len(edits) {
		chunks = append(chunks, edits[begin:])
	}
	return chunks, nil
}

// sameName gives the end of the edits with the name of that at, how many keys
// they touch, and their octets.
func sameName(edits []Edit, at int) (end, keys, octets int) {
	type key struct {
		typ   uint16
		owner string
	}
	seen := make(map[key]bool, 1)
	for end = at; end < len(edits) && bytes.Equal(edits[end].Name, edits[at].Name); end++ {
		e := edits[end]
		seen[key{e.Type, e.Owner}] = true
		octets += len(e.Name) + len(e.Owner)
		for _, rdata := range e.Data {
			octets += len(rdata)
		}
	}
	return end, len(seen), octets
}
