//go:build dpdk

package dpdk

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server of net_memif starts again where it was killed, and not where another serves.
func TestLeftSocket(t *testing.T) {
	p, socket := serveMemif(t)
	again := "--vdev=net_memif0,role=server,socket-abstract=no,mac=" + memifMAC.String() + ",socket=" + socket
	out, err := command(t, lastCPU(), again).CombinedOutput()
	if want := "dpdk: device net_memif0: another process listens on " + socket + "\n"; err == nil || string(out) != want {
		t.Errorf("%v: %s\nwant %s", err, out, want)
	}
	kill(meet(t, socket)) // it goes on
	kill(p.Cmd)
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal(err)
	}
	p = start(t, again)
	kill(meet(t, socket))
	p.end(t)
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is there when its server has ended")
	}
}

// What is no socket that nobody listens on stays.
func TestClearSocket(t *testing.T) {
	here := t.TempDir()
	path := func(name string) string { return filepath.Join(here, name) }
	if err := os.WriteFile(path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, network := range map[string]string{"served": "unixpacket", "stream": "unix", "left": "unixpacket"} {
		l, err := net.ListenUnix(network, &net.UnixAddr{Name: path(name), Net: network})
		if err != nil {
			t.Fatal(err)
		}
		if name == "left" {
			l.SetUnlinkOnClose(false)
			l.Close()
		} else {
			defer l.Close()
		}
	}
	for name, want := range map[string]string{"file": "", "none": "", "left": "", "served": "another process listens", "stream": "another process listens"} {
		err := clearSocket(path(name), slog.New(slog.DiscardHandler))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(path(name)); (err != nil) != (name == "left" || name == "none") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
