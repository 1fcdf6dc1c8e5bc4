package cache

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// ErrCorrupt is what Load wraps where a file is not a whole saved cache.
var ErrCorrupt = errors.New("corrupt cache file")

// Load reads what Save wrote, and returns the number of entries that can still
// be served. A file that is not there is no error. One that is corrupt is left
// aside, renamed to end in ".corrupt", nothing of it is used, and the error wraps
// ErrCorrupt.
func (c *Cache) Load(path string) (int, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("load cache: %w", err)
	case !info.Mode().IsRegular(): // opening it might take for ever
		return 0, fmt.Errorf("load cache: %s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("load cache: %w", err)
	}
	defer f.Close()
	n, err := c.load(f)
	if errors.Is(err, ErrCorrupt) {
		aside := path + ".corrupt"
		if os.Rename(path, aside) == nil {
			return 0, fmt.Errorf("load cache: %s, left aside as %s: %w", path, aside, err)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("load cache: %s: %w", path, err)
	}
	return n, nil
}

// load goes over the file twice: nothing is believed before the sum is right.
func (c *Cache) load(f io.ReadSeeker) (int, error) {
	if err := checkSum(f); err != nil {
		return 0, err
	}
	if _, err := f.Seek(int64(len(fileMagic)), io.SeekStart); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(f, 1<<16)
	now := c.Now()
	wall := time.Now().UnixMilli() - int64(now)
	n := 0
	var rec record
	for {
		more, err := rec.read(r)
		if err != nil || !more {
			return n, err
		}
		if c.restore(&rec, now, wall) {
			n++
		}
	}
}

// checkSum reads the whole file and compares its sum.
func checkSum(f io.ReadSeeker) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	const least = int64(len(fileMagic)) + 4 + 8
	if size < least {
		return fmt.Errorf("%w: %d octets", ErrCorrupt, size)
	}
	sum := crc64.New(crcTable)
	magic := make([]byte, len(fileMagic))
	if _, err := io.ReadFull(io.TeeReader(f, sum), magic); err != nil {
		return err
	}
	if string(magic) != fileMagic {
		return fmt.Errorf("%w: no cache of this version", ErrCorrupt)
	}
	if _, err := io.CopyN(sum, f, size-8-int64(len(fileMagic))); err != nil {
		return err
	}
	var want [8]byte
	if _, err := io.ReadFull(f, want[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(want[:]) != sum.Sum64() {
		return fmt.Errorf("%w: wrong sum", ErrCorrupt)
	}
	return nil
}

// A record is one entry in the file.
type record struct {
	stored int64 // ms since 1970
	life   uint32
	marks  marks
	view   uint32
	msg    []byte
}

// read reads the next record, and reports false at the end.
func (rec *record) read(r io.Reader) (bool, error) {
	var head [4 + recordFixed]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	size := binary.BigEndian.Uint32(head[:])
	switch {
	case size == 0:
		return false, nil
	case size > wire.MaxMessage:
		return false, fmt.Errorf("%w: record of %d octets", ErrCorrupt, size)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	rec.stored = int64(binary.BigEndian.Uint64(head[4:]))
	rec.life = binary.BigEndian.Uint32(head[12:])
	rec.marks = marks(head[16]) & questionMarks
	rec.view = binary.BigEndian.Uint32(head[17:])
	if cap(rec.msg) < int(size) {
		rec.msg = make([]byte, size)
	}
	rec.msg = rec.msg[:size]
	if _, err := io.ReadFull(r, rec.msg); err != nil {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return true, nil
}

// restore stores a record as if upstream had sent it when it did: what rules
// apply to an upstream's message apply to a file's, too. It reports false where
// the record can no longer be served, or something newer is known. An entry from
// the future, as the host's clock was set back, counts as stored now.
func (c *Cache) restore(rec *record, now Instant, wall int64) bool {
	end := wire.QuestionEnd(rec.msg)
	if end < 0 {
		return false
	}
	name := append([]byte(nil), rec.msg[wire.HeaderLen:end-4]...)
	wire.Fold(name)
	q := Question{
		Name: name, Type: binary.BigEndian.Uint16(rec.msg[end-4:]), Class: binary.BigEndian.Uint16(rec.msg[end-2:]),
		DO: rec.marks&markDO != 0, CD: rec.marks&markCD != 0, View: rec.view,
	}
	stored := min(Instant(max(rec.stored, 0)-wall), now)
	e, err := c.understand(&q, q.key(), rec.msg, stored)
	if err != nil {
		return false
	}
	e.life = min(e.life, rec.life)
	if !e.usable(now, c.staleFor) || c.index.question(&q, e.key) != nil {
		return false
	}
	c.keep(e, now)
	return true
}
