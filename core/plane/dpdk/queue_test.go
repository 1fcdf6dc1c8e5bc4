//go:build dpdk

package dpdk

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/planetest"
)

// testPorts are those of this process: one on the veth, one for memif, whose client is
// a child.
var testPorts = sync.OnceValues(func() (ports []*port, err error) {
	o := testOptions()
	env, err := startEnvironment(arguments(&o, 0, hugePages()), o.Log)
	if err != nil {
		return nil, err
	}
	if ports, err = findPorts(&o); err != nil {
		env.close()
		return nil, err
	}
	for _, p := range ports {
		if err := p.open(1); err != nil {
			return nil, err
		}
	}
	return ports, nil
})

// memifPath is where the child and this process meet.
var memifPath = filepath.Join(os.TempDir(), "strata-dpdk-"+time.Now().Format("150405.000000")+".memif")

func testOptions() Options {
	return Options{
		EAL:    []string{"--no-pci", "--vdev=net_af_packet0,iface=" + portName, "--vdev=net_memif0,role=server,socket-abstract=no,socket=" + memifPath},
		Lcores: []int{0}, Addresses: []netip.Prefix{service4, service6}, Port: 53, Room: 1232, Idle: Backoff, Log: slog.New(slog.DiscardHandler),
	}
}

// newTestQueue makes a queue of one port, which what came before has left.
func newTestQueue(t *testing.T, nth int) *queue {
	t.Helper()
	ports, err := testPorts()
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions()
	q, err := newQueue(0, 0, ports[nth:nth+1], &o)
	if err != nil {
		t.Fatal(err)
	}
	for quiet := time.Now().Add(20 * time.Millisecond); time.Now().Before(quiet); {
		if q.poll(0); q.taken > 0 {
			quiet = time.Now().Add(20 * time.Millisecond)
		}
	}
	return q
}

// An asker is a socket in the clients' namespace.
type asker struct{ *net.UDPConn }

func (a asker) Ask(query []byte) error { _, err := a.Write(query); return err }

func (a asker) Reply(within time.Duration) ([]byte, error) {
	a.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 4096)
	n, err := a.Read(b)
	return b[:n], err
}

func (a asker) Address() netip.AddrPort { return a.LocalAddr().(*net.UDPAddr).AddrPort() }

func dial(t *testing.T, namespace string, to netip.Addr) planetest.Asker {
	t.Helper()
	var c *net.UDPConn
	in(t, namespace, func() (err error) {
		c, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53)))
		return err
	})
	return asker{c}
}

// TestQueue holds the plane to the contract, over a veth, with the kernel as client.
func TestQueue(t *testing.T) {
	clients := needInside(t)
	for _, to := range []netip.Prefix{service4, service6} {
		t.Run(to.Addr().String(), func(t *testing.T) {
			planetest.Run(t, func(t *testing.T) planetest.Subject {
				q := newTestQueue(t, 0)
				t.Cleanup(q.end)
				// The client learns our Ethernet address before what is measured.
				resolve(t, q, dial(t, clients, to.Addr()))
				return planetest.Subject{Queue: q, Room: 1232, Dial: func(t *testing.T) planetest.Asker { return dial(t, clients, to.Addr()) }}
			})
		})
	}
}

// resolve has one query answered.
func resolve(t *testing.T, q *queue, c planetest.Asker) {
	t.Helper()
	defer c.Close()
	if err := c.Ask([]byte("who has it")); err != nil {
		t.Fatal(err)
	}
	batch := make([]plane.Packet, 1)
	if n, err := q.Receive(batch); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	q.Send(batch)
	if _, err := c.Reply(5 * time.Second); err != nil {
		t.Fatal(err)
	}
}
