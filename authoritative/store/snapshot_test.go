package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

var written = time.Unix(1234567890, 123456789)

func snapshotFile(t testing.TB, recs []Record) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authoritative.snapshot")
	if err := WriteSnapshot(path, 42, written, seq(recs), nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func variousRecords(t testing.TB) []Record {
	return []Record{
		record(t, ".", "NS", "static", MaxTTL, "a.", "b."),
		record(t, "example.org", "SOA", "static", 0, "ns. root. 1 2 3 4 5"),
		record(t, "example.org", "A", "kubernetes:prod-a", 30, "10.0.0.1", "10.0.0.2"),
		record(t, "example.org", "A", "static", 30, "10.0.0.3"),
		record(t, `*.\000\/.example.org`, "TYPE65280", strings.Repeat("o", MaxOwner), 1, `\# 0`, `\# 3 abcdef`),
	}
}

func TestSnapshot(t *testing.T) {
	for what, recs := range map[string][]Record{
		"none": nil, "various": variousRecords(t), "many blocks": many(t, 20000, "example.org", "static"),
	} {
		t.Run(what, func(t *testing.T) {
			path := snapshotFile(t, recs)
			s, err := OpenSnapshot(path)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Revision != 42 || !s.Time.Equal(written) || s.Count != uint64(len(recs)) {
				t.Errorf("%+v", s.SnapshotInfo)
			}
			for range 2 {
				if got := lines(t, s.Records()); !slices.Equal(got, lines(t, seq(recs))) {
					t.Errorf("%d records: %q", len(got), got[:min(len(got), 10)])
				}
			}
			if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
				t.Error(files)
			}
			sink := &tableSink{}
			if info, err := Restore(path, into(sink)); err != nil || sink.revision != 42 || len(sink.lines()) != len(recs) || info != s.SnapshotInfo {
				t.Error(err, sink.revision, len(sink.lines()), info)
			}
		})
	}
}

// Each octet of a snapshot counts: changed, or missing, or one more.
func TestSnapshotDamaged(t *testing.T) {
	path := snapshotFile(t, variousRecords(t))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		sink := &tableSink{held: map[string]string{"old": "old"}}
		_, err := Restore(path, into(sink))
		if !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
		if got := sink.lines(); !slices.Equal(got, []string{"old"}) || sink.replaced != 0 {
			t.Errorf("%s: %q was used", what, got)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit of octet %d", i), b)
		refused(fmt.Sprintf("cut at %d", i), whole[:i])
	}
	refused("one more", append(bytes.Clone(whole), 0))
	later := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(later[8:], snapVersion+1)
	refused("another version", later)
}

func TestSnapshotErrorsSayWhere(t *testing.T) {
	path := snapshotFile(t, many(t, 20000, "example.org", "static"))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = OpenSnapshot(path); err == nil || !strings.Contains(err.Error(), path+": at offset ") || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if _, err = OpenSnapshot(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err = OpenSnapshot(t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
}

// An error in the middle leaves the file that was there, and no other.
func TestSnapshotNotWritten(t *testing.T) {
	recs := variousRecords(t)
	path := snapshotFile(t, recs)
	broken := errors.New("etcd went away")
	failing := func(yield func(Record, error) bool) {
		if yield(recs[0], nil) {
			yield(Record{}, broken)
		}
	}
	nameless := []Record{{Type: 1, Owner: "static"}}
	for what, records := range map[string]iter.Seq2[Record, error]{"error": failing, "no name": seq(nameless)} {
		if err := WriteSnapshot(path, 43, written, records, nil); err == nil || what == "error" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", what, err)
		}
		s, err := OpenSnapshot(path)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if s.Revision != 42 || s.Count != uint64(len(recs)) {
			t.Errorf("%s: %+v", what, s.SnapshotInfo)
		}
		s.Close()
		if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
			t.Errorf("%s: %q", what, files)
		}
	}
	if err := WriteSnapshot(filepath.Join(t.TempDir(), "no", "such"), 1, written, seq(recs), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Reading allocates for the file and not for its records.
func TestSnapshotAllocations(t *testing.T) {
	s, err := OpenSnapshot(snapshotFile(t, many(t, 10000, "example.org", "static")))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	allocs := testing.AllocsPerRun(5, func() {
		for _, err := range s.Records() {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > 200 {
		t.Errorf("%v allocations for 10000 records", allocs)
	}
}

// into restores to a sink, whatever the snapshot.
func into(sink Sink) func(*Snapshot) Sink { return func(*Snapshot) Sink { return sink } }

// The zones of a snapshot are kept, also those without a record; where they are not
// known, that is.
func TestSnapshotZones(t *testing.T) {
	named := func(zones ...string) func() [][]byte {
		all := [][]byte{}
		for _, z := range zones {
			all = append(all, wire.MustName(z))
		}
		return func() [][]byte { return all }
	}
	for what, zones := range map[string]func() [][]byte{"not known": nil, "none": named(), "two": named(".", "empty.example.org")} {
		for _, recs := range [][]Record{nil, variousRecords(t)} {
			path := filepath.Join(t.TempDir(), "snapshot")
			if err := WriteSnapshot(path, 42, written, seq(recs), zones); err != nil {
				t.Fatal(err)
			}
			s, err := OpenSnapshot(path)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var want [][]byte
			if zones != nil {
				want = zones()
			}
			if !reflect.DeepEqual(s.Zones, want) || s.Count != uint64(len(recs)) || !slices.Equal(lines(t, s.Records()), lines(t, seq(recs))) {
				t.Errorf("%s: %q, %+v", what, s.Zones, s.SnapshotInfo)
			}
		}
	}
	for _, block := range []string{"\x00\x01", "\x00\x01\x00", "\x00\x01\x02\x01a", "\x00\x01\x01\x00x", "\x00"} {
		s := &Snapshot{path: "x", file: memFile{bytes.NewReader(mended([]byte(block)))}, size: int64(len(mended([]byte(block))))}
		if err := s.verify(); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), "no zones") {
			t.Errorf("%q: %v", block, err)
		}
	}
}

// memFile is a snapshot without a file.
type memFile struct{ *bytes.Reader }

func (memFile) Close() error { return nil }

var _ io.ReadSeekCloser = memFile{}

// FuzzSnapshot: whatever the octets, an error or records that hold together. The
// checksums are mended, or the fuzzer would never come behind them.
func FuzzSnapshot(f *testing.F) {
	for _, recs := range [][]Record{nil, variousRecords(f)} {
		b, err := os.ReadFile(snapshotFile(f, recs))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if len(recs) > 0 {
			f.Add(b[snapHead+snapFrame : len(b)-snapFrame])
		}
	}
	f.Add([]byte("\x00\x02\x01\x00\x05\x03org\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, file := range [][]byte{b, mended(b)} {
			s := &Snapshot{path: "fuzz", file: memFile{bytes.NewReader(file)}, size: int64(len(file))}
			n := uint64(0)
			for rec, err := range s.Records() {
				if err != nil {
					break
				}
				n++
				if checkName(rec.Name) != nil || rec.Owner == "" || len(rec.Data) == 0 || rec.TTL > MaxTTL {
					t.Fatalf("%+v", rec)
				}
			}
			for _, apex := range s.Zones {
				if checkName(apex) != nil {
					t.Fatalf("zone %q", apex)
				}
			}
			if err := s.verify(); err == nil && n != s.Count {
				t.Fatalf("%d records, %d counted", n, s.Count)
			}
		}
	})
}

// mended makes a file of one block of b.
func mended(b []byte) []byte {
	head := SnapshotInfo{Revision: 1, Time: written, Count: 1}.head()
	w := &blockWriter{block: b}
	file := bytes.Clone(head)
	if len(b) > 0 {
		file = binary.LittleEndian.AppendUint32(file, uint32(len(b)))
		file = binary.LittleEndian.AppendUint32(file, crc(b))
		file = append(file, b...)
		w.crc = crc(file[snapHead : snapHead+snapFrame])
	}
	file = binary.LittleEndian.AppendUint32(file, 0)
	return binary.LittleEndian.AppendUint32(file, footCRC(head, w.crc))
}

// BenchmarkSnapshot2M writes, and opens and reads, 2 M records.
func BenchmarkSnapshot2M(b *testing.B) {
	const n = 2_000_000
	gen := func(yield func(Record, error) bool) {
		rec := Record{Name: wire.MustName("h0000000.rack7.dc1.example.org"), Type: 1, Owner: "static", TTL: 30, Data: [][]byte{{10, 0, 0, 0}}}
		for i := range n {
			copy(rec.Name[2:], fmt.Sprintf("%07d", i))
			binary.BigEndian.PutUint32(rec.Data[0], uint32(i))
			if !yield(rec, nil) {
				return
			}
		}
	}
	path := filepath.Join(b.TempDir(), "snap")
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := WriteSnapshot(path, 1, written, gen, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := OpenSnapshot(path)
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
	s, err := OpenSnapshot(path)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for rec := range s.Records() {
				runtime.KeepAlive(rec)
			}
		}
	})
}

// Probes are kept, and a file of the version without them is read.
func TestSnapshotProbes(t *testing.T) {
	recs := many(t, 3, "example.org", "static")
	recs[1].Probe = "http:8080/healthz"
	s, err := OpenSnapshot(snapshotFile(t, recs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	i := 0
	for rec, err := range s.Records() {
		if err != nil || rec.Probe != recs[i].Probe || line(rec) != line(recs[i]) {
			t.Errorf("%s %q, %v", line(rec), rec.Probe, err)
		}
		i++
	}

	w := &blockWriter{}
	for _, rec := range recs[:1] {
		if err := w.put(rec); err != nil {
			t.Fatal(err)
		}
	}
	old := mended(w.block[:len(w.block)-1]) // without the number of attributes
	binary.LittleEndian.PutUint32(old[8:], 1)
	binary.LittleEndian.PutUint32(old[snapHead-4:], crc(old[:snapHead-4]))
	binary.LittleEndian.PutUint32(old[len(old)-4:], footCRC(old[:snapHead], crc(old[snapHead:snapHead+snapFrame])))
	path := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	sink := &tableSink{}
	if _, err := Restore(path, into(sink)); err != nil || !slices.Equal(sink.lines(), []string{line(recs[0])}) {
		t.Errorf("%q, %v", sink.lines(), err)
	}
}
