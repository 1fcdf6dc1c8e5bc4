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
	"syscall"
)

// Do makes one call at the socket at path and copies its output to out as it
// comes. Errors: nobody answers there, the daemon went away, or what the command
// itself reports.
func Do(ctx context.Context, path string, req Request, out io.Writer) error {
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
	frames := bufio.NewReader(conn)
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
		switch {
		case frame.End && frame.Error != "":
			return errors.New(frame.Error)
		case frame.End:
			return nil
		}
	}
}

// explain says what a failed connection means to an operator.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("control: there is no socket %s: is the daemon running, and with this config?", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("control: nobody answers on %s: the daemon is not running", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control: no access to %s: be root or the daemon's user", path)
	}
	return fmt.Errorf("control: %w", err)
}
