package cache

import "github.com/strata-dns/strata/core/wire"

// A layout says where the names are in a type's data, as they may be compressed
// there by whoever sent it and have to be written anew. Types that are not
// listed are copied as they are: since RFC 3597 §4 no name in them is compressed.
type layout struct {
	before   int  // octets in front of the names
	strings  int  // then character strings (NAPTR)
	names    int  // then names
	after    int  // octets behind them, exactly
	open     bool // or any number of octets
	compress bool // the names may be compressed in what we write (RFC 1035 only)
}

var layouts = map[uint16]layout{
	wire.TypeA:     {before: 4},
	wire.TypeNS:    {names: 1, compress: true},
	3:              {names: 1, compress: true}, // MD
	4:              {names: 1, compress: true}, // MF
	wire.TypeCNAME: {names: 1, compress: true},
	wire.TypeSOA:   {names: 2, after: 20, compress: true},
	7:              {names: 1, compress: true}, // MB
	8:              {names: 1, compress: true}, // MG
	9:              {names: 1, compress: true}, // MR
	wire.TypePTR:   {names: 1, compress: true},
	14:             {names: 2, compress: true}, // MINFO
	wire.TypeMX:    {before: 2, names: 1, compress: true},
	17:             {names: 2},                         // RP
	18:             {before: 2, names: 1},              // AFSDB
	21:             {before: 2, names: 1},              // RT
	24:             {before: 18, names: 1, open: true}, // SIG
	26:             {before: 2, names: 2},              // PX
	wire.TypeAAAA:  {before: 16},
	30:             {names: 1, open: true}, // NXT
	wire.TypeSRV:   {before: 6, names: 1},
	35:             {before: 4, strings: 3, names: 1}, // NAPTR
	36:             {before: 2, names: 1},             // KX
	wire.TypeDNAME: {names: 1},
	wire.TypeRRSIG: {before: 18, names: 1, open: true},
	wire.TypeNSEC:  {names: 1, open: true},
}

// putData writes the data of rec, taken from msg, and reports whether it was
// what its type asks for.
func (b *builder) putData(msg []byte, rec *wire.Record) bool {
	l, listed := layouts[rec.Type]
	if !listed {
		b.out = append(b.out, msg[rec.Data:rec.End]...)
		return true
	}
	off := rec.Data + l.before
	for range l.strings {
		if off >= rec.End {
			return false
		}
		off += 1 + int(msg[off])
	}
	if off > rec.End {
		return false
	}
	b.out = append(b.out, msg[rec.Data:off]...)
	for range l.names {
		n, next, ok := wire.ReadName(msg[:rec.End], off, &b.name)
		if !ok {
			return false
		}
		b.putName(b.name[:n], l.compress)
		off = next
	}
	if left := rec.End - off; left < l.after || left > l.after && !l.open {
		return false
	}
	b.out = append(b.out, msg[off:rec.End]...)
	return true
}
