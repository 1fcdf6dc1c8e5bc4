package zone

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A place is where a record begins.
type place struct {
	path string
	line int
}

func (p place) String() string { return p.path + ":" + strconv.Itoa(p.line) }

func (p place) wrap(err error) error { return fmt.Errorf("%s: %w: %w", p, ErrMaster, err) }

// files are the master file and those it is just including, the innermost last.
// It is the file system the parser opens $INCLUDE in, so as to know the lines.
type files struct {
	path  string // as the caller named it
	root  string // the same from the root on
	stack []*lineCounter
}

func (f *files) begin(file io.Reader, path string) {
	f.path, f.root = path, path
	if abs, err := filepath.Abs(path); err == nil {
		f.root = abs
	}
	f.stack = []*lineCounter{newLineCounter(file, path)}
}

func (f *files) top() *lineCounter { return f.stack[len(f.stack)-1] }

// Open opens an included file. The parser names it from the root on, without the
// leading slash, as an fs.FS wants it.
func (f *files) Open(name string) (fs.File, error) {
	file, err := os.Open("/" + name)
	if err != nil {
		return nil, err
	}
	c := newLineCounter(file, f.shown("/"+name))
	f.stack = append(f.stack, c)
	return &included{File: file, lineCounter: c, files: f}, nil
}

// shown is how a file is named to people: relative to where the caller is, if
// the master file was.
func (f *files) shown(path string) string {
	if path == f.root {
		return f.path
	}
	if rel, err := filepath.Rel(filepath.Dir(f.root), path); err == nil && !filepath.IsAbs(f.path) {
		return filepath.Join(filepath.Dir(f.path), rel)
	}
	return path
}

// syntax turns the parser's error, whose text is file, what and line:column,
// into ours.
func (f *files) syntax(err error) error {
	text, at := err.Error(), f.top().place()
	what := text
	if i := strings.LastIndex(text, " at line: "); i >= 0 {
		what = text[:i]
		line, _, _ := strings.Cut(text[i+len(" at line: "):], ":")
		at.line, _ = strconv.Atoi(line)
	}
	if rest, ok := strings.CutPrefix(what, f.root+": dns: "); ok {
		at.path, what = f.path, rest
		if p := f.stack[0].plain; p != nil && what != text {
			at.line += p.skipped
		}
	} else if file, rest, ok := strings.Cut(what, ": dns: "); ok {
		at.path, what = f.shown("/"+file), rest
	}
	var missing *fs.PathError
	if errors.As(err, &missing) {
		return at.wrap(fmt.Errorf("$INCLUDE: %w", missing))
	}
	if what = strings.TrimPrefix(what, "dns: "); strings.HasPrefix(what, ": ") { // a private type's error loses its text
		return at.wrap(fmt.Errorf("%w: an order, max=N, ADDRESS=WEIGHT", ErrOrder))
	}
	return at.wrap(errors.New(what))
}

// included is an $INCLUDEd file. Closing it returns to the file that included it.
type included struct {
	*os.File
	*lineCounter
	files *files
}

var _ io.ByteReader = (*included)(nil)

func (i *included) Read(p []byte) (int, error) { return i.lineCounter.Read(p) }

func (i *included) Close() error {
	i.files.stack = i.files.stack[:len(i.files.stack)-1]
	return i.File.Close()
}

// A lineCounter knows the line the parser has read to, and where the record
// being read began. The parser takes it as an io.ByteReader, octet by octet.
type lineCounter struct {
	r          *bufio.Reader
	path       string
	line       int
	start      int // line in which the record begins, 0: it has not yet
	last       int // line of the last directive: $GENERATE's records stand there
	comment    bool
	directive  bool
	generating Generating

	plain  *plainLines // reads the lines that need no parser; nil in included files
	before []byte      // what the parser is given before it reads on
}

// lineBuffer is how long a line may be, in octets, to be looked at as a whole.
const lineBuffer = 1 << 16

func newLineCounter(r io.Reader, path string) *lineCounter {
	return &lineCounter{r: bufio.NewReaderSize(r, lineBuffer), path: path, line: 1, last: 1}
}

// next is called behind each record.
func (c *lineCounter) next() { c.start = 0 }

func (c *lineCounter) place() place {
	if c.start == 0 {
		return place{c.path, c.last}
	}
	return place{c.path, c.start}
}

func (c *lineCounter) ReadByte() (byte, error) {
	if c.plain != nil && c.plain.start && !c.plain.busy {
		var err error
		if c.before, err = c.plain.skip(c); err != nil {
			return 0, err
		}
	}
	if len(c.before) > 0 {
		b := c.before[0]
		c.before = c.before[1:]
		return b, nil
	}
	b, err := c.r.ReadByte()
	if c.plain != nil && err == nil {
		c.plain.see(b)
	}
	switch {
	case err != nil:
		c.generating.See('\n')
	case b == '\n':
		c.generating.See(b)
		c.line++
		c.comment = false
		if c.directive {
			c.last, c.start, c.directive = c.start, 0, false
		}
	case c.start == 0 && b > ' ' && !c.comment:
		if b == ';' {
			c.comment = true
		} else {
			c.start, c.directive = c.line, b == '$'
			c.generating.Begin(b)
		}
	case c.directive:
		c.generating.See(b)
	}
	return b, err
}

func (c *lineCounter) Read(p []byte) (int, error) { return c.r.Read(p) }
