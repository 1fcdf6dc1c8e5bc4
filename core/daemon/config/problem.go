package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a config.
type Problem struct {
	File string // or "environment STRATA_…", "flag --…"
	Line int    // from 1; 0 where there is none
	Key  string // "policy.synth[0].kind"; empty for the file as a whole
	Text string // what is wrong, and what would be right
}

// Error is "file:line: key: text".
func (p Problem) Error() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Key != "" {
		where += ": " + p.Key
	}
	return where + ": " + p.Text
}

// Problems are all that is wrong with a config, in the order of its lines.
type Problems []Problem

// Error is one line: the first problem, and how many there are behind it.
func (p Problems) Error() string {
	switch len(p) {
	case 0:
		return "no problem"
	case 1:
		return p[0].Error()
	}
	return fmt.Sprintf("%s (and %d more: see check)", p[0].Error(), len(p)-1)
}

// Lines has one line for each problem.
func (p Problems) Lines() string {
	var b strings.Builder
	for _, problem := range p {
		b.WriteString(problem.Error() + "\n")
	}
	return b.String()
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// A Validator is a config that knows what else must hold, beyond the types of
// its fields.
type Validator interface{ Validate(report *Report) }

// A Report gathers what a Validator finds. The loader adds file and line.
type Report struct{ found []finding }

type finding struct{ key, text string }

// Add reports a problem with the value at key: "listen", "zones[1].servers[0]".
// The text says what is wrong and what would be right.
func (r *Report) Add(key, format string, args ...any) {
	r.found = append(r.found, finding{key, fmt.Sprintf(format, args...)})
}

// Under returns a report for a part of the config, whose keys are relative to
// prefix. What it gathers is passed on when it is closed over by f.
func (r *Report) Under(prefix string, f func(part *Report)) {
	var part Report
	f(&part)
	for _, found := range part.found {
		key := prefix
		if found.key != "" {
			key = join(prefix, found.key)
		}
		r.found = append(r.found, finding{key, found.text})
	}
}

// join puts a key under another.
func join(prefix, key string) string {
	if prefix == "" || strings.HasPrefix(key, "[") {
		return prefix + key
	}
	return prefix + "." + key
}
