// Package garbage says when Go's collector runs, to those whose heap it would look through
// too often. The collector is one for the process.
package garbage

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// Percent is by how much a heap may grow between two collections to begin with (GOGC).
	Percent = 100
	// Least is the octets that Go takes a percentage of at least.
	Least = 4 << 20
)

// Behind has f called once, behind the next collection.
func Behind(f func()) {
	dead := new([8]*byte) // has pointers: small things without are kept together
	runtime.AddCleanup(dead, func(f func()) { f() }, f)
}

// Alive is the octets that the last collection found in use.
func Alive() uint64 { return read("/gc/heap/live:bytes") }

// InForce is the percentage by which the heap may grow; negative where collections are off.
func InForce() int { return int(int64(read("/gc/gogc:percent"))) }

func read(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Replace has another percentage in force, unless somebody else has set one: that stays.
func Replace(was, percent int) bool {
	if other := debug.SetGCPercent(percent); other != was {
		debug.SetGCPercent(other)
		return false
	}
	return true
}

// Near reports whether two percentages differ by less than an eighth: to set one stops the
// world for a moment.
func Near(inForce, want int) bool {
	off := want - inForce
	return off*8 > -inForce && off*8 < inForce
}
