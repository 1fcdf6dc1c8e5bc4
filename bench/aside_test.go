package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What was moved comes back as it was, and what cannot be moved is left.
func TestAside(t *testing.T) {
	dir := t.TempDir()
	before := map[string]string{"default_smp_affinity": "3\n", "7/smp_affinity": "3\n", "12/smp_affinity": "2\n"}
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for file, text := range before {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "9", "smp_affinity"), 0o755); err != nil { // no file: cannot be written
		t.Fatal(err)
	}
	var a aside
	a.moveInterrupts(dir, 0)
	for file := range before {
		if text := read(file); text != "1" {
			t.Errorf("%s is %q", file, text)
		}
	}
	if a.interrupts != 2 {
		t.Errorf("moved %d interrupts, want 2", a.interrupts)
	}
	a.restore()
	for file, want := range before {
		if text := read(file); text != want {
			t.Errorf("%s is %q again, was %q", file, text, want)
		}
	}
}

func TestMask(t *testing.T) {
	for cpu, want := range map[int]string{0: "1", 1: "2", 5: "20", 31: "80000000", 32: "1,00000000", 70: "40,00000000,00000000"} {
		if got := mask(cpu); got != want {
			t.Errorf("CPU %d: %q, want %q", cpu, got, want)
		}
	}
}
