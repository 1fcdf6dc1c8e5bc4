package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
)

// besideConfig has the kernel on the service addresses, too.
const besideConfig = `listen: ["10.44.0.53:53", "[fd44::53]:53"]
plane: dpdk
dpdk: {eal: ["--no-pci", "--vdev=DEVICE"], lcores: [LCORE], addresses: [10.44.0.53/16, "fd44::53/64"], idle: backoff, exception: EXCEPTION}
zones: [{name: example.org, source: file, file: org.zone}]
admin: "127.0.0.1:9355"
control: ""
`

// A beside is a host whose service addresses the plane and the kernel share, and a client.
type beside struct {
	t              *testing.T
	server, client *hosts.Host
	dir            string
	iface          string // where the kernel has the addresses
}

// newBeside makes the hosts; device is DPDK's.
func newBeside(t *testing.T, device, exception, iface string) *beside {
	needDPDK(t)
	need(t, "ping", "arping", "ndisc6", "tcpdump")
	network, err := hosts.New()
	must(t, err)
	t.Cleanup(network.Close)
	site, err := network.Site("site", netip.MustParsePrefix("10.44.0.0/16"))
	must(t, err)
	b := &beside{t: t, dir: t.TempDir(), iface: iface}
	b.server, err = site.Host("server", netip.MustParseAddr("10.44.0.2"))
	must(t, err)
	b.client, err = site.Host("client", netip.MustParseAddr("10.44.0.9"))
	must(t, err)
	for _, h := range []*hosts.Host{b.server, b.client} {
		b.run(h, "sh", "-c", "echo 0 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/*/disable_ipv6")
	}
	b.run(b.client, "ip", "addr", "add", "fd44::9/64", "dev", "eth0", "nodad")
	zone := dpdkZone
	for i := range 200 {
		zone += fmt.Sprintf("big IN TXT some-text-%d\n", i)
	}
	writeFile(t, filepath.Join(b.dir, "org.zone"), zone)
	writeFile(t, filepath.Join(b.dir, "authoritative.yaml"), strings.NewReplacer(
		"DEVICE", device, "EXCEPTION", exception, "LCORE", strconv.Itoa(runtime.NumCPU()-1)).Replace(besideConfig))
	return b
}

func (b *beside) run(h *hosts.Host, program string, args ...string) (out string) {
	b.t.Helper()
	out, err := h.Run(program, args...)
	must(b.t, err)
	return out
}

// serve starts authoritative.
func (b *beside) serve() *dual {
	b.t.Helper()
	d := &dual{t: b.t, server: b.server, client: b.client, done: make(chan error, 1)}
	program, err := filepath.Abs(filepath.Join(bin, "authoritative"))
	must(b.t, err)
	d.cmd = exec.Command(program, "serve", "--config", "authoritative.yaml")
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = b.dir, &d.log, &d.log
	must(b.t, b.server.Start(d.cmd))
	go func() { d.done <- d.cmd.Wait() }()
	return d
}

// whole looks at all that two who share an address have to do.
func (b *beside) whole(d *dual) {
	b.t.Helper()
	for _, address := range []string{"10.44.0.53", "fd44::53"} {
		d.says("@"+address+" www.example.org", "192.0.2.80")
		d.says("@"+address+" big.example.org TXT +ignore", " tc")
		// dig comes back over TCP when it gets TC.
		d.says("@"+address+" big.example.org TXT", "ANSWER: 200")
		d.says("@"+address+" www.example.org +tcp", "192.0.2.80")
		b.run(b.client, "ping", "-c", "2", "-i", "0.2", "-W", "5", address)
		b.talks(address)
	}
	// One answers who asks for the address, not two.
	b.run(b.client, "ip", "neigh", "flush", "dev", "eth0")
	if out := b.run(b.client, "arping", "-c", "2", "-w", "10", "-I", "eth0", "10.44.0.53"); !strings.Contains(out, "Received 2 response") {
		b.t.Errorf("arping: %s", out)
	}
	if out := b.run(b.client, "ndisc6", "-m", "-n", "-w", "1000", "fd44::53", "eth0"); strings.Count(out, "Target link-layer address") != 1 {
		b.t.Errorf("ndisc6: %s", out)
	}
	b.asks()
}

// talks has a program on the server, which is no name server, talk with the client over
// TCP, for many segments in both directions.
func (b *beside) talks(address string) {
	b.t.Helper()
	listener, err := b.server.Listen("tcp", net.JoinHostPort(address, "2222"))
	must(b.t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	}()
	conn, err := b.client.Dial("tcp", net.JoinHostPort(address, "2222"), 10*time.Second)
	must(b.t, err)
	defer conn.Close()
	must(b.t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	said := bytes.Repeat([]byte("what one types "), 10_000/15)
	for range 20 {
		_, err := conn.Write(said)
		must(b.t, err)
		heard := make([]byte, len(said))
		if _, err := io.ReadFull(conn, heard); err != nil || !bytes.Equal(said, heard) {
			b.t.Fatalf("%s: the echo is not what was said: %v", address, err)
		}
	}
}

// asks has the server's kernel begin: a connection to the client, and a query whose reply
// comes from port 53.
func (b *beside) asks() {
	b.t.Helper()
	listener, err := b.client.Listen("tcp", "10.44.0.9:2223")
	must(b.t, err)
	defer listener.Close()
	conn, err := b.server.Dial("tcp", "10.44.0.9:2223", 10*time.Second)
	must(b.t, err)
	conn.Close()
	packets, err := b.client.ListenPacket("udp", "10.44.0.9:53")
	must(b.t, err)
	defer packets.Close()
	go func() {
		packet := make([]byte, 512)
		if n, from, err := packets.ReadFrom(packet); err == nil {
			_, _ = packets.WriteTo(packet[:n], from)
		}
	}()
	resolver, err := b.server.Dial("udp", "10.44.0.9:53", time.Second)
	must(b.t, err)
	defer resolver.Close()
	must(b.t, resolver.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = resolver.Write([]byte("a query"))
	must(b.t, err)
	if n, err := resolver.Read(make([]byte, 512)); n != 7 || err != nil {
		b.t.Errorf("the server's own query: %d octets came back, %v", n, err)
	}
}

// metric is the sum of all lines of the server's page that begin so.
func (b *beside) metric(begin string) (sum float64) {
	b.t.Helper()
	var page []byte
	within(b.t, "the server to show its metrics", func() bool {
		reply, err := b.server.Pages().Get("http://127.0.0.1:9355/metrics")
		if err != nil {
			return false
		}
		defer reply.Body.Close()
		page, err = io.ReadAll(reply.Body)
		return err == nil
	})
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, begin) {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			must(b.t, err)
			sum += n
		}
	}
	return sum
}

// sees runs tcpdump on the server while act does something, until it has seen the
// given words, and returns what it saw.
func (b *beside) sees(filter, words string, act func()) string {
	b.t.Helper()
	var seen stack.Text
	cmd := exec.Command("tcpdump", append([]string{"-i", b.iface, "-n", "-l", "--immediate-mode"}, strings.Fields(filter)...)...)
	cmd.Stdout = &seen
	began, err := cmd.StderrPipe()
	must(b.t, err)
	must(b.t, b.server.Start(cmd))
	first := make([]byte, 1)
	_, err = io.ReadFull(began, first) // it says that it listens
	must(b.t, err)
	said := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, began); close(said) }()
	act()
	within(b.t, "tcpdump to see "+words, func() bool { return strings.Contains(seen.String(), words) })
	must(b.t, cmd.Process.Signal(syscall.SIGINT))
	<-said
	must(b.t, cmd.Wait())
	return seen.String()
}

// kill has authoritative end without a chance to clean up.
func (b *beside) kill(d *dual) {
	b.t.Helper()
	must(b.t, d.cmd.Process.Kill())
	<-d.done
}

// ends has authoritative end well, and a connection that is open then, too.
func (b *beside) ends(d *dual) (log string) {
	b.t.Helper()
	conn, err := b.client.Dial("tcp", "10.44.0.53:53", 10*time.Second)
	must(b.t, err)
	defer conn.Close()
	// It has been accepted when something was answered on it: until then its end is a reset.
	must(b.t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	asker := &dns.Conn{Conn: conn}
	must(b.t, asker.WriteMsg(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA)))
	_, err = asker.ReadMsg()
	must(b.t, err)
	log = d.ends()
	must(b.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		b.t.Errorf("an open connection reads %d octets, %v at the end", n, err)
	}
	return log
}

func (b *beside) link() string { return b.run(b.server, "ip", "-d", "link", "show") }

// Over net_af_xdp the plane gets queries and the kernel gets the rest: TCP, ping, ARP,
// neighbour discovery, what other programs do; and everything once authoritative ends.
func TestDPDKBesideKernel(t *testing.T) {
	b := newBeside(t, "net_af_xdp0,iface=eth0", "none", "eth0")
	b.run(b.server, "ip", "addr", "add", "10.44.0.53/16", "dev", "eth0")
	b.run(b.server, "ip", "addr", "add", "fd44::53/64", "dev", "eth0", "nodad")
	d := b.serve()
	b.whole(d)
	if n := b.metric(`strata_dpdk_frames_total{`) - b.metric(`strata_dpdk_frames_total{lcore="`+strconv.Itoa(runtime.NumCPU()-1)+`",verdict="query"}`); n != 0 {
		t.Errorf("the plane got %v frames that are no queries", n)
	}
	queries := b.metric("strata_dpdk_total{")
	if seen := b.sees("port 53", "Flags [S]", func() { d.says("@10.44.0.53 big.example.org TXT", "ANSWER: 200") }); strings.Contains(seen, "UDP") || strings.Contains(seen, "TXT? big") && !strings.Contains(seen, "Flags [P.]") {
		t.Errorf("tcpdump sees\n%s", seen)
	}
	if b.metric("strata_dpdk_total{") == queries {
		t.Error("the query was not the plane's")
	}

	second := b.serve()
	if err := <-second.done; err == nil || !strings.Contains(second.log.String(), "interface eth0: another process of ours serves it") {
		t.Errorf("a second one: %v\n%s", err, second.log.String())
	}
	b.whole(d)

	b.kill(d)
	if !strings.Contains(b.link(), "strata_dns") {
		t.Errorf("without the program of who was killed this tests nothing:\n%s", b.link())
	}
	// What was left behind lets the kernel have everything.
	b.run(b.client, "ping", "-c", "1", "-W", "5", "10.44.0.53")
	d = b.serve()
	b.whole(d)
	log := b.ends(d)
	if !strings.Contains(log, "removed the XDP program that a process of ours left behind") {
		t.Errorf("the log does not tell what was removed:\n%s", log)
	}
	if out := b.link(); strings.Contains(out, "xdp") {
		t.Errorf("after the end:\n%s", out)
	}
}

// An address that the kernel has not got is the plane's with all that belongs to it,
// and the kernel's other addresses on the same interface are its own.
func TestDPDKSoleAddress(t *testing.T) {
	b := newBeside(t, "net_af_xdp0,iface=eth0", "none", "eth0")
	writeFile(t, filepath.Join(b.dir, "authoritative.yaml"), strings.NewReplacer(
		"DEVICE", "net_af_xdp0,iface=eth0", "EXCEPTION", "none", "LCORE", strconv.Itoa(runtime.NumCPU()-1),
		`listen: ["10.44.0.53:53", "[fd44::53]:53"]`, `listen: ["10.44.0.2:53"]`).Replace(besideConfig))
	d := b.serve()
	for _, address := range []string{"10.44.0.53", "fd44::53"} {
		d.says("@"+address+" www.example.org", "192.0.2.80")
		b.run(b.client, "ping", "-c", "2", "-i", "0.2", "-W", "5", address)
	}
	if n := b.metric(`strata_dpdk_frames_total{lcore="` + strconv.Itoa(runtime.NumCPU()-1) + `",verdict="turned"}`); n == 0 {
		t.Error("the plane has answered neither ARP nor ping")
	}
	d.says("@10.44.0.2 big.example.org TXT", "ANSWER: 200")
	b.talks("10.44.0.2")
	if log := d.ends(); !strings.Contains(log, "nobody is there for queries over TCP") {
		t.Errorf("the log does not say that TCP leads nowhere:\n%s", log)
	}
}

// Over another driver the kernel is told by an exception interface, which is the port to
// it. Here it gets nothing else: what comes by eth0 itself is thrown away.
func TestDPDKException(t *testing.T) {
	b := newBeside(t, "net_af_packet0,iface=eth0", "tap", "dtap0")
	need(t, "nft")
	b.run(b.server, "ip", "addr", "flush", "dev", "eth0")
	// A cable carries no frames that are for a card to be cut up first.
	b.run(b.client, "ip", "link", "set", "dev", "eth0", "gso_max_segs", "1")
	b.run(b.server, "nft", "add table netdev deaf; add chain netdev deaf in { type filter hook ingress device eth0 priority 0; policy drop; }")
	d := b.serve()
	b.whole(d)
	link, port := b.run(b.server, "ip", "-br", "link", "show", "dtap0"), b.run(b.server, "ip", "-br", "link", "show", "eth0")
	mac := func(line string) string {
		f := strings.Fields(line)
		return f[slices.IndexFunc(f, func(w string) bool { return strings.Count(w, ":") == 5 })]
	}
	if mac(link) != mac(port) || !strings.Contains(link, "LOWER_UP") {
		t.Errorf("%sis not as the port, %s", link, port)
	}
	if up, down := b.metric(`strata_dpdk_exceptions_total{what="up"}`), b.metric(`strata_dpdk_exceptions_total{what="down"}`); up < 100 || down < 100 {
		t.Errorf("%v frames went up, %v down", up, down)
	}
	if seen := b.sees("port 53", "Flags [S]", func() { d.says("@10.44.0.53 big.example.org TXT", "ANSWER: 200") }); strings.Contains(seen, "UDP") {
		t.Errorf("tcpdump sees\n%s", seen)
	}
	second := b.serve()
	if err := <-second.done; err == nil || !strings.Contains(second.log.String(), "make dtap0: another process has it") {
		t.Errorf("a second one: %v\n%s", err, second.log.String())
	}
	b.whole(d)
	b.kill(d)
	if out := b.link(); strings.Contains(out, "dtap0") {
		t.Errorf("after a kill:\n%s", out)
	}
	d = b.serve()
	b.whole(d)
	b.ends(d)
	if out := b.link(); strings.Contains(out, "dtap0") {
		t.Errorf("after the end:\n%s", out)
	}
}
