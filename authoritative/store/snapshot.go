package store

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// A snapshot file, all integers little-endian:
//
//	head     magic [8], version uint32, revision int64, Unix nanoseconds int64, count uint64, CRC of the head
//	blocks   length uint32 (never 0), CRC of the payload, payload
//	foot     uint32 0, CRC of the head and of all lengths and CRCs: of everything
//
// A payload is whole records, one behind another, lengths and numbers as uvarint:
//
//	length of name, name, type, length of owner (0: as the one before), owner, TTL, number of rdata, (length, rdata)…,
//	number of attributes, (what it is, length, value)…
//
// An attribute is what most records do not have. One that is not known is passed
// over. Version 1 had none.
//
// A payload that begins with 0, as no name does, is the zones that the records are
// all there are of: 0, their number, (length, name of the apex)…. Versions 1 and 2 had
// none, so that a zone without records could not be told from one that is new.
//
// CRCs are CRC-32C, which the processor computes faster than a disk reads.
const (
	snapMagic   = "strata\x00\x1a"
	snapVersion = 3
	snapOldest  = 1 // that is read
	snapHead    = 8 + 4 + 8 + 8 + 8 + 4
	snapFrame   = 4 + 4     // of a block and of the foot
	snapBlock   = 128 << 10 // a block is closed when it has reached this
	snapMost    = 1 << 30   // octets of a block, at most: one record may be long
)

// What an attribute is.
const snapProbe = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// SnapshotInfo is what the head of a snapshot says.
type SnapshotInfo struct {
	Revision int64     // etcd's, of the records
	Time     time.Time // of writing
	Count    uint64    // records
}

func (s SnapshotInfo) head() []byte {
	b := make([]byte, 0, snapHead)
	b = append(b, snapMagic...)
	b = binary.LittleEndian.AppendUint32(b, snapVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Revision))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Time.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, s.Count)
	return binary.LittleEndian.AppendUint32(b, crc(b))
}
