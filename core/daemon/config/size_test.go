package config_test

import (
	"testing"

	"github.com/strata-dns/strata/core/daemon/config"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "65536": 65536, "64MiB": 64 << 20, "64 mib": 64 << 20, "512MB": 512e6, "1kb": 1000, "3KiB": 3072,
		"2GiB": 2 << 30, "7B": 7, "1TiB": 1 << 40, "9223372036854775807": 1<<63 - 1,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "+1", "1.5GiB", "1 M iB", "64Mi", "1e6", "9223372036854775808", "99999999TiB", "18446744073709551616", "0x10", "1_000", "１"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[config.Size]string{0: "0", 1: "1", 1000: "1KB", 1024: "1KiB", 64 << 20: "64MiB", 1536: "1536", 5e12: "5TB"} {
		if got := size.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What is written is read back as the same size.
func FuzzParseSize(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		size, err := config.ParseSize(text)
		if err != nil {
			return
		}
		again, err := config.ParseSize(size.String())
		if err != nil || again != size {
			t.Errorf("%q: read as %d, written as %s, read as %d, %v", text, size, size, again, err)
		}
	})
}
