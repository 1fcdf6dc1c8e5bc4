// Package holder is a fake of what systemd does for a service with a socket unit: it
// has the listening sockets, hands them to each process it starts, and keeps
// connections that a process stores (FileDescriptorStoreMax=) for the next one.
package holder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Holder has the sockets of one address.
type Holder struct {
	dir    string
	notify *net.UnixConn
	done   chan struct{}

	mu     sync.Mutex
	listen []*os.File
	stored []*os.File
	ready  int
}

// Open opens datagram sockets and a listening stream socket on an IPv4 address.
func Open(ctx context.Context, address string, datagrams int) (*Holder, error) {
	dir, err := os.MkdirTemp("", "holder-")
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w", address, err)
	}
	h := &Holder{dir: dir, done: make(chan struct{})}
	if err := h.open(ctx, address, datagrams); err != nil {
		close(h.done)
		return nil, errors.Join(fmt.Errorf("hold %s: %w", address, err), h.Close())
	}
	go h.hear()
	return h, nil
}

func (h *Holder) open(ctx context.Context, address string, datagrams int) (err error) {
	share := net.ListenConfig{Control: reusePort}
	for range datagrams {
		conn, err := share.ListenPacket(ctx, "udp4", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := h.keep(conn.(*net.UDPConn).File()); err != nil {
			return err
		}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := h.keep(listener.(*net.TCPListener).File()); err != nil {
		return err
	}
	h.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(h.dir, "notify"), Net: "unixgram"})
	return err
}

func (h *Holder) keep(file *os.File, err error) error {
	if err == nil {
		h.listen = append(h.listen, file)
	}
	return err
}

func reusePort(_, _ string, raw syscall.RawConn) error {
	var set error
	err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, set)
}

// hear does what processes ask for (sd_notify(3)).
func (h *Holder) hear() {
	defer close(h.done)
	text, oob := make([]byte, 4096), make([]byte, 4096)
	for {
		n, with, _, _, err := h.notify.ReadMsgUnix(text, oob)
		if err != nil {
			return
		}
		h.obey(string(text[:n]), filesOf(oob[:with]))
	}
}

func filesOf(oob []byte) (files []*os.File) {
	messages, _ := unix.ParseSocketControlMessage(oob) // none where it is damaged
	for i := range messages {
		numbers, _ := unix.ParseUnixRights(&messages[i])
		for _, number := range numbers {
			files = append(files, os.NewFile(uintptr(number), "connection"))
		}
	}
	return files
}

func (h *Holder) obey(said string, files []*os.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case strings.Contains(said, "READY=1"):
		h.ready++
	case strings.Contains(said, "FDSTORE=1"):
		h.stored, files = append(h.stored, files...), nil
	case strings.Contains(said, "FDSTOREREMOVE=1"):
		files, h.stored = append(files, h.stored...), nil
	}
	for _, f := range files {
		_ = f.Close()
	}
}

// Ready is how often a process said that it is ready.
func (h *Holder) Ready() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready
}

// Equip hands the sockets to a command that is about to be started. A shell puts in
// its own process ID, which is the program's then.
func (h *Holder) Equip(cmd *exec.Cmd) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cmd.ExtraFiles = append(append([]*os.File(nil), h.listen...), h.stored...)
	names := strings.Repeat("socket:", len(h.listen)) + strings.Repeat("connection:", len(h.stored))
	cmd.Env = append(cmd.Environ(),
		fmt.Sprintf("LISTEN_FDS=%d", len(cmd.ExtraFiles)), "LISTEN_FDNAMES="+strings.TrimSuffix(names, ":"),
		"NOTIFY_SOCKET="+h.notify.LocalAddr().String())
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// Close lets go of all sockets.
func (h *Holder) Close() error {
	if h.notify != nil {
		_ = h.notify.Close()
	}
	<-h.done
	for _, f := range append(h.listen, h.stored...) {
		_ = f.Close()
	}
	return os.RemoveAll(h.dir)
}
