package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// Ports are taken from below those that the kernel gives to clients
// (ip_local_port_range, 32768 by default): nothing that merely asks a question
// can sit on one between its choice and its use.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// Ports are the ports of one stack. Each is held by an abstract unix socket of
// its number, which other stacks see and the kernel takes away with the process. The
// zero value holds none.
type Ports struct {
	locks []net.Listener
}

var errNoPort = errors.New("no free port")

// Take returns a port that is free on loopback for UDP and TCP, IPv4 and IPv6.
func (p *Ports) Take() (int, error) {
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		lock, err := net.Listen("unix", fmt.Sprintf("@strata-port-%d", port))
		if err != nil {
			continue
		}
		if !free(port) {
			lock.Close()
			continue
		}
		p.locks = append(p.locks, lock)
		return port, nil
	}
	return 0, errNoPort
}

// free tries a port on all addresses: a wildcard socket conflicts with any.
func free(port int) bool {
	address := fmt.Sprintf(":%d", port)
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	tcp.Close()
	return true
}

// Release lets go of all.
func (p *Ports) Release() {
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}

// A Test is what FreePort needs of a testing.T.
type Test interface {
	Helper()
	Cleanup(f func())
	Fatal(args ...any)
}

// FreePort takes one port until a test ends.
func FreePort(t Test) int {
	t.Helper()
	var ports Ports
	t.Cleanup(ports.Release)
	port, err := ports.Take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// HasIPv6 tells whether this machine has an IPv6 loopback address.
func HasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	if err != nil {
		return false
	}
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
