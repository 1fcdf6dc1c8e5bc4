package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// tree reads a YAML file against a shape, and keeps the line of every key.
type tree struct {
	file     string
	lines    map[string]int
	problems Problems
}

// yamlLine finds the line in an error of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parse returns the root node of a file's one document, nil for an empty file.
// The error is a Problem, or that of reading the file.
func parse(file string) (*yaml.Node, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return parseDocument(file, data)
}

func parseDocument(file string, data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			return nil, Problem{File: file, Line: more.Line, Text: "a second document begins here; a config is one"}
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(file, data, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) == 0 {
		return nil, nil
	}
	return document.Content[0], nil
}

// syntaxProblem takes the line out of an error of the YAML parser. The parser
// gives none in the first line, nor where a character is the trouble.
func syntaxProblem(file string, data []byte, err error) Problem {
	text, line := err.Error(), 0
	if match := yamlLine.FindStringSubmatch(text); match != nil {
		text = text[len(match[0]):]
		line, _ = strconv.Atoi(match[1])
	}
	if line == 0 {
		line = 1
		if at := bytes.IndexFunc(data, unreadable); at >= 0 {
			line += bytes.Count(data[:at], []byte("\n"))
		}
	}
	return Problem{File: file, Line: line, Text: "not YAML: " + text}
}

// unreadable tells characters that YAML 1.2 (section 5.1) does not take.
func unreadable(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' && r != 0x85
}

// at adds a problem with a node.
func (t *tree) at(n *yaml.Node, key, format string, args ...any) {
	t.problems = append(t.problems, Problem{t.file, n.Line, key, fmt.Sprintf(format, args...)})
}

// value reads a node as a value of the given type; false: there is none.
func (t *tree) value(n *yaml.Node, typ reflect.Type, key string) (any, bool) {
	typ = deref(typ)
	empty := n.Kind == yaml.ScalarNode && n.Tag == "!!null"
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		t.at(n, key, "anchors and aliases are not read: write the value out")
	case n.Kind == yaml.ScalarNode && isLeaf(typ) && (!empty || typ.Kind() == reflect.String):
		return t.leaf(n, typ, key)
	case typ.Kind() == reflect.Slice && !readsText(typ) && (n.Kind == yaml.SequenceNode || empty):
		return t.list(n, typ, key)
	case typ.Kind() == reflect.Struct && n.Kind == yaml.MappingNode && len(fieldsOf(typ)) > 0:
		return t.section(n, typ, key)
	case empty && typ.Kind() == reflect.Struct && !isLeaf(typ): // a section whose keys are all commented out
		return nil, false
	default:
		t.at(n, key, "found %s, expected %s", found(n), expect(typ))
	}
	return nil, false
}

func (t *tree) leaf(n *yaml.Node, typ reflect.Type, key string) (any, bool) {
	text := n.Value
	if n.Tag == "!!null" {
		text = ""
	}
	value, err := parseLeaf(typ, text)
	if err != nil {
		t.at(n, key, "%s", err)
		return nil, false
	}
	return value, true
}

func (t *tree) list(n *yaml.Node, typ reflect.Type, key string) (any, bool) {
	list := []any{}
	for i, item := range n.Content {
		itemKey := fmt.Sprintf("%s[%d]", key, i)
		t.lines[itemKey] = item.Line
		if value, ok := t.item(item, typ.Elem(), itemKey); ok {
			list = append(list, value)
		}
	}
	return list, true
}

// item reads an item of a list, which is never nothing: left out, it would have those
// behind it counted wrongly; taken as it is, it would be an address that is none.
func (t *tree) item(n *yaml.Node, typ reflect.Type, key string) (any, bool) {
	if n.Tag == "!!null" {
		t.at(n, key, "found nothing, expected %s", expect(typ))
		return nil, false
	}
	value, ok := t.value(n, typ, key)
	if address, is := value.(interface{ IsValid() bool }); is && !address.IsValid() { // those of net/netip read "" so
		t.at(n, key, "found %s, expected %s", found(n), expect(typ))
		return nil, false
	}
	return value, ok
}

func (t *tree) section(n *yaml.Node, typ reflect.Type, key string) (any, bool) {
	section := make(map[string]any)
	fields, keys := fieldsOf(typ), keysOf(typ)
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		full := join(key, strings.Trim(strconv.Quote(name.Value), `"`)) // a key may hold a newline, a problem not
		if first, twice := seen[name.Value]; twice {
			t.at(name, full, "given twice, first on line %d", first)
			continue
		}
		seen[name.Value] = name.Line
		typ := typeOf(fields, name.Value)
		if typ == nil {
			t.at(name, full, "%s", nearest(name.Value, keys))
			continue
		}
		t.lines[full] = name.Line
		if value, ok := t.value(n.Content[i+1], typ, full); ok {
			section[name.Value] = value
		}
	}
	return section, true
}

func typeOf(fields []field, key string) reflect.Type {
	for _, f := range fields {
		if f.key == key {
			return f.typ
		}
	}
	return nil
}

// found describes a node to the writer of a config.
func found(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "keys"
	case n.Tag == "!!null":
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// line returns the line of a key, or of the nearest part it is in that the file
// has; 0 if there is none.
func (t *tree) line(key string) int {
	for key != "" {
		if line, ok := t.lines[key]; ok {
			return line
		}
		cut := len(key) - 1
		for cut > 0 && key[cut] != '.' && key[cut] != '[' {
			cut--
		}
		key = key[:cut]
	}
	return 0
}
