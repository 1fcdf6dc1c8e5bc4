// Package example holds the commented example of a config against the config: that
// each says what the other has. It is for tests.
package example

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/strata-dns/strata/core/daemon/config"
)

// commentedOut is a setting with a # right before it; prose has a space behind it.
var commentedOut = regexp.MustCompile(`(?m)^( *)#([^ #\n])`)

// Check loads the example file into what load makes, as it stands, and again with
// everything that is commented out, and looks for each key of the struct in it.
func Check(t *testing.T, file string, load func() any) {
	t.Helper()
	if err := config.Load(file, load(), nil); err != nil {
		t.Errorf("as it stands: %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = commentedOut.ReplaceAll(text, []byte("$1$2"))
	whole := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(whole, text, 0o600); err != nil {
		t.Fatal(err)
	}
	into := load()
	if err := config.Load(whole, into, nil); err != nil {
		t.Errorf("with all that is commented out: %v", err)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	look(t, tree, reflect.TypeOf(into).Elem(), "")
}

// look finds every key of a struct among the given mappings, and goes down.
func look(t *testing.T, tree any, shape reflect.Type, at string) {
	t.Helper()
	for shape.Kind() == reflect.Slice {
		shape = shape.Elem()
	}
	if shape.Kind() != reflect.Struct {
		return
	}
	for i := range shape.NumField() {
		field := shape.Field(i)
		key, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		if options == "squash" {
			look(t, tree, field.Type, at)
			continue
		}
		if key == "" || key == "-" { // of a type that reads itself, such as an address
			continue
		}
		if found := below(tree, key); found != nil {
			look(t, found, field.Type, at+"."+key)
		} else {
			t.Errorf("%s is not in the example", strings.TrimPrefix(at+"."+key, "."))
		}
	}
}

// below gathers what stands under a key, in a mapping or in any of a list's. It is
// nil where the key is nowhere.
func below(tree any, key string) any {
	switch tree := tree.(type) {
	case map[string]any:
		if value, ok := tree[key]; ok {
			return []any{value}
		}
	case []any:
		var all []any
		for _, item := range tree {
			if found, ok := below(item, key).([]any); ok {
				all = append(all, found...)
			}
		}
		if all != nil {
			return all
		}
	}
	return nil
}
