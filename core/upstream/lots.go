package upstream

import (
	"crypto/rand"
	"encoding/binary"
)

// lots are numbers nobody can guess, for IDs, ports and case (RFC 5452 §9.2),
// fetched from the system some hundred octets at a time.
type lots struct {
	buf  [512]byte
	left int
}

func (l *lots) take(n int) []byte {
	if l.left < n {
		_, _ = rand.Read(l.buf[:]) // never fails: it ends the process instead
		l.left = len(l.buf)
	}
	l.left -= n
	return l.buf[l.left : l.left+n]
}

func (l *lots) uint16() uint16 { return binary.NativeEndian.Uint16(l.take(2)) }
func (l *lots) uint32() uint32 { return binary.NativeEndian.Uint32(l.take(4)) }
func (l *lots) uint64() uint64 { return binary.NativeEndian.Uint64(l.take(8)) }
