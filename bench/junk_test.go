package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The mix holds what it says: each line is of one kind, judged here by the rules
// that the contenders are configured with, and not by how it was made.
func TestMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mix")
	if err := writeMix(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rules, counts := newRules(), map[string]int{}
	for line := range strings.Lines(string(data)) {
		name, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		junk, suffix := below(name, rules.Junk), below(name, rules.Blocked)
		switch {
		case junk:
			counts["junk"]++
		case kind == "AAAA" && suffix:
			counts["blocked"]++
		case kind == "A":
			counts["hits"]++
		default:
			t.Fatalf("%s is nothing that the mix is of", line)
		}
		if junk != isJunk(name+". "+kind) {
			t.Fatalf("%s is junk: %v, and asked upstream the opposite", name, junk)
		}
	}
	if counts["junk"] != 60_000 || counts["blocked"] != 60_000 || counts["hits"] != 80_000 {
		t.Errorf("the mix is of %v", counts)
	}
}

func below(name string, zones []string) bool {
	for name != "" {
		if slices.Contains(zones, name) {
			return true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return false
}

func TestRules(t *testing.T) {
	r := newRules()
	if len(r.Blocked) != blocked || len(slices.Compact(slices.Sorted(slices.Values(r.Blocked)))) != blocked {
		t.Errorf("%d suffixes, some of them twice", len(r.Blocked))
	}
	for _, name := range hostNames(0, cached) {
		if below(name, r.Junk) {
			t.Fatalf("%s is a host and junk", name)
		}
	}
}
