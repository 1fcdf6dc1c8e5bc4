package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Octets a line may have: a request is typed by hand; a frame holds at most
// flushAt octets of output, each of which JSON may spell with six.
const (
	maxRequest = 64 << 10
	maxFrame   = 8 * flushAt
	maxArgs    = 256
	flushAt    = 32 << 10
)

// A Request is a call: a command's name (one or more words), its arguments, and
// whether data is wanted as JSON rather than as text for people.
type Request struct {
	Args []string `json:"args"`
	JSON bool     `json:"json,omitempty"`
}

// A Frame is a piece of the answer. Error is only set in the last.
type Frame struct {
	Out   string `json:"out,omitempty"`
	End   bool   `json:"end,omitempty"`
	Error string `json:"error,omitempty"`
	Files int    `json:"files,omitempty"` // descriptors that come with this line

	files []*os.File
}

// errTooLong is a line beyond its limit.
var errTooLong = errors.New("line too long")

// readRequest reads one request line of at most maxRequest octets.
func readRequest(r io.Reader) (Request, error) {
	var req Request
	line, err := readLine(bufio.NewReaderSize(r, 4096), maxRequest)
	if err != nil {
		return req, fmt.Errorf("read request: %w", err)
	}
	if err := json.Unmarshal(line, &req); err != nil {
		return req, fmt.Errorf("read request: %w", err)
	}
	if len(req.Args) > maxArgs {
		return req, fmt.Errorf("read request: %d arguments, at most %d are taken", len(req.Args), maxArgs)
	}
	return req, nil
}

// readFrame reads one frame of an answer.
func readFrame(r *bufio.Reader) (Frame, error) {
	var f Frame
	line, err := readLine(r, maxFrame)
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(line, &f)
}

// readLine reads up to and with the next newline, at most limit octets. A last
// line without newline is io.ErrUnexpectedEOF: it may be half a message.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, errTooLong
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
