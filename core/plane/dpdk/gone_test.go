//go:build dpdk

package dpdk

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// A plane whose interface is taken away is ready no more, and says why.
func TestInterfaceGone(t *testing.T) {
	needInside(t)
	const name = "gone0"
	for _, args := range []string{"link add " + name + " type veth peer name gone1", "link set " + name + " up"} {
		if err := ip(strings.Fields(args)...); err != nil {
			t.Fatal(err)
		}
	}
	var log stack.Text
	s := &server{kernel: new(kernel), resting: make(chan struct{}), options: Options{
		EAL: []string{"--vdev=net_af_packet0,iface=" + name, "--vdev=net_af_packet1,iface=" + portName}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}}
	s.serving.Store(true)
	before := s.served()
	if len(before) != 2 {
		t.Fatalf("%d interfaces", len(before))
	}
	end := s.watchInterfaces()
	defer s.keeper.Wait()
	defer end()
	defer close(s.resting)
	if err := ip("link", "set", name, "name", "gone2"); err != nil { // what it is called is nothing to the driver
		t.Fatal(err)
	}
	for _, i := range before {
		if i.look(s.options.Log, &s.lost); !s.Ready() {
			t.Fatalf("not ready: %s", log.String())
		}
	}
	if err := ip("link", "del", "gone2"); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); s.Ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("still ready after a minute")
		}
	}
	for until := time.Now().Add(time.Minute); !strings.Contains(log.String(), "port=net_af_packet0 interface=gone0"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the log: %s", log.String())
		}
	}
	if said := log.String(); strings.Count(said, "\n") != 1 {
		t.Errorf("the log: %s", said)
	}
}

// A client of net_memif whose server is gone says so: it has no way to the next.
func TestServerGone(t *testing.T) {
	p, socket := serveMemif(t)
	c := start(t, "--no-huge", "--vdev=net_memif0,role=client,socket-abstract=no,mac=02:00:00:00:00:09,socket="+socket)
	for until := time.Now().Add(time.Minute); !shares(t, c.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("not connected after a minute")
		}
	}
	kill(p.Cmd)
	slow := time.AfterFunc(time.Minute, func() { c.Process.Kill() })
	defer slow.Stop()
	if line, err := c.out.ReadString('\n'); !strings.Contains(line, "a port has no peer any more") || !strings.Contains(line, "port=net_memif0") {
		t.Fatalf("%q: %v", line, err)
	}
	if said := c.end(t); !strings.Contains(said, "serving false\n") {
		t.Errorf("it is ready:\n%s", said)
	}
}
