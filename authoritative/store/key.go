package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

// MaxOwner is the greatest length of an owner, in octets.
const MaxOwner = 255

const maxLabel = 63 // RFC 1035 §2.3.4

// Key errors.
var (
	ErrKey   = errors.New("not the key of a record")
	ErrOwner = fmt.Errorf("owner must have 1 to %d octets", MaxOwner)
	errName  = errors.New("not a lower-cased, uncompressed wire name")
)

// keys knows where the records are: "/strata/v1" gives "/strata/v1/records/".
type keys struct{ records string }

func newKeys(prefix string) keys {
	if prefix = strings.Trim(prefix, "/"); prefix == "" {
		return keys{records: "/records/"}
	}
	return keys{records: "/" + prefix + "/records/"}
}

// all is the range of all records' keys.
func (k keys) all() (start, end string) { return k.under([]byte{0}) }

// under is the range of the keys of name and of all names below it.
func (k keys) under(name []byte) (start, end string) {
	p := k.appendName(nil, name)
	start = string(p)
	p[len(p)-1]++ // '0' follows '/'
	return start, string(p)
}

// at is the range of the keys of name alone: what comes behind it begins with a
// capital for types, and never for labels.
func (k keys) at(name []byte) (start, end string) {
	p := string(k.appendName(nil, name))
	return p + "A", p + "["
}

// key is where owner keeps its RRset of name and typ.
func (k keys) key(name []byte, typ uint16, owner string) string {
	b := k.appendName(make([]byte, 0, 128), name)
	b = append(b, TypeString(typ)...)
	b = append(b, '/')
	return string(appendEscaped(b, owner, ownerPlain))
}

// appendName appends the records' folder and name's labels, each with a '/' behind.
func (k keys) appendName(b, name []byte) []byte {
	b = append(b, k.records...)
	var offs [wire.MaxLabels + 1]int
	n := 0
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		offs[n] = i
		n++
	}
	for n--; n >= 0; n-- {
		i := offs[n]
		b = appendEscaped(b, name[i+1:i+1+int(name[i])], labelPlain)
		b = append(b, '/')
	}
	return b
}

// parse reads a key; the name is appended to arena. Each record has one key only:
// an escape that was not needed, or a capital in a label, is an error.
func (k keys) parse(key, arena []byte) (name []byte, typ uint16, owner []byte, grown []byte, err error) {
	rest, ok := bytes.CutPrefix(key, []byte(k.records))
	if !ok {
		return nil, 0, nil, arena, ErrKey
	}
	cut := bytes.LastIndexByte(rest, '/')
	if cut < 0 {
		return nil, 0, nil, arena, ErrKey
	}
	rest, ownerPart := rest[:cut], rest[cut+1:]
	cut = bytes.LastIndexByte(rest, '/')
	labels, typePart := rest[:max(cut, 0)], rest[cut+1:]
	if typ, err = parseType(typePart); err != nil {
		return nil, 0, nil, arena, fmt.Errorf("%w: %w", ErrKey, err)
	}
	begin := len(arena)
	for more := cut >= 0; more; { // the labels, from the last one of the key
		cut = bytes.LastIndexByte(labels, '/')
		more = cut >= 0
		length := len(arena)
		arena = append(arena, 0)
		if arena, err = unescape(arena, labels[cut+1:], labelPlain); err != nil {
			if hasCapital(labels[cut+1:]) { // what people write; no escape would make it right
				err = errCapital
			}
			return nil, 0, nil, arena, fmt.Errorf("%w: label %q: %w", ErrKey, labels[cut+1:], err)
		}
		n := len(arena) - length - 1
		if n == 0 || n > maxLabel {
			return nil, 0, nil, arena, fmt.Errorf("%w: label of %d octets", ErrKey, n)
		}
		if hasCapital(arena[length+1:]) {
			return nil, 0, nil, arena, fmt.Errorf("%w: label %q: %w", ErrKey, arena[length+1:], errCapital)
		}
		arena[length] = byte(n)
		labels = labels[:max(cut, 0)]
	}
	arena = append(arena, 0)
	name = arena[begin:len(arena):len(arena)]
	if len(name) > wire.MaxName {
		return nil, 0, nil, arena, fmt.Errorf("%w: %w", ErrKey, wire.ErrNameLong)
	}
	begin = len(arena)
	if arena, err = unescape(arena, ownerPart, ownerPlain); err != nil {
		return nil, 0, nil, arena, fmt.Errorf("%w: owner %q: %w", ErrKey, ownerPart, err)
	}
	owner = arena[begin:len(arena):len(arena)]
	if len(owner) == 0 || len(owner) > MaxOwner {
		return nil, 0, nil, arena, fmt.Errorf("%w: %w", ErrKey, ErrOwner)
	}
	return name, typ, owner, arena, nil
}

// checkName reports whether name is what keys are made of.
func checkName(name []byte) error {
	if n := wire.NameLen(name); n == 0 || n != len(name) {
		return errName
	}
	if hasCapital(name) { // length octets are below 'A'
		return errName
	}
	return nil
}

func hasCapital(b []byte) bool {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}
