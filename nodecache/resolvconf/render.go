package resolvconf

import (
	"bytes"
	"fmt"
	"strings"
)

// render makes the new file of an old one. Comments, blank lines and everything
// that is not ours to change stay where they are; so does the remark on a line
// that goes, as a comment.
func (w *Wanted) render(old []byte) []byte {
	s := Parse(old)
	var out bytes.Buffer
	var servers, optioned bool
	last := lastSearch(old)
	for i, l := range split(old) {
		word, rest := l.keyword()
		switch {
		case word == nameserver:
			if !servers {
				servers = true
				w.writeServers(&out)
			}
			keepRemark(&out, l)
		case (word == domain || word == search) && !w.KeepSearch:
			writeDomain(&out, l, word, i == last, s.Search)
		case word == options:
			writeOptions(&out, l, rest, &s, !optioned)
			optioned = true
		default:
			endLine(&out)
			out.Write(l)
		}
	}
	if !servers {
		endLine(&out)
		w.writeServers(&out)
	}
	if added := s.missing(); !optioned && added != "" {
		endLine(&out)
		fmt.Fprintf(&out, "%s %s\n", options, added)
	}
	return out.Bytes()
}

// endLine ends a last line that has no end.
func endLine(out *bytes.Buffer) {
	if b := out.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
		out.WriteByte('\n')
	}
}

func (w *Wanted) writeServers(out *bytes.Buffer) {
	for _, a := range w.Servers {
		fmt.Fprintf(out, "%s %s\n", nameserver, a)
	}
}

// lastSearch is the place of the domain or search line that decides; -1: none.
func lastSearch(file []byte) int {
	last := -1
	for i, l := range split(file) {
		if word, rest := l.keyword(); (word == domain || word == search) && len(words(rest)) > 0 {
			last = i
		}
	}
	return last
}

// writeDomain writes the first domain of the line that decides, and none else.
func writeDomain(out *bytes.Buffer, l line, word string, decides bool, names []string) {
	switch {
	case decides && word == domain:
		out.Write(l)
		return
	case decides:
		fmt.Fprintf(out, "%s %s\n", domain, names[0])
	}
	keepRemark(out, l)
}

// keepRemark writes a line that goes as a comment, if it holds one.
func keepRemark(out *bytes.Buffer, l line) {
	if bytes.ContainsAny(l, "#;") {
		fmt.Fprintf(out, "# %s\n", bytes.TrimRight(l, "\n"))
	}
}

// writeOptions writes a line of options without rotate, which would take turns with
// the recursors; the first has those added that are missing.
func writeOptions(out *bytes.Buffer, l line, rest string, s *Settings, first bool) {
	added := s.missing()
	if !s.Rotate && (!first || added == "") {
		out.Write(l)
		return
	}
	var kept []string
	if first && added != "" {
		kept = append(kept, added)
	}
	for _, o := range words(rest) {
		if !isRotate(o) {
			kept = append(kept, o)
		}
	}
	if len(kept) > 0 {
		fmt.Fprintf(out, "%s %s\n", options, strings.Join(kept, " "))
	}
}

// missing are the options that are wanted and not there.
func (s *Settings) missing() string {
	var add []string
	if !s.has("timeout:") {
		add = append(add, fmt.Sprintf("timeout:%d", wantedTimeout))
	}
	if !s.has("attempts:") {
		add = append(add, fmt.Sprintf("attempts:%d", wantedAttempts))
	}
	return strings.Join(add, " ")
}
