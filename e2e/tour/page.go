package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A page is where the tour is written: plain text, in colour on a terminal.
type page struct {
	w      io.Writer
	colour bool
}

// Colours, as SGR parameters (ECMA-48 §8.3.117).
const (
	bold  = "1"
	dim   = "2"
	red   = "1;31"
	green = "32"
	blue  = "36"
)

func newPage(f *os.File) *page {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &page{w: f, colour: err == nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// in colours a text, where there are colours.
func (p *page) in(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *page) text(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// width is how many columns a line may have.
const width = 96

// indented writes text with four spaces before each line; what goes on behind the
// margin has eight.
func (p *page) indented(colour, text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		p.wrap(colour, strings.TrimRight(line, "\n"), "")
	}
}

// wrap breaks a line at spaces; join stands where it goes on.
func (p *page) wrap(colour, line, join string) {
	indent := "    "
	for {
		room := width - len(indent) - len(join)
		at := strings.LastIndexByte(line[:min(room, len(line))], ' ')
		if len(line) <= room || at <= 0 {
			fmt.Fprintf(p.w, "%s%s\n", indent, p.in(colour, line))
			return
		}
		fmt.Fprintf(p.w, "%s%s\n", indent, p.in(colour, line[:at]+join))
		line, indent = line[at+1:], "        "
	}
}
