package main

import "testing"

// The load lasts as long as all replacements do, and not much longer.
func TestReplacingUnderLoad(t *testing.T) {
	for w, want := range map[way]int{stopStart: 4, takeOver: 4, held: 4, beside: 5} {
		if have := w.seconds(); have != want {
			t.Errorf("way %d: %d s, not %d", w, have, want)
		}
	}
}
