package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// Whatever a client sends, it is refused or a request within the limits; the
// reader takes no more than that, and reads back what it would itself send.
func FuzzReadRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := readRequest(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(req.Args) > maxArgs {
			t.Fatalf("%d arguments", len(req.Args))
		}
		line, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readRequest(bytes.NewReader(append(line, '\n')))
		if err != nil && !errors.Is(err, errTooLong) || err == nil && len(again.Args) != len(req.Args) {
			t.Errorf("%q read as %+v, then %+v, %v", data, req, again, err)
		}
	})
}

// Whatever a daemon sends, frames come out of it until an error ends it.
func FuzzReadFrame(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		for range bytes.Count(data, []byte("\n")) {
			if _, err := readFrame(r); err != nil {
				return
			}
		}
		if _, err := readFrame(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q goes on after its last line: %v", data, err)
		}
	})
}

// Text that is written in pieces of any size arrives as it was.
func FuzzCallWrite(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, piece uint8) {
		var got bytes.Buffer
		call := &Call{send: func(frame Frame) error {
			got.WriteString(frame.Out)
			return nil
		}}
		for rest := text; rest != ""; {
			n := min(len(rest), 1+int(piece))
			if _, err := io.WriteString(call, rest[:n]); err != nil {
				t.Fatal(err)
			}
			if err := call.Flush(); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		call.flush(true)
		if got.String() != text {
			t.Errorf("got %q, want %q", got.String(), text)
		}
	})
}
