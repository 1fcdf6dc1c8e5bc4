package control

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// A Call is one use of a command. It is an io.Writer: what is written reaches
// the client as it is, in pieces, so a dump of any length needs no memory. It is
// for the goroutine that runs the command.
type Call struct {
	Args []string // after the command's name, without flags
	JSON bool     // the client wants data, not prose

	Flags *pflag.FlagSet // those of Command.Flags, as the client set them

	pending []byte
	send    func(Frame) error
	err     error // of the first failed send: the client is gone
}

// Write queues output, and sends it once there is enough for a frame. The error
// says that the client went away: stop then.
func (c *Call) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && c.err == nil {
		n := min(len(p), flushAt-len(c.pending))
		c.pending = append(c.pending, p[:n]...)
		p, written = p[n:], written+n
		if len(c.pending) >= flushAt {
			c.flush(false)
		}
	}
	return written, c.err
}

// Flush sends what is queued, for commands whose output comes bit by bit.
func (c *Call) Flush() error {
	c.flush(false)
	return c.err
}

// Printf writes formatted text.
func (c *Call) Printf(format string, args ...any) {
	_, _ = fmt.Fprintf(c, format, args...) // a failed send is kept in c.err
}

// Value answers with data: one line of JSON if the client asked for it, else the
// prose that text writes; with a nil text, the value as indented lines.
func (c *Call) Value(v any, text func(w io.Writer)) error {
	if c.JSON {
		return json.NewEncoder(c).Encode(v)
	}
	if text != nil {
		text(c)
		return c.err
	}
	return WriteText(c, v)
}

// flush sends the queue but for a last character that is still incomplete: the
// frames are JSON, which would replace half a rune by U+FFFD.
func (c *Call) flush(last bool) {
	n := len(c.pending)
	if !last {
		n -= incompleteRune(c.pending)
	}
	if n == 0 || c.err != nil {
		return
	}
	c.err = c.send(Frame{Out: string(c.pending[:n])})
	c.pending = append(c.pending[:0], c.pending[n:]...)
}

// incompleteRune returns how many octets at the end of b begin a rune that goes
// on behind b.
func incompleteRune(b []byte) int {
	for i := 1; i <= len(b) && i < utf8.UTFMax; i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return i
		}
	}
	return 0
}
