//go:build dpdk

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/bench/packets"
	"github.com/strata-dns/strata/e2e/stack"
)

// childKey has this program be flood.
const childKey = "STRATA_FLOOD_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childKey) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const (
	serverMAC = "02:00:00:00:00:53"
	clientMAC = "02:00:00:00:00:09"
)

func device(role, mac, socket string) string {
	return "--no-pci --vdev=net_memif0,role=" + role + ",socket-abstract=no,mac=" + mac + ",socket=" + socket
}

// A child is a flood that runs.
type child struct {
	*exec.Cmd
	t    *testing.T
	out  *bufio.Scanner
	said *strings.Builder
}

func start(t *testing.T, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(self, args...), t: t, said: new(strings.Builder)}
	c.Env = append(os.Environ(), childKey+"=1")
	c.Stderr = c.said
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

// report reads the next one.
func (c *child) report(into any) {
	c.t.Helper()
	if !c.out.Scan() {
		c.Wait()
		c.t.Fatalf("no report: %s", c.said)
	}
	if err := json.Unmarshal(c.out.Bytes(), into); err != nil {
		c.t.Fatal(err)
	}
}

// end has it end, which it does well.
func (c *child) end() {
	c.t.Helper()
	if err := c.Process.Signal(unix.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	rest := 0
	for c.out.Scan() {
		rest++
	}
	if err := c.Wait(); err != nil || rest > 0 {
		c.t.Errorf("at the end: %v, %d reports more: %s", err, rest, c.said)
	}
}

// asked checks what any answered run has: nothing that nobody asked, and the rate.
func asked(t *testing.T, r *packets.Report, rate float64) {
	t.Helper()
	if r.Received == 0 || r.Received+r.Lost > r.Sent+1<<16 || r.Rate != rate || r.Seconds < 1 || len(r.PerSecond) != 1 {
		t.Errorf("%+v", r)
	}
	if l := r.Latency; l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || l.Mean > l.Max {
		t.Errorf("latencies %+v", l)
	}
	// An open loop: what is due is sent, however late. Frames due in the last moment may
	// stay behind.
	if sent := float64(r.Sent) / r.Seconds; rate > 0 && (sent < rate/2 || sent > 2*rate) {
		t.Errorf("%.0f a second were sent, %.0f asked for", sent, rate)
	}
}

// TestEcho asks the bare loop at a rate, then as fast as can be: all that it receives
// comes back as it was, with the bit QR set.
func TestEcho(t *testing.T) {
	needRoot(t)
	socket := filepath.Join(t.TempDir(), "memif")
	echo := start(t, "--echo", "--lcore", last(), "--eal", device("server", serverMAC, socket))
	within(t, "the loop's socket", func() bool { _, err := os.Stat(socket); return err == nil })
	flood := start(t, "--stay", "--lcore", "0", "--mac", serverMAC, "--eal", device("client", clientMAC, socket), "--sequence", "5000",
		"--pattern", "host-%d.example.org", "--count", "100", "--for", "1s", "--warm", "100ms", "--rate", "2000,0")
	received := uint64(0)
	for _, rate := range []float64{2000, 0} {
		var r packets.Report
		flood.report(&r)
		asked(t, &r, rate)
		if r.Empty != r.Received || r.RCodes["NOERROR"] != r.Received {
			t.Errorf("the echo answered: %+v", r)
		}
		received += r.Received
	}
	if err := echo.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var e packets.Echoed
	echo.report(&e)
	if e.Echoed < received || len(e.Longest) == 0 || e.Longest[0] <= 0 || len(e.Gaps) != 5 {
		t.Errorf("%d came back: %+v", received, e)
	}
	if err := echo.Wait(); err != nil {
		t.Errorf("the loop ends with %v: %s", err, echo.said)
	}
	flood.end()
}

// TestAuthoritative asks the real server over shared memory: every answer is of the kind
// that its name wants.
func TestAuthoritative(t *testing.T) {
	needRoot(t)
	program, err := filepath.Abs("../../../bin/authoritative")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "version").Output(); err != nil || !strings.Contains(string(out), "dpdk") {
		t.Skip("bin/authoritative is missing or has no plane dpdk: make deps installs libdpdk-dev, make build builds with it")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "memif")
	page := serve(t, program, dir, socket)
	within(t, "the server to be ready", func() bool {
		reply, err := http.Get(page + "/readyz")
		if err != nil {
			return false
		}
		defer reply.Body.Close()
		return reply.StatusCode == http.StatusOK
	})
	flood := start(t, "--stay", "--lcore", "0", "--mac", serverMAC, "--eal", device("client", clientMAC, socket), "--sequence", "20000",
		"--pattern", "host-%d.example.org", "--count", "300", "--nx", "0.3", "--zipf", "1", "--for", "1s", "--warm", "100ms", "--rate", "5000")
	var r packets.Report
	flood.report(&r)
	asked(t, &r, 5000)
	missing := float64(r.RCodes["NXDOMAIN"]) / float64(r.Received)
	if r.Empty > 0 || r.RCodes["NOERROR"]+r.RCodes["NXDOMAIN"] != r.Received || missing < 0.2 || missing > 0.4 {
		t.Errorf("answers: %+v", r)
	}
	t.Cleanup(flood.end) // after the server, which polls
}

// serve starts authoritative and returns its admin page.
func serve(t *testing.T, program, dir, socket string) (page string) {
	t.Helper()
	var zone strings.Builder
	zone.WriteString("$TTL 300\n@ SOA ns1 hostmaster 1 7200 1800 1209600 60\n@ NS ns1\nns1 A 10.0.0.53\n")
	for i := range 300 {
		fmt.Fprintf(&zone, "host-%d A 192.0.2.%d\n", i, i%250+1)
	}
	admin := "127.0.0.1:" + free(t)
	config := fmt.Sprintf(`listen: ["127.0.0.1:%s"]
workers: 1
plane: dpdk
dpdk: {eal: ["--no-pci", "--vdev=net_memif0,role=server,socket-abstract=no,mac=%s,socket=%s"], lcores: [%s], addresses: [10.0.0.53/24], idle: backoff}
zones: [{name: example.org, source: file, file: org.zone}]
admin: "%s"
control: ""
`, free(t), serverMAC, socket, last(), admin)
	for name, text := range map[string]string{"org.zone": zone.String(), "authoritative.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "serve", "--config", "authoritative.yaml")
	log := new(strings.Builder)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ends with %v", err)
		}
		if t.Failed() {
			t.Log(log)
		}
	})
	return "http://" + admin
}

// free is a port that nobody has just now.
func free(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(stack.FreePort(t))
}

// last is the CPU that serves.
func last() string { return strconv.Itoa(runtime.NumCPU() - 1) }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for DPDK's ports")
	}
}

func within(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// What cannot be is said before a port is opened.
func TestOptions(t *testing.T) {
	good := []string{"--eal", "--no-pci", "--mac", serverMAC, "--pattern", "host-%d.example.org", "--count", "10"}
	if _, err := parseOptions(good); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{
		{"--mac", "1:2"}, {"--from", "nobody"}, {"--to", ""}, {"--rate", "1,-1"}, {"--rate", "many"}, {"--window", "0"}, {"--window", "70000"},
		{"--for", "0s"}, {"--queues", "0"}, {"--types", "NOSUCH"}, {"--pattern", "", "--names", "/nosuch"}, {"further"}, {"--eal", ""}, {"--patience", "0s"},
	} {
		if _, err := parseOptions(append(append([]string(nil), good...), more...)); err == nil {
			t.Errorf("%q: no error", more)
		}
	}
}
