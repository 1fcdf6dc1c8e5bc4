package config

import (
	"fmt"
	"reflect"
	"strings"
)

// A field is a key that a section may have.
type field struct {
	key string
	typ reflect.Type
}

// fieldsOf returns the keys of a struct, those of squashed parts among them.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
		switch {
		case options == "squash":
			fields = append(fields, fieldsOf(f.Type)...)
		case !f.IsExported() || name == "-":
		case name == "":
			fields = append(fields, field{strings.ToLower(f.Name), f.Type})
		default:
			fields = append(fields, field{name, f.Type})
		}
	}
	return fields
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// A setting is a key that fits on one line, and so into a variable or a flag:
// a leaf, or a list of leaves.
type setting struct {
	key string // "cache.size"
	typ reflect.Type
}

// variable is the name of the setting's environment variable.
func (s setting) variable() string {
	return "STRATA_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// settingsOf returns the settings of a struct and of the sections in it.
func settingsOf(t reflect.Type, under string) []setting {
	var settings []setting
	for _, f := range fieldsOf(t) {
		key := join(under, f.key)
		switch typ := deref(f.typ); {
		case isLeaf(typ), typ.Kind() == reflect.Slice && isLeaf(deref(typ.Elem())):
			settings = append(settings, setting{key, typ})
		case typ.Kind() == reflect.Struct:
			settings = append(settings, settingsOf(typ, key)...)
		}
	}
	return settings
}

// parse makes a value of the setting's type from a variable or a flag; lists
// are separated by commas.
func (s setting) parse(text string) (any, error) {
	if s.typ.Kind() != reflect.Slice || readsText(s.typ) {
		return parseLeaf(s.typ, text)
	}
	list := reflect.MakeSlice(s.typ, 0, 0)
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		value, err := parseLeaf(deref(s.typ.Elem()), item)
		if err != nil {
			return nil, err
		}
		list = reflect.Append(list, reflect.ValueOf(value))
	}
	return list.Interface(), nil
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// nearest says which known key was probably meant, or which there are.
func nearest(key string, known []string) string {
	best, distance := "", 1+len(key)/3
	for _, candidate := range known {
		if d := edits(key, candidate); d <= distance && (best == "" || d < distance) {
			best, distance = candidate, d
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown key, did you mean %q?", best)
	}
	return "unknown key; there are: " + strings.Join(known, ", ")
}

// edits is the Levenshtein distance: insertions, deletions, replacements.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
