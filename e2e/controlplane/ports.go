package controlplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// ports are taken as package stack takes them: below those that the kernel gives to
// clients, each held by an abstract unix socket of its number, which stacks see.
type ports struct{ locks []net.Listener }

const (
	lowestPort  = 10_000
	highestPort = 32_000
)

func (p *ports) take() (int, error) {
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		lock, err := net.Listen("unix", fmt.Sprintf("@strata-port-%d", port))
		if err != nil {
			continue
		}
		if probe, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			probe.Close()
			p.locks = append(p.locks, lock)
			return port, nil
		}
		lock.Close()
	}
	return 0, errors.New("no free port")
}

func (p *ports) release() {
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func splitAddress(address string) (host, port string) {
	host, port, _ = strings.Cut(address, ":")
	return host, port
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
