package upstream

import "github.com/strata-dns/strata/core/wire"

// An inspection is what a look at all records of a reply tells.
type inspection struct {
	whole   bool // every record can be read
	opt     bool
	rcode   int  // with the bits that the OPT record has (RFC 6891 §6.1.3)
	answers bool // there are records in the answer section
	related bool // one of them at least is about the question's name, in its class
	ns, soa bool // in the authority section
	ede     uint16
	subnet  []byte // data of the client subnet option (RFC 7871 §6); nil where there is none
}

// inspect reads a reply, known to repeat the question, about a folded name. Names are followed to their ends, also
// those in data that may be compressed (RFC 3597 §4): a loop is no answer.
func inspect(msg, asked []byte, class uint16) inspection {
	in := inspection{rcode: wire.RcodeOf(msg), ede: wire.EDENone}
	r, ok := wire.NewReader(msg)
	if !ok {
		return in
	}
	var rec wire.Record
	var name [wire.MaxName]byte
	for r.Next(&rec) {
		same := msg[rec.Name] == 0xc0 && msg[rec.Name+1] == wire.HeaderLen // a pointer to the question, as mostly
		if !same {
			n, _, ok := wire.ReadName(msg, rec.Name, &name)
			if !ok {
				return in
			}
			same = rec.Section == wire.Answer && wire.EqualFold(name[:n], asked)
		}
		if rec.Section == wire.Answer {
			in.answers = true
			in.related = in.related || rec.Class == class && same
		}
		if !readable(msg, &rec, &name) {
			return in
		}
		switch {
		case rec.Type == wire.TypeOPT && (in.opt || rec.Section != wire.Additional):
			return in // there is one at most, and there (RFC 6891 §6.1.1)
		case rec.Type == wire.TypeOPT:
			in.opt = true
			in.rcode |= int(rec.TTL>>24) << 4
			in.ede = wire.FindEDE(msg[rec.Data:rec.End])
			in.subnet = findOption(msg[rec.Data:rec.End], wire.OptionECS)
		case rec.Section == wire.Authority:
			in.ns = in.ns || rec.Type == wire.TypeNS
			in.soa = in.soa || rec.Type == wire.TypeSOA
		}
	}
	in.whole = !r.Bad()
	return in
}

// A shape is what a type's data must look like: octets in front, then names, then
// octets behind.
type shape struct{ before, names, after int }

// readable reports whether a record's data is what its type asks for. Types that are
// not looked at hold no compressed names.
func readable(msg []byte, rec *wire.Record, name *[wire.MaxName]byte) bool {
	var s shape
	switch rec.Type {
	case wire.TypeA:
		s.before = 4
	case wire.TypeAAAA:
		s.before = 16
	case wire.TypeNS, wire.TypeCNAME, wire.TypePTR, wire.TypeDNAME:
		s.names = 1
	case wire.TypeMX:
		s = shape{2, 1, 0}
	case wire.TypeSRV:
		s = shape{6, 1, 0}
	case wire.TypeSOA:
		s = shape{0, 2, 20}
	default:
		return true
	}
	at := rec.Data + s.before
	for range s.names {
		if at >= rec.End {
			return false
		}
		_, next, ok := wire.ReadName(msg[:rec.End], at, name)
		if !ok {
			return false
		}
		at = next
	}
	return at+s.after == rec.End
}

// bogus reports whether the server says that what it found is not valid (RFC 8914 §4.7 to
// §4.13), which is no failure of its own.
func (in *inspection) bogus() bool {
	return in.rcode == wire.RcodeServFail && in.ede >= wire.EDEBogus && in.ede <= wire.EDENSECMissing
}

// lame reports whether a reply only refers to other servers: the one that sent it has
// nothing to say about the name.
func (in *inspection) lame(msg []byte) bool {
	return in.rcode == wire.RcodeSuccess && !in.answers && in.ns && !in.soa && wire.Flags(msg)&wire.FlagAA == 0
}
