package store

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// WriteSnapshot writes records to path by way of path+".tmp": the file there is
// the old one or the new one, whole and on the disk, whenever the machine stops.
// An error of the sequence or of the disk leaves the old one. When all records have come,
// zones gives the apexes of the zones that they are all there are of, in wire form; nil:
// that is not known.
func WriteSnapshot(path string, revision int64, at time.Time, records iter.Seq2[Record, error], zones func() [][]byte) error {
	tmp := path + ".tmp"
	file, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	err = writeSnapshot(file, SnapshotInfo{Revision: revision, Time: at}, records, zones)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write snapshot %s: %w", path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write snapshot %s: %w", path, err)
	}
	return nil
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// turn is after how many records others are let in: some 100 µs. Go would let who waits
// to read or apply a change wait for 10 ms, at each step of the way.
const turn = 256

// writeSnapshot writes the blocks behind a head without count, and the head again
// when the records are counted. The foot's CRC is of the final head: it is put
// together of the head's and that of the rest.
func writeSnapshot(file *os.File, info SnapshotInfo, records iter.Seq2[Record, error], zones func() [][]byte) error {
	if _, err := file.Seek(snapHead, io.SeekStart); err != nil {
		return err
	}
	w := &blockWriter{w: bufio.NewWriterSize(&trickle{file: file, from: snapHead, to: snapHead}, 256<<10)}
	for rec, err := range records {
		if err != nil {
			return err
		}
		if err := w.put(rec); err != nil {
			return err
		}
		if info.Count++; info.Count%turn == 0 {
			runtime.Gosched()
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	if zones != nil {
		if err := w.putZones(zones()); err != nil {
			return err
		}
	}
	head := info.head()
	foot := binary.LittleEndian.AppendUint32(make([]byte, 0, snapFrame), 0)
	foot = binary.LittleEndian.AppendUint32(foot, footCRC(head, w.crc))
	if _, err := w.w.Write(foot); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	_, err := file.WriteAt(head, 0)
	return err
}

// footCRC is the CRC of the head followed by the CRC of the blocks.
func footCRC(head []byte, blocks uint32) uint32 {
	return crc32.Update(crc(head), castagnoli, binary.LittleEndian.AppendUint32(nil, blocks))
}

type blockWriter struct {
	w     *bufio.Writer
	block []byte
	owner string // of the record before, "" at a block's begin
	crc   uint32 // of all blocks with their frames
}

func (w *blockWriter) put(rec Record) error {
	if err := checkName(rec.Name); err != nil || rec.Owner == "" || len(rec.Owner) > MaxOwner {
		return fmt.Errorf("%w: %s", ErrEdit, rec)
	}
	b := w.block
	b = binary.AppendUvarint(b, uint64(len(rec.Name)))
	b = append(b, rec.Name...)
	b = binary.AppendUvarint(b, uint64(rec.Type))
	if rec.Owner == w.owner {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(b, uint64(len(rec.Owner)))
		b = append(b, rec.Owner...)
		w.owner = rec.Owner
	}
	b = binary.AppendUvarint(b, uint64(rec.TTL))
	b = binary.AppendUvarint(b, uint64(len(rec.Data)))
	for _, rdata := range rec.Data {
		b = binary.AppendUvarint(b, uint64(len(rdata)))
		b = append(b, rdata...)
	}
	if rec.Probe == "" {
		b = append(b, 0)
	} else {
		b = append(b, 1, snapProbe)
		b = binary.AppendUvarint(b, uint64(len(rec.Probe)))
		b = append(b, rec.Probe...)
	}
	if w.block = b; len(b) < snapBlock {
		return nil
	}
	return w.flush()
}

// putZones writes the block of the zones.
func (w *blockWriter) putZones(apexes [][]byte) error {
	b := binary.AppendUvarint(append(w.block, 0), uint64(len(apexes)))
	for _, apex := range apexes {
		b = binary.AppendUvarint(b, uint64(len(apex)))
		b = append(b, apex...)
	}
	w.block = b
	return w.flush()
}

func (w *blockWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	if len(w.block) > snapMost {
		return fmt.Errorf("block of %d octets", len(w.block))
	}
	var frame [snapFrame]byte
	binary.LittleEndian.PutUint32(frame[:], uint32(len(w.block)))
	binary.LittleEndian.PutUint32(frame[4:], crc(w.block))
	w.crc = crc32.Update(w.crc, castagnoli, frame[:])
	if _, err := w.w.Write(frame[:]); err != nil {
		return err
	}
	if _, err := w.w.Write(w.block); err != nil {
		return err
	}
	w.block, w.owner = w.block[:0], ""
	return nil
}
