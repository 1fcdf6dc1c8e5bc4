package control

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// maxFiles is how many descriptors travel with one line; the kernel takes 253
// (SCM_MAX_FD).
const maxFiles = 128

// SendFiles sends the client copies of files, beside text that is for it alone. The
// files stay the caller's.
func (c *Call) SendFiles(text string, files ...*os.File) error {
	c.flush(true)
	for part := range slices.Chunk(files, maxFiles) {
		if c.err == nil {
			c.err = c.send(Frame{Out: text, Files: len(part), files: part})
		}
		text = ""
	}
	return c.err
}

// writeFrame writes one line, and with it its files.
func writeFrame(conn *net.UnixConn, f Frame) error {
	if len(f.files) == 0 {
		return json.NewEncoder(conn).Encode(f)
	}
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	numbers := make([]int, 0, len(f.files))
	for _, file := range f.files {
		numbers = append(numbers, int(file.Fd()))
	}
	_, _, err = conn.WriteMsgUnix(append(line, '\n'), unix.UnixRights(numbers...), nil)
	return err
}

// A receiver reads a connection and keeps the files that come with its octets.
type receiver struct {
	conn  *net.UnixConn
	oob   [maxFiles*4 + unix.SizeofCmsghdr]byte
	files []*os.File
}

func (r *receiver) Read(p []byte) (int, error) {
	n, with, _, _, err := r.conn.ReadMsgUnix(p, r.oob[:])
	n = max(n, 0) // -1 with an error
	if with <= 0 {
		return n, err
	}
	messages, badly := unix.ParseSocketControlMessage(r.oob[:with])
	if badly != nil {
		return n, badly
	}
	for i := range messages {
		numbers, badly := unix.ParseUnixRights(&messages[i])
		if badly != nil {
			return n, badly
		}
		for _, number := range numbers {
			r.files = append(r.files, os.NewFile(uintptr(number), "handed over"))
		}
	}
	return n, err
}

// hand passes on as many files as a frame has.
func (r *receiver) hand(count int, take func(*os.File)) error {
	if count < 0 || count > len(r.files) {
		return errors.New("files are missing from an answer: too many are open (LimitNOFILE=)")
	}
	for _, file := range r.files[:count] {
		take(file)
	}
	r.files = r.files[count:]
	return nil
}

func (r *receiver) close() {
	for _, file := range r.files {
		file.Close()
	}
}
