package socket

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/plane/planetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is a client of a UDP or TCP listener on real sockets.
type far struct {
	net.Conn
	asked  netip.AddrPort
	stream bool
	in     *bufio.Reader
	buffer [65535]byte
}

func (f *far) Address() netip.AddrPort { return netip.MustParseAddrPort(f.LocalAddr().String()) }

func (f *far) Ask(query []byte) error {
	if !f.stream {
		_, err := f.Write(query)
		return err
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	_, err := f.Write(append(framed, query...))
	return err
}

func (f *far) Reply(within time.Duration) ([]byte, error) {
	f.SetReadDeadline(time.Now().Add(within))
	if !f.stream {
		return f.datagram()
	}
	if _, err := io.ReadFull(f.in, f.buffer[:2]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint16(f.buffer[:])
	_, err := io.ReadFull(f.in, f.buffer[:size])
	return f.buffer[:size], err
}

// datagram reads one; the socket is connected, so that the kernel gives only
// those which come from the address that was asked.
func (f *far) datagram() ([]byte, error) {
	n, err := f.Read(f.buffer[:])
	var sys *os.SyscallError
	if errors.As(err, &sys) && sys.Syscall == "read" { // ICMP: nobody there, after Close
		return nil, os.ErrDeadlineExceeded
	}
	return f.buffer[:n], err
}

func dialFar(t *testing.T, network string, to netip.AddrPort) *far {
	t.Helper()
	c, err := net.DialTimeout(network, to.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if udp, ok := c.(*net.UDPConn); ok {
		udp.SetReadBuffer(4 << 20) // the largest replies to a whole batch
	}
	return &far{Conn: c, asked: to, stream: network == "tcp", in: newReader(c)}
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestUDPPlane holds the contract for every kind of UDP listener.
func TestUDPPlane(t *testing.T) {
	for _, c := range []struct {
		name   string
		listen string
		ask    string // the address clients ask, of several the host has
		o      UDPOptions
	}{
		{"v4", "127.0.0.1:0", "127.0.0.1", UDPOptions{}},
		{"v4 each alone", "127.0.0.1:0", "127.0.0.1", UDPOptions{NoSegments: true, Gather: -1}},
		{"v4 wildcard", "0.0.0.0:0", "127.0.0.1", UDPOptions{}},
		{"v4 wildcard, second address", "0.0.0.0:0", "127.0.0.53", UDPOptions{}},
		{"v6", "[::1]:0", "::1", UDPOptions{}},
		{"v6 wildcard", "[::]:0", "::1", UDPOptions{}},
		{"small", "127.0.0.1:0", "127.0.0.1", UDPOptions{Room: 512}},
		{"large", "0.0.0.0:0", "127.0.0.7", UDPOptions{Room: 4096}},
	} {
		t.Run(c.name, func(t *testing.T) {
			planetest.Run(t, func(t *testing.T) planetest.Subject {
				u, err := ListenUDP(at(c.listen), c.o)
				if err != nil {
					t.Fatal(err)
				}
				asked := netip.AddrPortFrom(netip.MustParseAddr(c.ask), u.Address().Port())
				return planetest.Subject{
					Queue: u.Queues()[0], Room: or(c.o.Room, DefaultRoom),
					Dial: func(t *testing.T) planetest.Asker { return dialFar(t, "udp", asked) },
				}
			})
		})
	}
}

// TestTCPPlane holds the contract for streams.
func TestTCPPlane(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		t.Run(fmt.Sprint(listen), func(t *testing.T) {
			planetest.Run(t, func(t *testing.T) planetest.Subject {
				tcp, err := ListenTCP(at(listen), TCPOptions{})
				if err != nil {
					t.Fatal(err)
				}
				asked := tcp.Address()
				switch listen {
				case "0.0.0.0:0":
					asked = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), asked.Port())
				case "[::]:0":
					asked = netip.AddrPortFrom(netip.IPv6Loopback(), asked.Port())
				}
				return planetest.Subject{
					Queue: tcp.Queues()[0], Stream: true, Room: 65535,
					Dial: func(t *testing.T) planetest.Asker { return dialFar(t, "tcp", asked) },
				}
			})
		})
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 65537) }
