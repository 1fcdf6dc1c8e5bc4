//go:build dpdk

package dpdk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// clearSockets removes the sockets that servers of net_memif which were killed have left
// behind: the driver takes no path that is there.
func clearSockets(eal []string, log *slog.Logger) error {
	for _, d := range devices(eal) {
		if d.listens == "" {
			continue
		}
		if err := clearSocket(d.listens, log); err != nil {
			return fmt.Errorf("device %s: %w", d.name, err)
		}
	}
	return nil
}

func clearSocket(path string, log *slog.Logger) error {
	if i, err := os.Lstat(path); err != nil || i.Mode().Type() != fs.ModeSocket {
		return nil // nothing is there, or something that the driver tells of
	}
	// A memif's socket is of another type: this does not disturb who has it.
	switch c, err := net.Dial("unix", path); {
	case err == nil:
		c.Close()
		return fmt.Errorf("another process listens on %s", path)
	case errors.Is(err, unix.EPROTOTYPE):
		return fmt.Errorf("another process listens on %s", path)
	case !errors.Is(err, unix.ECONNREFUSED):
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove what a killed process left behind: %w", err)
	}
	log.Warn("removed the socket that a process left behind when it was killed", "socket", path)
	return nil
}
