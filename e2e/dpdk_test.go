package e2e

import (
	"fmt"
	"io"
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
	"github.com/strata-dns/strata/e2e/stack"
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
plane: PLANE
dpdk: {eal: ["--no-pci", "--vdev=DEVICE"], lcores: [LCORE], addresses: [10.44.0.53/16], idle: backoff}
zones: [{name: example.org, source: file, file: org.zone}]
admin: "127.0.0.1:9355"
control: ctl
`

// A dual is an authoritative on two planes, and who asks it.
type dual struct {
	t              *testing.T
	server, client *hosts.Host
	program        string
	cmd            *exec.Cmd
	done           chan error
	log            stack.Text
}

// newDual starts one with the plane, on the device of the interface.
func newDual(t *testing.T, plane, iface string) *dual {
	needDPDK(t)
	net, err := hosts.New()
	must(t, err)
	t.Cleanup(net.Close)
	site, err := net.Site("site", netip.MustParsePrefix("10.44.0.0/16"))
	must(t, err)
	d := &dual{t: t, done: make(chan error, 1)}
	d.server, err = site.Host("server", netip.MustParseAddr("10.44.0.2"))
	must(t, err)
	d.client, err = site.Host("client", netip.MustParseAddr("10.44.0.9"))
	must(t, err)
	dir := t.TempDir()
	zone := dpdkZone
	for i := range 200 {
		zone += fmt.Sprintf("big IN TXT some-text-%d\n", i)
	}
	writeFile(t, filepath.Join(dir, "org.zone"), zone)
	config := strings.NewReplacer("PLANE", plane, "DEVICE", "net_af_packet0,iface="+iface, "LCORE", strconv.Itoa(runtime.NumCPU()-1)).Replace(dpdkConfig)
	writeFile(t, filepath.Join(dir, "authoritative.yaml"), config)
	d.program, err = filepath.Abs(filepath.Join(bin, "authoritative"))
	must(t, err)
	d.cmd = exec.Command(d.program, "serve", "--config", "authoritative.yaml")
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = dir, &d.log, &d.log
	must(t, d.server.Start(d.cmd))
	go func() { d.done <- d.cmd.Wait() }()
	return d
}

// says waits until dig says so, while the server runs.
func (d *dual) says(args, want string) {
	d.t.Helper()
	within(d.t, "dig "+args+" to say "+want, func() bool {
		select {
		case err := <-d.done:
			d.t.Fatalf("authoritative has ended: %v\n%s", err, d.log.String())
		default:
		}
		all := append([]string{"+noall", "+answer", "+comments", "+tries=1", "+timeout=1"}, strings.Fields(args)...)
		out, err := d.client.Run("dig", all...)
		return err == nil && strings.Contains(out, want)
	})
}

// ends tells it to end, which it does well.
func (d *dual) ends() (log string) {
	d.t.Helper()
	must(d.t, d.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-d.done:
		if err != nil {
			d.t.Errorf("%v\n%s", err, d.log.String())
		}
	case <-time.After(time.Minute):
		d.t.Fatal("does not end")
	}
	return d.log.String()
}

// One authoritative answers on two planes: dig asks the service address through DPDK,
// and the host's own address over TCP, what did not fit a datagram included.
func TestDPDK(t *testing.T) {
	d := newDual(t, "dpdk", "eth0")
	d.says("@10.44.0.53 www.example.org", "192.0.2.80")
	d.says("@10.44.0.53 nosuch.example.org", "status: NXDOMAIN")
	d.says("@10.44.0.53 big.example.org TXT +ignore", " tc")
	d.says("@10.44.0.2 www.example.org", "192.0.2.80")
	d.says("@10.44.0.2 big.example.org TXT +tcp", "ANSWER: 200")
	page := d.page("metrics")
	if !strings.Contains(page, "strata_dpdk_frames_total{lcore=") || strings.Contains(page, `verdict="query"} 0`) {
		t.Errorf("no query counted:\n%s", page)
	}
	lcore := strconv.Itoa(runtime.NumCPU() - 1)
	for _, want := range []string{`rcode="noerror"`, `rcode="nxdomain"`} {
		if !strings.Contains(page, "strata_dpdk_replies_total{lcore=\""+lcore+"\","+want) {
			t.Errorf("no reply counted with %s", want)
		}
	}
	if status := d.page("status"); !strings.Contains(status, `"spread"`) {
		t.Errorf("/status says nothing of the plane:\n%s", status)
	}
	table, err := d.server.Run(d.program, "ctl", "--control", filepath.Join(d.cmd.Dir, "ctl"), "plane")
	if err != nil || !strings.Contains(table, "planes: socket, dpdk\n") || !strings.Contains(table, "lcore "+lcore+": replies noerror ") {
		t.Errorf("ctl plane: %v\n%s", err, table)
	}
	documented(t, page, "strata_dpdk_")
	d.ends()
}

// documented holds the pages' names to those in the section DPDK.
func documented(t *testing.T, page, prefix string) {
	t.Helper()
	text, err := os.ReadFile("../docs/operating.md")
	must(t, err)
	_, section, _ := strings.Cut(string(text), "\n## DPDK\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for name := range metricNames(page) {
		if strings.HasPrefix(name, prefix) && !strings.Contains(section, name) {
			t.Errorf("docs/operating.md does not name %s", name)
		}
	}
}

// page reads one of the admin pages.
func (d *dual) page(name string) string {
	d.t.Helper()
	reply, err := d.server.Pages().Get("http://127.0.0.1:9355/" + name)
	must(d.t, err)
	defer reply.Body.Close()
	page, err := io.ReadAll(reply.Body)
	must(d.t, err)
	return string(page)
}

// With plane auto sockets alone answer where the port cannot be had, and the log says
// why; with dpdk that ends the program.
func TestDPDKAway(t *testing.T) {
	d := newDual(t, "auto", "nosuch0")
	d.says("@10.44.0.2 www.example.org", "192.0.2.80")
	if status := d.page("status"); !strings.Contains(status, "there is no interface nosuch0") {
		t.Errorf("/status does not say why there is no DPDK:\n%s", status)
	}
	if log := d.ends(); !strings.Contains(log, "sockets alone answer") || !strings.Contains(log, "No such device") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	d = newDual(t, "dpdk", "nosuch0")
	select {
	case err := <-d.done:
		if err == nil || !strings.Contains(d.log.String(), "No such device") {
			t.Errorf("%v\n%s", err, d.log.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("goes on without its port")
	}
}
