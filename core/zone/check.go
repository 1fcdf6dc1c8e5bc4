package zone

import (
	"bytes"

	"github.com/strata-dns/strata/core/wire"
)

// Check refuses what a table would not take.
func (rec *Record) Check() error { return rec.check() }

// check refuses what could not be answered with: names and data are written into
// replies, followed and measured without another look.
func (rec *Record) check() error {
	if wire.NameLen(rec.Name) != len(rec.Name) {
		return ErrData
	}
	if rec.Type == 0 || rec.Type == wire.TypeOPT || rec.Type >= 128 && rec.Type <= 255 {
		return ErrType
	}
	for _, d := range rec.Data {
		if len(d) > 65535 || !fits(rec.Type, d) {
			return ErrData
		}
		if single(rec.Type) && !bytes.Equal(d, rec.Data[0]) {
			return ErrSingle
		}
	}
	return nil
}

// fits reports whether data has the form of its type, for the types that answers
// look into (RFC 1035 §3.3, RFC 2782, RFC 3596, RFC 4034, RFC 5155, RFC 6672).
func fits(typ uint16, d []byte) bool {
	switch typ {
	case wire.TypeA:
		return len(d) == 4
	case wire.TypeAAAA:
		return len(d) == 16
	case wire.TypeNS, wire.TypeCNAME, wire.TypeDNAME, wire.TypePTR:
		return isName(d)
	case wire.TypeMX:
		return len(d) > 2 && isName(d[2:])
	case wire.TypeSRV:
		return len(d) > 6 && isName(d[6:])
	case wire.TypeSOA:
		mname := wire.NameLen(d)
		return mname > 0 && len(d) > mname+20 && isName(d[mname:len(d)-20])
	case wire.TypeRRSIG:
		return len(d) > 18 && wire.NameLen(d[18:]) > 0
	case wire.TypeNSEC:
		return wire.NameLen(d) > 0
	case wire.TypeNSEC3:
		return len(d) > 5+int(d[4])
	case TypeOrder:
		n := orderingLen(d)
		return n > 0 && n == len(d)
	case wire.TypeNSEC3PARAM:
		return len(d) >= 5 && len(d) == 5+int(d[4])
	}
	return true
}

func isName(d []byte) bool { return len(d) > 0 && wire.NameLen(d) == len(d) }
