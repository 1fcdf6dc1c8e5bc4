// Summary reads what `go test -json` wrote and prints what a person wants to
// know at the end: each package's line, what failed with its output, and what
// was skipped and why.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// An event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64

	ImportPath string // of a package that did not build
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: summary FILE")
		os.Exit(2)
	}
	f, err := os.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	defer f.Close()
	failed, err := summarize(f, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
	}
	if err != nil || failed > 0 {
		os.Exit(1)
	}
}

// summarize writes the summary of a run and returns how many tests and packages failed.
func summarize(in io.Reader, out io.Writer) (failed int, err error) {
	output := map[string]*strings.Builder{} // by package and test
	var skips []string
	var passed, skipped int
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			fmt.Fprintln(out, sc.Text()) // not test2json's: the tool's own complaint
			continue
		}
		key := e.Package + " " + e.Test
		if output[key] == nil {
			output[key] = &strings.Builder{}
		}
		switch e.Action {
		case "output", "build-output":
			output[key].WriteString(e.Output)
			if e.Action == "build-output" {
				fmt.Fprint(out, e.Output)
			}
		case "pass":
			if e.Test == "" {
				fmt.Fprintf(out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
			} else {
				passed++
			}
			delete(output, key)
		case "fail":
			failed++
			if e.Test == "" {
				fmt.Fprintf(out, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
			} else {
				fmt.Fprintf(out, "--- FAIL: %s %s\n", e.Package, e.Test)
			}
			fmt.Fprint(out, output[key])
		case "skip":
			if e.Test != "" {
				skipped++
				skips = append(skips, fmt.Sprintf("%s %s: %s", short(e.Package), e.Test, reason(output[key].String())))
			}
		}
	}
	fmt.Fprintf(out, "\nskipped: %d\n", skipped)
	for _, s := range skips {
		fmt.Fprintln(out, "  "+s)
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return failed, sc.Err()
}

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/strata-dns/strata/") }

// reason takes what a test said when it was skipped out of its output, which has
// it as "    file.go:12: reason".
func reason(output string) string {
	for _, line := range strings.Split(output, "\n") {
		if _, why, ok := strings.Cut(line, ".go:"); ok && strings.HasPrefix(line, "    ") {
			_, why, _ = strings.Cut(why, ": ")
			return why
		}
	}
	return "no reason given"
}
