package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of one connection, and of their number: more than a handful of
// operators at once is a script gone wrong, and is made to wait.
const (
	requestTimeout = 5 * time.Second
	writeTimeout   = 30 * time.Second
	maxCalls       = 16
)

// A Server answers calls on a unix socket. It is a task: Run serves until its
// context is done.
type Server struct {
	path     string
	listener *net.UnixListener
	file     fs.FileInfo
	commands *Commands
	serving  atomic.Bool
	left     atomic.Bool
	closing  sync.Once
}

// Listen opens the control socket at path, with mode 0600; a stale socket file
// is replaced. Errors: another daemon answers there, or the path cannot be used.
func Listen(ctx context.Context, path string, commands *Commands) (*Server, error) {
	l, err := listen(ctx, path)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &Server{path: path, listener: l, file: info, commands: commands}, nil
}

// Run answers calls until ctx is done, then ends those under way and removes
// the socket file.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	s.serving.Store(true)
	defer s.serving.Store(false)

	var calls sync.WaitGroup
	defer calls.Wait()
	places := make(chan struct{}, maxCalls)
	for {
		places <- struct{}{}
		conn, err := s.listener.AcceptUnix()
		switch {
		case err == nil:
		case s.left.Load(): // calls under way go on
			<-ctx.Done()
			return nil
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		default: // out of file descriptors: try again rather than end the daemon
			<-places
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
			continue
		}
		calls.Go(func() {
			defer func() { <-places }()
			s.serve(ctx, conn)
		})
	}
}

// Close removes the socket file and closes the socket; Run does it at its end.
// The file goes first: as long as the socket answers no successor takes its path.
func (s *Server) Close() {
	s.closing.Do(func() {
		if !s.left.Load() {
			removeOwn(s.path, s.file)
		}
		s.listener.Close()
	})
}

// Inherit goes on with the socket at path, which another process has open too and
// will Leave. The file stays the caller's to close.
func Inherit(file *os.File, path string, commands *Commands) (*Server, error) {
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("control %s: go on with its socket: %w", path, err)
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("control %s: the socket to go on with is none", path)
	}
	listener.SetUnlinkOnClose(false)
	info, err := os.Lstat(path)
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("control: %w", err)
	}
	return &Server{path: path, listener: listener, file: info, commands: commands}, nil
}

// Socket is a copy of the socket, for another process to Inherit.
func (s *Server) Socket() (*os.File, error) { return s.listener.File() }

// Leave has another process answer from now on, which has the socket already.
// Calls under way are answered, and the socket file stays.
func (s *Server) Leave() {
	s.left.Store(true)
	s.listener.Close()
}

// Ready tells whether calls are answered.
func (s *Server) Ready() bool { return s.serving.Load() }

func (s *Server) String() string { return "control " + s.path }

// serve answers the one call of a connection.
func (s *Server) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = conn.SetReadDeadline(time.Now().Add(requestTimeout))
	// A daemon that ends does not wait for a slow client.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()

	send := func(f Frame) error {
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err := ctx.Err(); err != nil { // looked at last: its own deadline may have just been overwritten
			return err
		}
		return writeFrame(conn, f)
	}
	req, err := readRequest(conn)
	if err == nil {
		go cancelAtHangup(conn, cancel)
		err = s.commands.call(ctx, req, send)
	}
	end := Frame{End: true}
	if err != nil {
		end.Error = err.Error()
	}
	_ = send(end) // if this fails the client is gone, and there is nobody to tell
}

// cancelAtHangup ends a call whose client went away. Clients keep their sending
// side open until the end, so that its end means just that.
func cancelAtHangup(conn net.Conn, cancel func()) {
	_ = conn.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, conn)
	cancel()
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
