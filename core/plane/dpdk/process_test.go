//go:build dpdk

package dpdk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
)

// A process is a child that runs the whole plane.
type process struct {
	*exec.Cmd
	out *bufio.Reader
}

func command(t *testing.T, lcores string, eal ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childKey+"="+strings.Join(append([]string{"--no-pci"}, eal...), "\n"), lcoresKey+"="+lcores)
	return c
}

// lastCPU is the one lcore that tests use.
func lastCPU() string { return fmt.Sprint(runtime.NumCPU() - 1) }

func start(t *testing.T, eal ...string) *process {
	t.Helper()
	return startIdle(t, "backoff", lastCPU(), eal...)
}

func startIdle(t *testing.T, idle, lcores string, eal ...string) *process {
	t.Helper()
	c := command(t, lcores, eal...)
	c.Env = append(c.Env, idleKey+"="+idle)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	p := &process{c, bufio.NewReader(out)}
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("not ready: %v", err)
		}
		if strings.HasPrefix(line, "ready dpdk ") {
			return p
		}
		t.Log(strings.TrimSpace(line))
	}
}

// end tells it to end, and returns what it says at the end.
func (p *process) end(t *testing.T) string {
	t.Helper()
	if err := p.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(p.out)
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return string(said)
}

// TestDevices runs the plane on a veth by each of the drivers that can: datagrams of
// both families, ping and neighbour discovery, and an interface as it was at the end.
func TestDevices(t *testing.T) {
	clients := needInside(t)
	for _, device := range []string{"net_af_packet1,iface=" + portName, "net_af_xdp1,iface=" + portName} {
		driver, _, _ := strings.Cut(device, ",")
		t.Run(driver, func(t *testing.T) {
			p := start(t, "--vdev="+device)
			for _, to := range []netip.Prefix{service4, service6} {
				ip("-n", clients, "neigh", "flush", "dev", "eth0")
				c := dial(t, clients, to.Addr())
				defer c.Close()
				ask := func(question string) string {
					for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
						if err := c.Ask([]byte(question)); err != nil {
							t.Fatal(err)
						}
						if b, err := c.Reply(time.Second); err == nil {
							return string(b)
						}
					}
					return "nothing"
				}
				if got := ask("is anybody there"); got != "IS ANYBODY THERE" {
					t.Errorf("%s says %q", to, got)
				}
				if got := ask(strings.Repeat("long", 300)); got != strings.Repeat("LONG", 300) {
					t.Errorf("%s says %d octets", to, len(got))
				}
				in(t, clients, func() error {
					out, err := exec.Command("ping", "-c", "2", "-i", "0.2", "-W", "5", to.Addr().String()).CombinedOutput()
					if err != nil {
						return fmt.Errorf("ping: %w: %s", err, out)
					}
					return nil
				})
			}
			if said := p.end(t); !strings.Contains(said, "received ") {
				t.Errorf("at the end: %s", said)
			}
			out, err := exec.Command("ip", "-d", "link", "show", "dev", portName).CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("xdp")) || bytes.Contains(out, []byte("promiscuity 1")) {
				t.Errorf("the interface is not as it was: %v\n%s", err, out)
			}
		})
	}
}

var (
	memifMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x53} // the child's
	asking   = netip.MustParseAddrPort("10.0.0.9:4242")
)

// wayTo is a way back that leads to the child's service address: as if a query had
// come from there.
func wayTo(own net.HardwareAddr) (r plane.Return) {
	h := append(append(append([]byte(nil), own...), memifMAC...), 8, 0)
	h = append(h, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0)
	h = append(append(h, service4.Addr().AsSlice()...), asking.Addr().AsSlice()...)
	h = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(h, 53), asking.Port())
	h = append(h, 0, 0, 0, 0)
	r[0], r[1] = 14, byte(len(h))
	copy(r[2:], h)
	return r
}

// TestMemif has two processes meet over shared memory: this one asks with a queue
// whose host is the client.
func TestMemif(t *testing.T) {
	needInside(t)
	q := newTestQueue(t, 1)
	defer q.end()
	p := start(t, "--vdev=net_memif0,role=client,socket-abstract=no,mac="+memifMAC.String()+",socket="+memifPath)
	own := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	host, err := frame.NewHost(own, []netip.Prefix{netip.PrefixFrom(asking.Addr(), 24)}, asking.Port())
	if err != nil {
		t.Fatal(err)
	}
	q.hosts[0] = host
	way, batch, received := wayTo(own), make([]plane.Packet, burst), 0
	for deadline := time.Now().Add(15 * time.Second); received < 2000; {
		if time.Now().After(deadline) {
			t.Fatalf("%d replies", received)
		}
		for range burst / 2 {
			q.Deliver(way, []byte("is anybody there"))
		}
		q.poll(0)
		for n := q.unpack(batch); n > 0; n = q.unpack(batch) {
			received += n
			for i := range batch[:n] {
				if got := string(batch[i].Data); got != "IS ANYBODY THERE" || batch[i].Client != netip.AddrPortFrom(service4.Addr(), 53) {
					t.Fatalf("%q from %s", got, batch[i].Client)
				}
			}
		}
	}
	var got, sent int
	if _, err := fmt.Sscanf(p.end(t), "received %d sent %d", &got, &sent); err != nil || got < received || sent < received {
		t.Errorf("received %d, sent %d of %d: %v", got, sent, received, err)
	}
}

// TestRefused: what cannot work is one clear error.
func TestRefused(t *testing.T) {
	needInside(t)
	for _, c := range []struct{ name, lcores, eal, want string }{
		{"no such interface", lastCPU(), "--vdev=net_af_packet0,iface=nosuch0", "dpdk: device net_af_packet0 cannot be had: there is no interface nosuch0: "},
		{"no such driver", lastCPU(), "--vdev=net_nosuch0", "net_nosuch0"},
		{"no such CPU", "999", "--vdev=net_af_packet0,iface=" + portName, "dpdk.lcores has 999; this process may use CPUs 0"},
		{"no device", lastCPU(), "--no-telemetry", "no port: dpdk.eal names no device"},
		{"no such card", lastCPU(), "-a0000:99:00.0", "device 0000:99:00.0 cannot be had: there is no such PCI device"},
		{"an argument the driver has not", lastCPU(), "--vdev=net_af_packet0,nosuch=1,iface=" + portName, "device net_af_packet0 cannot be had: its driver would not have it, or not with these arguments"},
		{"lcores of DPDK's choice", lastCPU(), "--lcores=0@0", "dpdk.eal has \"--lcores=0@0\": which CPUs poll is said by dpdk.lcores"},
		{"a device twice", lastCPU(), "--vdev=net_af_packet0,iface=" + portName + "\n--vdev=net_af_packet1,iface=" + portName, "dpdk.eal names interface dns0 twice, for net_af_packet0 and net_af_packet1"},
		{"an lcore twice", "0,0", "--no-telemetry", "lcore 0 stands twice"},
		{"an unknown argument", lastCPU(), "--nosuch", "Invalid argument: strata: unrecognized option '--nosuch'\n"},
		{"a question", lastCPU(), "--help", "dpdk.eal has \"--help\": DPDK would print its arguments and end"},
		{"an interface without an Ethernet address", lastCPU(), "--vdev=net_af_packet0,iface=lo", `port net_af_packet0: "00:00:00:00:00:00" is no station's Ethernet address`},
		{"too little memory", lastCPU(), "--no-huge\n-m\n16\n--vdev=net_af_packet0,iface=" + portName, "port net_af_packet0: make its buffers: too few huge pages are free, or -m in dpdk.eal is too little: it takes about 25 MB for each queue: Cannot allocate memory"},
		{"fewer queues than lcores", "0," + lastCPU(), "--vdev=net_af_packet0,iface=" + portName, "port net_af_packet0 has 1 queues, dpdk.lcores asks for 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.lcores == "0,0" && c.name != "an lcore twice" {
				t.Skip("needs two CPUs")
			}
			out, err := command(t, c.lcores, c.eal).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%v: %s\nwant one line with %q", err, out, c.want)
			}
		})
	}
}

// TestForbidden: who lacks what a port needs is told what.
func TestForbidden(t *testing.T) {
	needInside(t)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("needs setpriv, to have fewer capabilities")
	}
	for _, c := range []struct{ lacking, device, want string }{
		{"-net_raw,-net_admin", "net_af_packet0,iface=" + portName, "device net_af_packet0 cannot be had: this process lacks CAP_NET_RAW"},
		{"-net_admin", "net_af_packet0,iface=" + portName, "port net_af_packet0: start it: this process lacks CAP_NET_ADMIN: "},
		{"-net_raw,-net_admin", "net_tap0", "device net_tap0 cannot be had: this process lacks CAP_NET_ADMIN"},
		{"-ipc_lock", "net_af_xdp0,iface=" + portName, "and the memlock limit of this process, which lacks CAP_IPC_LOCK, is 1000000: "},
		// What DPDK says of it stands behind, however late it is read.
		{"-ipc_lock", "net_af_xdp0,iface=" + portName, "Failed to create umem"},
	} {
		p := command(t, lastCPU(), "--vdev="+c.device)
		p.Args, p.Path = append([]string{"setpriv", "--bounding-set=" + c.lacking, "prlimit", "--memlock=1000000", p.Path}, p.Args[1:]...), setpriv
		if out, err := p.CombinedOutput(); err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("without %s: %v: %s\nwant %q", c.lacking, err, out, c.want)
		}
	}
}

// TestRing: a port that has no Ethernet address gets one.
func TestRing(t *testing.T) {
	needInside(t)
	if said := start(t, "--vdev=net_ring0").end(t); !strings.Contains(said, "port {Name:net_ring0 Driver:net_ring ") {
		t.Error(said)
	}
}

// TestCannotWait: a driver without interrupts is named.
func TestCannotWait(t *testing.T) {
	needInside(t)
	for driver, arguments := range map[string]string{
		"net_af_packet": "iface=" + portName, "net_af_xdp": "iface=" + portName,
		"net_memif": "role=server,socket-abstract=no,socket=" + filepath.Join(t.TempDir(), "m"),
	} {
		t.Run(driver, func(t *testing.T) {
			c := command(t, lastCPU(), "--vdev="+driver+"0,"+arguments)
			c.Env = append(c.Env, idleKey+"=interrupt")
			want := "port " + driver + "0: driver " + driver + " has no receive interrupts: set dpdk.idle to backoff or poll"
			if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 { // behind it may stand what the EAL complains of
				t.Errorf("%v: %s\nwant %q", err, out, want)
			}
		})
	}
}
