package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteText writes any JSON-able value as indented "key: value" lines, in the
// order of its JSON, for people.
func WriteText(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write as text: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var b strings.Builder
	if err := writeNode(&b, dec, 0, ""); err != nil {
		return fmt.Errorf("write as text: %w", err)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// writeNode writes the next JSON value. lead is what stands before it on its
// line: "key:", "-", both or nothing.
func writeNode(b *strings.Builder, dec *json.Decoder, depth int, lead string) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := tok.(json.Delim)
	if !nested {
		writeLine(b, depth, lead, scalarText(tok))
		return nil
	}
	if !dec.More() {
		writeLine(b, depth, lead, "none")
		_, err = dec.Token()
		return err
	}
	// The first key of a list's item stands on the line of its dash.
	dash := ""
	switch {
	case lead == "-" && delim == '{':
		dash = "- "
	case lead != "":
		writeLine(b, depth, lead, "")
		depth++
		if strings.HasPrefix(lead, "- ") {
			depth++
		}
	}
	for dec.More() {
		item := "-"
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			item = dash + fmt.Sprint(key) + ":"
		}
		if err := writeNode(b, dec, depth, item); err != nil {
			return err
		}
		if dash != "" {
			dash, depth = "", depth+1
		}
	}
	_, err = dec.Token()
	return err
}

func scalarText(tok json.Token) string {
	switch v := tok.(type) {
	case nil:
		return "none"
	case bool:
		if v {
			return "yes"
		}
		return "no"
	default:
		return fmt.Sprint(v)
	}
}

func writeLine(b *strings.Builder, depth int, lead, text string) {
	line := strings.Repeat("  ", depth) + lead
	if lead != "" && text != "" {
		line += " "
	}
	b.WriteString(line + text + "\n")
}
