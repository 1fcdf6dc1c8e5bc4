package store

import "errors"

var (
	errEscape  = errors.New("bad %xx escape")
	errCapital = errors.New("a capital: labels are written in lower case, and their escapes too")
)

// plain says which octets stand for themselves in a part of a key; all others
// are written %xx.
type plain [256]bool

var (
	// labelPlain leaves capitals out: labels are lower case, and a part that
	// begins with a capital is a type.
	labelPlain = plainSet("abcdefghijklmnopqrstuvwxyz0123456789-_*")
	ownerPlain = plainSet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+@=")
)

func plainSet(octets string) *plain {
	var p plain
	for _, c := range []byte(octets) {
		p[c] = true
	}
	return &p
}

func appendEscaped[T string | []byte](b []byte, s T, p *plain) []byte {
	const hex = "0123456789abcdef"
	for i := range len(s) {
		if c := s[i]; p[c] {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// unescape is the inverse of appendEscaped and takes nothing else.
func unescape(b, s []byte, p *plain) ([]byte, error) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if p[c] {
			b = append(b, c)
			continue
		}
		if c != '%' || i+2 >= len(s) {
			return b, errEscape
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi > 15 || lo > 15 || p[hi<<4|lo] {
			return b, errEscape
		}
		b = append(b, hi<<4|lo)
		i += 2
	}
	return b, nil
}

// unhex gives the value of a lower-case digit, 255 for anything else.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
