package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/hosts"
)

// needDPDK skips the test where authoritative was built without the plane, or where no
// namespaces can be made.
func needDPDK(t *testing.T) {
	t.Helper()
	needBinaries(t)
	need(t, "dig", "ip")
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	out, err := exec.Command(filepath.Join(bin, "authoritative"), "version").Output()
	must(t, err)
	if !strings.Contains(string(out), "planes socket, dpdk") {
		t.Skip("authoritative is built without the plane dpdk: make deps installs libdpdk-dev, make build builds with it")
	}
}

const dpdkZone = `$TTL 300
@ IN SOA ns1 hostmaster 7 7200 1800 1209600 60
@ IN NS ns1
ns1 IN A 10.44.0.53
www IN A 192.0.2.80
`

// dpdkConfig answers on the service addresses over DPDK, and on the host's own by
// sockets.
const dpdkConfig = `listen: ["10.44.0.2:53"]
plane: dpdk
dpdk: {eal: ["--no-pci", "--vdev=DEVICE"], lcores: [LCORE], addresses: [10.44.0.53/16], idle: backoff}
zones: [{name: example.org, source: file, file: org.zone}]
admin: "127.0.0.1:9355"
control: ""
`

// One authoritative answers on two planes: dig asks the service addresses through
// DPDK, and the host's own address over TCP, what did not fit a datagram included.
func TestDPDK(t *testing.T) {
	needDPDK(t)
	net, err := hosts.New()
	must(t, err)
	t.Cleanup(net.Close)
	site, err := net.Site("site", netip.MustParsePrefix("10.44.0.0/16"))
	must(t, err)
	server, err := site.Host("server", netip.MustParseAddr("10.44.0.2"))
	must(t, err)
	client, err := site.Host("client", netip.MustParseAddr("10.44.0.9"))
	must(t, err)

	dir := t.TempDir()
	zone := dpdkZone
	for i := range 200 {
		zone += fmt.Sprintf("big IN TXT some-text-%d\n", i)
	}
	writeFile(t, filepath.Join(dir, "org.zone"), zone)
	config := strings.NewReplacer("DEVICE", "net_af_packet0,iface=eth0", "LCORE", strconv.Itoa(runtime.NumCPU()-1)).Replace(dpdkConfig)
	writeFile(t, filepath.Join(dir, "authoritative.yaml"), config)
	program, err := filepath.Abs(filepath.Join(bin, "authoritative"))
	must(t, err)
	var log bytes.Buffer
	cmd := exec.Command(program, "serve", "--config", "authoritative.yaml")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	must(t, server.Start(cmd))
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	dig := func(args ...string) string {
		out, err := client.Run("dig", append([]string{"+noall", "+answer", "+comments", "+tries=1", "+timeout=1"}, args...)...)
		if err != nil {
			return err.Error()
		}
		return out
	}
	within(t, "an answer over DPDK", func() bool {
		select {
		case err := <-done:
			t.Fatalf("authoritative has ended: %v\n%s", err, log.String())
		default:
		}
		return strings.Contains(dig("@10.44.0.53", "www.example.org"), "192.0.2.80")
	})
	for _, c := range []struct{ args, want string }{
		{"@10.44.0.53 nosuch.example.org", "status: NXDOMAIN"},
		{"@10.44.0.53 big.example.org TXT +ignore", "tc"},
		{"@10.44.0.2 www.example.org", "192.0.2.80"},
		{"@10.44.0.2 big.example.org TXT +tcp", "ANSWER: 200"},
	} {
		within(t, c.args+" to say "+c.want, func() bool { return strings.Contains(dig(strings.Fields(c.args)...), c.want) })
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatalf("does not end\n%s", log.String())
	}
	if t.Failed() {
		t.Log(log.String())
	}
}
