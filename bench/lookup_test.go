package main

import (
	"reflect"
	"testing"
)

const benchmarkOutput = `goos: linux
BenchmarkAnswer/names=1000         	 9000000	       123.4 ns/op	       0 B/op	       0 allocs/op
BenchmarkAnswer/names=2000000-2    	 2000000	       456 ns/op	      16 B/op	       1 allocs/op
BenchmarkAnswer/names=5
PASS
`

func TestParseBenchmark(t *testing.T) {
	want := []Sample{{Contender: smallTable, PerAnswer: 123.4}, {Contender: largeTable, PerAnswer: 456, Allocations: 1}}
	if have := parseBenchmark(benchmarkOutput); !reflect.DeepEqual(have, want) {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
	if have := parseBenchmark("FAIL"); have != nil {
		t.Errorf("figures out of nothing: %+v", have)
	}
}

func FuzzParseBenchmark(f *testing.F) {
	f.Add(benchmarkOutput)
	f.Fuzz(func(t *testing.T, text string) {
		_ = parseBenchmark(text) // must only not panic
	})
}
