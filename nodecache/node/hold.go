package node

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// prefix of the abstract sockets' names.
const prefix = "@strata-node/"

// A hold says that somebody serves on an address: as long as it is open.
type hold struct{ *net.UnixConn }

// holdOn takes a hold on an address. Any number may have one.
func holdOn(ip netip.Addr) (hold, error) {
	c, err := bind(ip.String() + "/" + rand.Text())
	if err != nil {
		return hold{}, fmt.Errorf("hold %s: %w", ip, err)
	}
	return hold{c}, nil
}

func bind(name string) (*net.UnixConn, error) {
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Name: prefix + name, Net: "unixgram"})
}

// held are the addresses that somebody has a hold on.
func held() (map[netip.Addr]bool, error) {
	file, err := os.Open("/proc/self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("see who serves: %w", err)
	}
	defer file.Close()
	all := map[netip.Addr]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		_, name, ok := strings.Cut(lines.Text(), prefix)
		text, _, more := strings.Cut(name, "/")
		if !ok || !more {
			continue
		}
		if ip, err := netip.ParseAddr(text); err == nil {
			all[ip] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("see who serves: %w", err)
	}
	return all, nil
}

// patience is how long to wait for the lock. It is held for milliseconds.
const patience = 2 * time.Second

var errLocked = errors.New("somebody keeps changing this host's addresses")

// lock keeps others from changing addresses until the function it returns is
// called. A lock that cannot be had in time is an error.
func lock() (unlock func(), err error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		c, err := bind("lock")
		switch {
		case err == nil:
			return func() { _ = c.Close() }, nil
		case !errors.Is(err, unix.EADDRINUSE):
			return nil, fmt.Errorf("lock: %w", err)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("lock: %w", errLocked)
		}
	}
}
