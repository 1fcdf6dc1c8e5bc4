package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/e2e/stack"
)

// A holder is a fake of what systemd does for a service with a socket unit: it has
// the listening sockets, hands them to each process it starts, and keeps connections
// that a process stores (FileDescriptorStoreMax=) for the next one.
type holder struct {
	notify *net.UnixConn

	mu     sync.Mutex
	listen []*os.File
	stored []*os.File
	ready  int // how often READY=1 was said
}

// holding opens datagram sockets and a listening stream socket on one address.
func holding(t *testing.T, address string, datagrams int) *holder {
	t.Helper()
	h := &holder{}
	share := net.ListenConfig{Control: reusePort}
	for range datagrams {
		conn, err := share.ListenPacket(t.Context(), "udp4", address)
		must(t, err)
		file, err := conn.(*net.UDPConn).File()
		must(t, err)
		must(t, conn.Close())
		h.listen = append(h.listen, file)
	}
	listener, err := net.Listen("tcp4", address)
	must(t, err)
	file, err := listener.(*net.TCPListener).File()
	must(t, err)
	must(t, listener.Close())
	h.listen = append(h.listen, file)

	path := filepath.Join(t.TempDir(), "notify")
	h.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.hear()
	}()
	t.Cleanup(func() {
		_ = h.notify.Close()
		<-done
		for _, f := range append(h.listen, h.stored...) {
			_ = f.Close()
		}
	})
	return h
}

// hear does what the process asks for (sd_notify(3)).
func (h *holder) hear() {
	text, oob := make([]byte, 4096), make([]byte, 4096)
	for {
		n, with, _, _, err := h.notify.ReadMsgUnix(text, oob)
		if err != nil {
			return
		}
		var files []*os.File
		if messages, err := unix.ParseSocketControlMessage(oob[:with]); err == nil {
			for i := range messages {
				numbers, _ := unix.ParseUnixRights(&messages[i])
				for _, number := range numbers {
					files = append(files, os.NewFile(uintptr(number), "connection"))
				}
			}
		}
		said := string(text[:n])
		h.mu.Lock()
		switch {
		case strings.Contains(said, "READY=1"):
			h.ready++
		case strings.Contains(said, "FDSTORE=1"):
			h.stored, files = append(h.stored, files...), nil
		case strings.Contains(said, "FDSTOREREMOVE=1"):
			files, h.stored = append(files, h.stored...), nil
		}
		h.mu.Unlock()
		for _, f := range files {
			_ = f.Close()
		}
	}
}

// saidReady is how often a process said that it is ready.
func (h *holder) saidReady() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready
}

// start is a stack.Process's Launch: a shell puts in its own ID, which is the
// daemon's then.
func (h *holder) start(cmd *exec.Cmd) error {
	h.mu.Lock()
	cmd.ExtraFiles = append(append([]*os.File(nil), h.listen...), h.stored...)
	names := strings.Repeat("nodecache.socket:", len(h.listen)) + strings.Repeat("connection:", len(h.stored))
	h.mu.Unlock()
	cmd.Env = append(cmd.Env,
		fmt.Sprintf("LISTEN_FDS=%d", len(cmd.ExtraFiles)), "LISTEN_FDNAMES="+strings.TrimSuffix(names, ":"),
		"NOTIFY_SOCKET="+h.notify.LocalAddr().String())
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"`}, append([]string{cmd.Path}, cmd.Args[1:]...)...)
	cmd.Path = "/bin/sh"
	return stack.Launch(cmd)
}
