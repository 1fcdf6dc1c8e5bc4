package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"slices"
	"time"
)

// ErrSnapshot is a file that is no snapshot, of another version, cut off or damaged.
var ErrSnapshot = errors.New("not a snapshot to use")

// A Snapshot is a state in a file, found whole.
type Snapshot struct {
	SnapshotInfo
	// Zones are the apexes of the zones that the records are all there are of, in wire
	// form; nil: that is not known.
	Zones [][]byte

	path string
	file io.ReadSeekCloser
	size int64
}

// OpenSnapshot opens a file and reads it all once, records too: nothing of it is
// to be used unless all of it is right. A file that is not there is fs.ErrNotExist.
func OpenSnapshot(path string) (*Snapshot, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	stat, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	s := &Snapshot{path: path, file: file, size: stat.Size()}
	if err := s.verify(); err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the file.
func (s *Snapshot) Close() error { return s.file.Close() }

func (s *Snapshot) verify() error {
	n := uint64(0)
	for _, err := range s.Records() {
		if err != nil {
			return err
		}
		n++
	}
	if n != s.Count {
		return fmt.Errorf("read snapshot %s: %w: %d records where its head says %d", s.path, ErrSnapshot, n, s.Count)
	}
	return nil
}

// Records streams the records in the order they were written. What a record's
// slices hold is valid until the next iteration. It can be walked again, but by
// one at a time.
func (s *Snapshot) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r := &blockReader{left: s.size, owners: make(map[string]string)}
		stopped := false
		err := r.all(s, func(rec Record) bool {
			stopped = !yield(rec, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Record{}, fmt.Errorf("read snapshot %s: at offset %d: %w", s.path, s.size-r.left, err))
		}
	}
}

// Restore fills a sink, which it shows the snapshot before, from the one at path and
// says what it was. On an error the sink holds what it held.
func Restore(path string, sink func(*Snapshot) Sink) (SnapshotInfo, error) {
	s, err := OpenSnapshot(path)
	if err != nil {
		return SnapshotInfo{}, err
	}
	defer s.Close()
	if err := sink(s).Replace(s.Records(), s.Revision); err != nil {
		return SnapshotInfo{}, fmt.Errorf("restore snapshot %s: %w", path, err)
	}
	return s.SnapshotInfo, nil
}

// A blockReader reads one block at a time into the same buffer.
type blockReader struct {
	r      *bufio.Reader
	left   int64 // octets of the file not read yet
	block  []byte
	data   [][]byte
	owner  string
	owners map[string]string
	crc    uint32
	zones  [][]byte

	version uint32
}

func (r *blockReader) read(b []byte) error {
	if int64(len(b)) > r.left { // before making room for what a broken length says
		return fmt.Errorf("%w: cut off", ErrSnapshot)
	}
	n, err := io.ReadFull(r.r, b)
	if r.left -= int64(n); err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return nil
}

func (r *blockReader) all(s *Snapshot, yield func(Record) bool) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r.r = bufio.NewReaderSize(s.file, 64<<10)
	head := make([]byte, snapHead)
	if err := r.read(head); err != nil {
		return err
	}
	if err := s.readHead(head); err != nil {
		return err
	}
	r.version = binary.LittleEndian.Uint32(head[8:])
	for {
		length, sum, err := r.frame()
		if err != nil {
			return err
		}
		if length == 0 {
			s.Zones = r.zones
			return r.foot(head, sum)
		}
		if err := r.next(length, sum); err != nil {
			return err
		}
		if more, err := r.records(yield); !more || err != nil {
			return err
		}
	}
}

func (s *Snapshot) readHead(head []byte) error {
	le := binary.LittleEndian
	switch {
	case string(head[:8]) != snapMagic:
		return fmt.Errorf("%w: no snapshot at all", ErrSnapshot)
	case le.Uint32(head[8:]) < snapOldest || le.Uint32(head[8:]) > snapVersion:
		return fmt.Errorf("%w: version %d, and this is for versions %d to %d", ErrSnapshot, le.Uint32(head[8:]), snapOldest, snapVersion)
	case crc(head[:snapHead-4]) != le.Uint32(head[snapHead-4:]):
		return fmt.Errorf("%w: its head is damaged", ErrSnapshot)
	}
	s.Revision = int64(le.Uint64(head[12:]))
	s.Time = time.Unix(0, int64(le.Uint64(head[20:])))
	s.Count = le.Uint64(head[28:])
	return nil
}

func (r *blockReader) frame() (length int, sum uint32, err error) {
	var frame [snapFrame]byte
	if err := r.read(frame[:]); err != nil {
		return 0, 0, err
	}
	n := binary.LittleEndian.Uint32(frame[:])
	if n > snapMost {
		return 0, 0, fmt.Errorf("%w: block of %d octets", ErrSnapshot, n)
	}
	if n > 0 {
		r.crc = crc32.Update(r.crc, castagnoli, frame[:])
	}
	return int(n), binary.LittleEndian.Uint32(frame[4:]), nil
}

func (r *blockReader) foot(head []byte, sum uint32) error {
	switch {
	case footCRC(head, r.crc) != sum:
		return fmt.Errorf("%w: checksum of the whole is wrong", ErrSnapshot)
	case r.left != 0:
		return fmt.Errorf("%w: %d octets behind its end", ErrSnapshot, r.left)
	}
	return nil
}

func (r *blockReader) next(length int, sum uint32) error {
	if int64(length) > r.left {
		return fmt.Errorf("%w: cut off", ErrSnapshot)
	}
	if cap(r.block) < length {
		r.block = make([]byte, max(length, snapBlock+snapBlock/8))
	}
	r.block = r.block[:length]
	if err := r.read(r.block); err != nil {
		return err
	}
	if crc(r.block) != sum {
		return fmt.Errorf("%w: the block of %d octets before is damaged", ErrSnapshot, length)
	}
	return nil
}

// records yields the block's records; more is false where yield had enough.
func (r *blockReader) records(yield func(Record) bool) (more bool, err error) {
	r.owner = ""
	f := fields(r.block)
	if r.version > 2 && f[0] == 0 {
		if f = f[1:]; !r.readZones(&f) {
			return false, fmt.Errorf("%w: no zones", ErrSnapshot)
		}
	}
	for len(f) > 0 {
		rec, ok := r.record(&f)
		if !ok {
			return false, fmt.Errorf("%w: no record %d octets before", ErrSnapshot, len(f))
		}
		if !yield(rec) {
			return false, nil
		}
	}
	return true, nil
}

// readZones reads the block of the zones.
func (r *blockReader) readZones(f *fields) bool {
	r.zones = [][]byte{}
	for range f.number(uint64(len(*f))) {
		apex := f.octets(255)
		if *f == nil || checkName(apex) != nil {
			return false
		}
		r.zones = append(r.zones, slices.Clone(apex))
	}
	return *f != nil && len(*f) == 0
}

// record reads one record. CRCs are no proof against a file made up by somebody:
// all that others build on is checked.
func (r *blockReader) record(f *fields) (rec Record, ok bool) {
	rec.Name = f.octets(255)
	typ := f.number(65535)
	owner := f.octets(MaxOwner)
	ttl := f.number(MaxTTL)
	count := f.number(uint64(len(*f))) // each takes an octet at least
	if *f == nil || checkName(rec.Name) != nil || count == 0 {
		return rec, false
	}
	r.data = r.data[:0]
	for range count {
		r.data = append(r.data, f.octets(65535))
	}
	if rec.Probe = ""; r.version > 1 {
		rec.Probe = r.attributes(f)
	}
	if len(owner) > 0 {
		r.owner = r.intern(owner)
	}
	if *f == nil || r.owner == "" {
		return rec, false
	}
	rec.Type, rec.Owner, rec.TTL, rec.Data = uint16(typ), r.owner, uint32(ttl), r.data
	return rec, true
}

// attributes reads what a record has besides, the probe.
func (r *blockReader) attributes(f *fields) (probe string) {
	for range f.number(uint64(len(*f))) {
		what := f.number(1<<32 - 1)
		value := f.octets(snapMost)
		if *f == nil {
			return ""
		}
		if what == snapProbe {
			if len(value) > MaxProbe {
				*f = nil
				return ""
			}
			probe = r.intern(value) // many records have the same
		}
	}
	return probe
}

func (r *blockReader) intern(b []byte) string {
	s, ok := r.owners[string(b)]
	if !ok {
		s = string(b)
		r.owners[s] = s
	}
	return s
}

// fields are what is left of a block; nil once something was wrong.
type fields []byte

func (f *fields) number(most uint64) uint64 {
	v, n := binary.Uvarint(*f)
	if n <= 0 || v > most {
		*f = nil
		return 0
	}
	*f = (*f)[n:]
	return v
}

func (f *fields) octets(most uint64) []byte {
	n := f.number(most)
	if uint64(len(*f)) < n {
		*f = nil
		return nil
	}
	b := (*f)[:n:n]
	*f = (*f)[n:]
	return b
}
