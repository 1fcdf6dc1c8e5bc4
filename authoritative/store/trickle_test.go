package store

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is written in pieces is in the file, and no more than a piece has yet to be sent to the disk.
func TestTrickle(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "trickled"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const from = 16
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	w := &trickle{file: file, from: from, to: from}
	want := make([]byte, from, from+4*trickled)
	for piece := byte(1); len(want) < 3*trickled; piece++ {
		b := bytes.Repeat([]byte{piece}, trickled/7)
		if n, err := w.Write(b); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
		want = append(want, b...)
		if left := w.to - w.from; left < 0 || left >= trickled || w.to != int64(len(want)) {
			t.Fatalf("%d octets of %d are left behind %d", left, w.to, len(want))
		}
	}
	if w.under < trickled {
		t.Errorf("%d octets are on their way, and a piece is %d", w.under, trickled)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets of %d, %v", len(got), len(want), err)
	}
}
