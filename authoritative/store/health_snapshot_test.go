package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestHealthSnapshot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "health")
	if _, err := ReadHealthSnapshot(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	var all []Health
	for _, e := range []HealthEdit{edit("10.0.0.1", Down, "a", 0), edit("fd00::1", Up, "b", 0)} {
		e.Since = e.Since.UTC()
		all = append(all, e.Health)
	}
	for _, want := range [][]Health{all, nil} {
		if err := WriteHealthSnapshot(path, want); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadHealthSnapshot(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if err := WriteHealthSnapshot(path, all); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		for _, bad := range [][]byte{b, whole[:i]} {
			if _, err := parseHealthSnapshot(bad); !errors.Is(err, ErrSnapshot) {
				t.Errorf("octet %d: %v", i, err)
			}
		}
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
		t.Error(files)
	}
	if err := WriteHealthSnapshot(filepath.Join(t.TempDir(), "no", "such"), all); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzHealthSnapshot: an error, or states that can be written.
func FuzzHealthSnapshot(f *testing.F) {
	f.Add([]byte(`[{"address":"10.0.0.1","state":"down","since":"2026-01-02T15:04:05Z","by":"a"}]`))
	f.Add([]byte(`[{"address":"","state":"up"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(healthMagic), hexOf(crc(body))...)
		all, err := parseHealthSnapshot(append(append(file, '\n'), body...))
		if err != nil && !errors.Is(err, ErrSnapshot) {
			t.Fatal(err)
		}
		for _, h := range all {
			if !h.Address.IsValid() || h.State == Unknown {
				t.Fatalf("%+v", h)
			}
		}
	})
}

func hexOf(sum uint32) (b []byte) {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[sum>>shift&15])
	}
	return b
}
