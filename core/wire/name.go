package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Name errors.
var (
	ErrNameLong   = errors.New("name is longer than 255 octets")
	ErrLabelLong  = errors.New("label is longer than 63 octets")
	ErrLabelEmpty = errors.New("empty label")
	ErrEscape     = errors.New("bad escape: \\DDD or \\X")
)

// ParseName reads a name in presentation form (RFC 1035 §5.1: \. and \DDD
// escapes) into folded wire form. A missing last dot is understood.
func ParseName(s string) ([]byte, error) {
	if s == "." || s == "" {
		return []byte{0}, nil
	}
	name := make([]byte, 1, len(s)+2)
	label := 0 // offset of the length octet being filled
	closeLabel := func() error {
		n := len(name) - label - 1
		switch {
		case n == 0:
			return ErrLabelEmpty
		case n > 63:
			return ErrLabelLong
		}
		name[label] = byte(n)
		label = len(name)
		name = append(name, 0)
		return nil
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.':
			if err := closeLabel(); err != nil {
				return nil, fmt.Errorf("name %q: %w", s, err)
			}
			continue
		case c == '\\':
			var n int
			if c, n = unescape(s[i+1:]); n == 0 {
				return nil, fmt.Errorf("name %q: %w", s, ErrEscape)
			}
			i += n
		}
		name = append(name, lower(c))
	}
	if label != len(name)-1 {
		if err := closeLabel(); err != nil {
			return nil, fmt.Errorf("name %q: %w", s, err)
		}
	}
	if len(name) > MaxName {
		return nil, fmt.Errorf("name %q: %w", s, ErrNameLong)
	}
	return name, nil
}

// MustName is ParseName for names written in the source.
func MustName(s string) []byte {
	name, err := ParseName(s)
	if err != nil {
		panic(err)
	}
	return name
}

// unescape reads what follows a backslash and returns the octet and how many
// characters it took, 0 for none.
func unescape(s string) (byte, int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < '0' || s[0] > '9' {
		return s[0], 1
	}
	if len(s) < 3 {
		return 0, 0
	}
	v := 0
	for _, d := range []byte(s[:3]) {
		if d < '0' || d > '9' {
			return 0, 0
		}
		v = v*10 + int(d-'0')
	}
	if v > 255 {
		return 0, 0
	}
	return byte(v), 3
}

// NameString gives the presentation form of a valid wire name, with the last
// dot; octets that are not printable ASCII come as \DDD.
func NameString(name []byte) string {
	if len(name) == 0 || name[0] == 0 {
		return "."
	}
	var b strings.Builder
	for i := 0; i < len(name) && name[i] != 0; {
		end := i + 1 + int(name[i])
		for _, c := range name[i+1 : min(end, len(name))] {
			switch {
			case c == '.' || c == '\\' || c == '"' || c == ';' || c == '@' || c == '$' || c == '(' || c == ')':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c <= ' ' || c > '~':
				fmt.Fprintf(&b, "\\%03d", c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('.')
		i = end
	}
	return b.String()
}

// NameLen gives the length of the uncompressed name at the start of b, or 0
// where there is none: too short, too long, or compressed.
func NameLen(b []byte) int {
	for i := 0; i < len(b) && i < MaxName; i += 1 + int(b[i]) {
		if b[i] == 0 {
			return i + 1
		}
		if b[i] > 63 {
			return 0
		}
	}
	return 0
}

// Labels counts the labels of a valid name, the root's not among them.
func Labels(name []byte) int {
	n := 0
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		n++
	}
	return n
}

// IsWildcard reports whether a valid name begins with an asterisk (RFC 4592 §2.1.1).
func IsWildcard(name []byte) bool { return name[0] == 1 && name[1] == '*' }

// IsSubdomain reports whether name is zone or below it. Both are folded.
func IsSubdomain(name, zone []byte) bool {
	skip := len(name) - len(zone)
	if skip < 0 || string(name[skip:]) != string(zone) {
		return false
	}
	i := 0
	for i < skip { // the cut must fall between two labels
		i += 1 + int(name[i])
	}
	return i == skip
}

// Parent returns name without its first label. The root's parent is the root.
func Parent(name []byte) []byte {
	if name[0] == 0 {
		return name
	}
	return name[1+int(name[0]):]
}

// Fold lower-cases the ASCII letters of a name in place. Length octets are at
// most 63 and so below 'A': the name can be folded as plain octets (RFC 4343).
func Fold(b []byte) {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], fold8(binary.LittleEndian.Uint64(b[i:])))
	}
	for ; i < len(b); i++ {
		b[i] = lower(b[i])
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// fold8 lower-cases eight octets at once: an octet is a capital where adding
// 0x80-'A' to its low seven bits carries into the top bit and adding 0x7f-'Z'
// does not, and its own top bit is clear.
func fold8(w uint64) uint64 {
	const ones = 0x0101010101010101
	low := w & (0x7f * ones)
	upper := ((low + (0x80-'A')*ones) ^ (low + (0x7f-'Z')*ones)) & ^w & (0x80 * ones)
	return w | upper>>2
}

// EqualFold reports whether a and b are the same name whatever their case; b
// is folded already.
func EqualFold(a, b []byte) bool {
	n := len(a)
	if n != len(b) {
		return false
	}
	if n < 8 {
		for i, c := range a {
			if lower(c) != b[i] {
				return false
			}
		}
		return true
	}
	for i := 0; i+8 < n; i += 8 {
		if fold8(binary.LittleEndian.Uint64(a[i:])) != binary.LittleEndian.Uint64(b[i:]) {
			return false
		}
	}
	return fold8(binary.LittleEndian.Uint64(a[n-8:])) == binary.LittleEndian.Uint64(b[n-8:])
}
