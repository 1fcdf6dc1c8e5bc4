package config

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Size is a number of octets, written plain (65536), in powers of 1024 (64KiB,
// MiB, GiB, TiB) or of 1000 (64KB, MB, GB, TB).
type Size uint64

// units, largest first, so that String finds the best.
var units = []struct {
	name   string
	octets uint64
}{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads a size. Units are told apart in any case; fractions are not
// taken.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, ok := unitOf(strings.TrimSpace(text[len(digits):]))
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !ok {
		return 0, fmt.Errorf("%q is not a size, such as 64MiB, 512MB or 65536 (octets)", text)
	}
	high, octets := bits.Mul64(n, unit)
	if high != 0 || octets > math.MaxInt64 {
		return 0, fmt.Errorf("%q is more than any memory holds", text)
	}
	return Size(octets), nil
}

func unitOf(name string) (octets uint64, ok bool) {
	if name == "" {
		return 1, true
	}
	for _, unit := range units {
		if strings.EqualFold(unit.name, name) {
			return unit.octets, true
		}
	}
	return 0, false
}

// UnmarshalText reads a size as ParseSize does.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := ParseSize(string(text))
	if err == nil {
		*s = size
	}
	return err
}

// MarshalText writes a size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes a size exactly, in the largest unit that divides it.
func (s Size) String() string {
	for _, unit := range units {
		if n := uint64(s); n != 0 && n%unit.octets == 0 && unit.octets > 1 {
			return strconv.FormatUint(n/unit.octets, 10) + unit.name
		}
	}
	return strconv.FormatUint(uint64(s), 10)
}
