package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketMode lets nobody but the daemon's own user (and root) in.
const socketMode = 0o600

// dialTimeout bounds the look whether somebody answers on a socket, lockTimeout
// the wait for others that start in the same directory.
const (
	dialTimeout = 2 * time.Second
	lockTimeout = time.Second
	lockPause   = 10 * time.Millisecond
)

// listen opens the socket at path. A socket file that nobody answers on was
// left by a daemon that died, and is replaced; any other file is left alone.
func listen(ctx context.Context, path string) (*net.UnixListener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("control: lock %s: %w", dir, err)
	}
	defer unlock()

	l, err := bind(ctx, path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = bind(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return l, nil
}

// bind creates the socket file with its mode already narrow: Linux takes the
// mode of the file from that of the unbound socket, so there is no moment
// between bind and chmod in which others could connect.
func bind(ctx context.Context, path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var chmod error
		err := conn.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, chmod)
	}}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	unixListener := l.(*net.UnixListener)
	unixListener.SetUnlinkOnClose(false) // see Server.Close
	return unixListener, nil
}

// lockDir keeps two daemons that start at once from both taking a stale socket
// for theirs to replace: the second would remove the first's new one. Anyone who
// can read the directory can hold the lock, and must not keep a daemon from
// starting: after lockTimeout it goes on without.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, err
		}
		if err == nil || !pause(ctx, lockPause) {
			return func() { f.Close() }, nil
		}
	}
}

// removeStale removes the socket file at path if nobody answers on it.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control: %s exists and is no socket: remove it, or choose another path", path)
	}
	conn, err := net.DialTimeout("unix", path, dialTimeout)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("control: another daemon answers on %s", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("control: is %s in use: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// removeOwn removes the socket file unless another was put in its place.
func removeOwn(path string, info fs.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, info) {
		_ = os.Remove(path) // what remains is stale, and the next start replaces it
	}
}
