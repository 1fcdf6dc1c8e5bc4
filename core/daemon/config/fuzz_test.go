package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever a file holds, it is read or refused, and what is refused has lines
// that the file has.
func FuzzTree(f *testing.F) {
	type shape struct {
		Base  `mapstructure:",squash"`
		Sizes []Size `mapstructure:"sizes"`
		Parts []struct {
			Name string        `mapstructure:"name"`
			Net  netip.Prefix  `mapstructure:"net"`
			Wait time.Duration `mapstructure:"wait"`
			On   *bool         `mapstructure:"on"`
		} `mapstructure:"parts"`
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseDocument("f", []byte(text))
		if err != nil || root == nil {
			return
		}
		tree := &tree{file: "f", lines: make(map[string]int)}
		tree.value(root, reflect.TypeFor[shape](), "")
		for _, problem := range tree.problems {
			if problem.Line < 1 || problem.Line > 1+strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\u0085")+strings.Count(text, "\u2028")+strings.Count(text, "\u2029") {
				t.Errorf("line %d of %q: %v", problem.Line, text, problem)
			}
		}
	})
}
