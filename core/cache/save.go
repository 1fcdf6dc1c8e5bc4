package cache

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The file of a saved cache, all numbers big-endian:
//
//	magic    "strata cache\n" and the version, 1 octet
//	records  length of the message, 4 octets, never 0;
//	         when it was stored, 8 octets, ms since 1970;
//	         for how long it was fresh, 4 octets, ms;
//	         the question's marks, 1 octet: 1 DO, 2 CD; its view, 4 octets;
//	         the message, a whole DNS reply
//	end      length 0, 4 octets
//	sum      CRC-64 (ECMA-182) of all before it, 8 octets
const (
	fileMagic   = "strata cache\n\x02"
	recordFixed = 8 + 4 + 1 + 4
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// Save writes what could still be served to a file, in place of an older one,
// for Load. It is to be called before Close. The file is complete and on disk, or
// the older one stays as it is. It returns the number of entries.
func (c *Cache) Save(path string) (int, error) {
	n, err := c.save(path)
	if err != nil {
		return 0, fmt.Errorf("save cache to %s: %w", path, err)
	}
	return n, nil
}

func (c *Cache) save(path string) (n int, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if n, err = c.write(f); err != nil {
		return 0, err
	}
	if err = f.Sync(); err != nil {
		return 0, err
	}
	if err = f.Close(); err != nil {
		return 0, err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return 0, err
	}
	return n, syncDir(filepath.Dir(path))
}

// syncDir has a rename survive a power cut.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// write writes the whole file.
func (c *Cache) write(to io.Writer) (int, error) {
	w := summed{w: bufio.NewWriterSize(to, 1<<16), sum: crc64.New(crcTable)}
	w.Write([]byte(fileMagic))
	now := c.Now()
	wall := time.Now().UnixMilli() - int64(now) // of Instant 0
	var buf []byte
	n := 0
	c.index.each(func(e *entry) bool {
		if e.usable(now, c.staleFor) {
			buf = e.appendRecord(buf[:0], wall)
			w.Write(buf)
			n++
		}
		return w.err == nil
	})
	w.Write([]byte{0, 0, 0, 0})
	w.Write(w.sum.Sum(nil))
	if w.err != nil {
		return 0, w.err
	}
	return n, w.w.Flush()
}

func (e *entry) appendRecord(dst []byte, wall int64) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(wall+int64(e.stored)))
	dst = binary.BigEndian.AppendUint32(dst, e.life)
	dst = append(dst, byte(e.marks&questionMarks))
	dst = binary.BigEndian.AppendUint32(dst, e.view)
	dst = e.appendMessage(dst)
	binary.BigEndian.PutUint32(dst, uint32(len(dst)-4-recordFixed))
	return dst
}

// summed is a writer that keeps the sum, and the first error, of what it writes.
type summed struct {
	w   *bufio.Writer
	sum hash.Hash64
	err error
}

func (s *summed) Write(b []byte) {
	if s.err == nil {
		s.sum.Write(b)
		_, s.err = s.w.Write(b)
	}
}
