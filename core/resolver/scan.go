package resolver

import (
	"encoding/binary"
	"slices"

	"github.com/strata-dns/strata/core/wire"
)

// What upstream's message is, beyond what the cache looks at.
type nature uint8

const (
	whole    nature = iota // it needs nothing more
	open                   // it ends in an alias that is to be followed
	circular               // its aliases lead in a circle, or are too many
	referral               // it names other servers, and is no answer
)

// maxAliases bounds a chain of aliases over all its servers.
const maxAliases = 16

// plain reports whether a message is whole at first sight, as most are: it has data
// and no alias, or a denial.
func plain(msg []byte) bool {
	rd, ok := wire.NewReader(msg)
	if !ok {
		return true // the cache says what is wrong with it
	}
	var rec wire.Record
	answers := false
	for rd.Next(&rec) {
		switch {
		case rec.Section == wire.Answer && rec.Type == wire.TypeCNAME:
			return false
		case rec.Section == wire.Answer:
			answers = true
		case rec.Section == wire.Authority && rec.Type == wire.TypeNS && !answers:
			return false
		case rec.Section == wire.Additional:
			return true
		}
	}
	return true
}

// A scan reads an upstream's message: a straight look at the types of its records,
// and where there are aliases, the walk along them.
type scan struct {
	typ   uint16 // asked for
	msg   []byte
	apart func(name []byte) bool // the name is others' to answer for

	aliases  []aliasRecord
	answers  int
	data     bool // records of the type that was asked for
	soa, ns  bool // in the authority section
	kept     []int
	names    []string // that the chain has led over
	target   []byte   // the alias's to follow, folded
	buf, own [wire.MaxName]byte
}

// An aliasRecord is a CNAME of the answer section.
type aliasRecord struct {
	index       int
	owner, data int
}

// read tells what a message with a good response code is. A malformed one passes
// as whole: the cache says what is wrong with it.
func (s *scan) read(name []byte) nature {
	rcode := wire.RcodeOf(s.msg)
	if rcode != wire.RcodeSuccess && rcode != wire.RcodeNXDomain || !s.records() {
		return whole
	}
	switch {
	case s.typ == wire.TypeANY:
		return whole
	case s.answers == 0 && s.ns && !s.soa && rcode == wire.RcodeSuccess && wire.Flags(s.msg)&wire.FlagAA == 0:
		return referral
	case len(s.aliases) == 0 || s.typ == wire.TypeCNAME:
		return whole
	}
	n := s.walk(name)
	if n == open && len(s.target) == 0 { // the chain ended where it may
		last := s.names[len(s.names)-1]
		if rcode == wire.RcodeNXDomain || s.soa || s.data && s.has([]byte(last)) {
			return whole
		}
		s.target = []byte(last)
	}
	return n
}

// records looks at every record's type.
func (s *scan) records() bool {
	rd, ok := wire.NewReader(s.msg)
	if !ok {
		return false
	}
	var rec wire.Record
	for rd.Next(&rec) {
		switch {
		case rec.Section == wire.Answer:
			if rec.Type == wire.TypeCNAME {
				s.aliases = append(s.aliases, aliasRecord{index: s.answers, owner: rec.Name, data: rec.Data})
			}
			s.data = s.data || rec.Type == s.typ
			s.answers++
		case rec.Section == wire.Authority:
			s.soa = s.soa || rec.Type == wire.TypeSOA
			s.ns = s.ns || rec.Type == wire.TypeNS
		}
	}
	return !rd.Bad()
}

// walk goes along the aliases, whatever their order in the message, up to the first
// name that is others' to answer for: that is to be followed, and what the message
// says about it is left out. Else target stays empty.
func (s *scan) walk(name []byte) nature {
	s.names = append(s.names, string(name))
	for range maxAliases + 1 {
		target := s.next([]byte(s.names[len(s.names)-1]))
		switch {
		case target == nil && len(s.kept) == 0: // of other names only: the cache refuses that
			return whole
		case target == nil:
			return open
		case slices.Contains(s.names, string(target)):
			return circular
		}
		s.names = append(s.names, string(target))
		if s.apart(target) {
			s.target = slices.Clone(target)
			return open
		}
	}
	return circular
}

// next gives the folded name that an alias leads to, nil where name is no alias.
func (s *scan) next(name []byte) []byte {
	for _, a := range s.aliases {
		if !s.owns(a.owner, name) {
			continue
		}
		n, _, ok := wire.ReadName(s.msg, a.data, &s.buf)
		if !ok {
			return nil
		}
		s.kept = append(s.kept, a.index)
		wire.Fold(s.buf[:n])
		return s.buf[:n]
	}
	return nil
}

// owns reports whether the name at an offset is this one.
func (s *scan) owns(at int, name []byte) bool {
	n, _, ok := wire.ReadName(s.msg, at, &s.own)
	return ok && wire.EqualFold(s.own[:n], name)
}

// has reports whether a name's records of the type that was asked for are there.
func (s *scan) has(name []byte) bool {
	rd, _ := wire.NewReader(s.msg)
	var rec wire.Record
	for rd.Next(&rec) {
		if rec.Section == wire.Answer && rec.Type == s.typ && s.owns(rec.Name, name) {
			return true
		}
	}
	return false
}

// keeps tells for each record of the answer section whether it stays when the
// chain is followed from target on: the aliases up to there, what they were made
// from, and the signatures of both.
func (s *scan) keeps() []bool {
	keep := make([]bool, s.answers)
	rd, _ := wire.NewReader(s.msg)
	var rec wire.Record
	for i := 0; i < s.answers && rd.Next(&rec); i++ {
		switch rec.Type {
		case wire.TypeCNAME:
			keep[i] = slices.Contains(s.kept, i)
		case wire.TypeDNAME:
			keep[i] = true
		case wire.TypeRRSIG:
			keep[i] = s.signs(&rec)
		}
	}
	return keep
}

// signs reports whether a signature is one of a kept alias or of a DNAME.
func (s *scan) signs(rec *wire.Record) bool {
	if rec.End-rec.Data < 18 { // RFC 4034 §3.1
		return false
	}
	switch binary.BigEndian.Uint16(s.msg[rec.Data:]) {
	case wire.TypeDNAME:
		return true
	case wire.TypeCNAME:
		return slices.ContainsFunc(s.names[:len(s.kept)], func(n string) bool { return s.owns(rec.Name, []byte(n)) })
	}
	return false
}
