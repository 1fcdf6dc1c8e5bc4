package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
)

// writeZone writes a master file of n hosts with one A record each, TTL one day
// so that nothing a cache holds expires during a run.
func writeZone(path string, n int) error {
	return writeFile(path, func(w *bufio.Writer) {
		fmt.Fprintf(w, "$ORIGIN %s.\n$TTL 86400\n", origin)
		fmt.Fprintf(w, "@ SOA ns1 hostmaster 1 3600 900 604800 300\n@ NS ns1\nns1 A 10.255.255.1\n")
		for i := range n {
			fmt.Fprintf(w, "%s A %s\n", hostName(i), address(i))
		}
	})
}

// writeQueries writes dnsperf's input: count questions for A of random hosts
// among the first n, every second one for a name that is missing if half is set.
// The seed is fixed: each contender hears the same questions in the same order.
func writeQueries(path string, n, count int, half bool) error {
	random := rand.New(rand.NewPCG(1034, 1035))
	return writeFile(path, func(w *bufio.Writer) {
		for q := range count {
			i := random.IntN(n)
			if half && q%2 == 1 {
				i += firstMissing
			}
			fmt.Fprintf(w, "%s.%s A\n", hostName(i), origin)
		}
	})
}

// writeEach asks for every one of the first n hosts once, in zone order.
func writeEach(path string, n int) error {
	return writeFile(path, func(w *bufio.Writer) {
		for i := range n {
			fmt.Fprintf(w, "%s.%s A\n", hostName(i), origin)
		}
	})
}

// writeAbsent asks for n names that no zone here holds.
func writeAbsent(path string, n int) error {
	return writeFile(path, func(w *bufio.Writer) {
		for i := range n {
			fmt.Fprintf(w, "%s.%s A\n", hostName(firstMissing+i), origin)
		}
	})
}

func writeFile(path string, fill func(*bufio.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write workload: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fill(w)
	if err := w.Flush(); err != nil {
		f.Close()
		return fmt.Errorf("write workload: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write workload: %w", err)
	}
	return nil
}
