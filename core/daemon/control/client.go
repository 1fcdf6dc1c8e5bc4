package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Do makes one call at the socket at path and copies its output to out as it
// comes. Errors: nobody answers there (ErrNobody), the daemon went away, or what
// the command itself reports.
func Do(ctx context.Context, path string, req Request, out io.Writer) error {
	return DoFiles(ctx, path, req, out, func(f *os.File) { f.Close() })
}

// DoFiles is Do for a command that also sends files (Call.SendFiles), which are
// take's to close.
func DoFiles(ctx context.Context, path string, req Request, out io.Writer, take func(*os.File)) error {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return explain(path, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return fmt.Errorf("control %s: %w", path, err)
	}
	in := &receiver{conn: conn.(*net.UnixConn)}
	defer in.close()
	frames := bufio.NewReader(in)
	for {
		frame, err := readFrame(frames)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("control %s: the answer broke off: %w", path, err)
		}
		if _, err := io.WriteString(out, frame.Out); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		if err := in.hand(frame.Files, take); err != nil {
			return fmt.Errorf("control %s: %w", path, err)
		}
		switch {
		case frame.End && frame.Error != "":
			return CommandError(frame.Error)
		case frame.End:
			return nil
		}
	}
}

// A CommandError is what a command itself reports.
type CommandError string

func (e CommandError) Error() string { return string(e) }

// ErrNobody is what an error is where no daemon answers on a socket.
var ErrNobody = errors.New("nobody answers")

// nobody is ErrNobody, said as it is to the operator.
type nobody string

func (n nobody) Error() string        { return string(n) }
func (n nobody) Is(target error) bool { return target == ErrNobody }

// explain says what a failed connection means to an operator.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nobody("control: there is no socket " + path + ": is the daemon running, and with this config?")
	case errors.Is(err, syscall.ECONNREFUSED):
		return nobody("control: nobody answers on " + path + ": the daemon is not running")
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control: no access to %s: be root or the daemon's user", path)
	}
	return fmt.Errorf("control: %w", err)
}
