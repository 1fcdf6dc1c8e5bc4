package hosts

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"time"
)

// A Host is a namespace with an interface at its site's switch.
type Host struct {
	Name    string
	Address netip.Addr // the first, which it sends from
	Link    *Link      // its cable

	space *space
}

// Start starts a command on the host, in a process group of its own. It is killed
// when the network is closed or this process ends.
func (h *Host) Start(cmd *exec.Cmd) error { return h.space.start(cmd) }

// Run runs a program on the host to its end, and returns its standard output. The
// error has what it complained about.
func (h *Host) Run(program string, args ...string) (output string, err error) {
	return h.space.run("", program, args...)
}

// Dial connects, as a program on the host would, to a literal address; within
// limit.
func (h *Host) Dial(network, address string, limit time.Duration) (net.Conn, error) {
	return h.space.dial(network, address, limit)
}

// Listen listens on the host for connections to a literal address.
func (h *Host) Listen(network, address string) (listener net.Listener, err error) {
	err = h.space.visit(func() error {
		listener, err = net.Listen(network, address)
		return err
	})
	return listener, err
}

// ListenPacket listens on the host for packets to a literal address.
func (h *Host) ListenPacket(network, address string) (conn net.PacketConn, err error) {
	err = h.space.visit(func() error {
		conn, err = net.ListenPacket(network, address)
		return err
	})
	return conn, err
}

// Pages is a client of web pages on the host. It keeps no connections.
func (h *Host) Pages() *http.Client {
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		return h.Dial(network, address, 5*time.Second)
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}
