package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// Streams of noise: cut, wrong lengths, half closed, reset. All their descriptors
// are given back, and good askers are answered.
func TestDamagedStreams(t *testing.T) {
	s := sharedStack(t)
	for i, server := range daemons(s) {
		t.Run(server.Name, func(t *testing.T) {
			d := newDamager(uint64(2000 + i))
			askStream(t, server)
			before := descriptors(t, server)
			for range 600 {
				noise(t, server, d)
			}
			askStream(t, server)
			within(t, fmt.Sprintf("no more than %d descriptors", before+5), func() bool { return descriptors(t, server) <= before+5 })
		})
	}
}

// noise makes one connection and does with it what no client should.
func noise(t *testing.T, server *stack.Server, d *damager) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Address)
	must(t, err)
	defer conn.Close()
	var segment []byte
	for range d.rand.IntN(5) {
		p := d.packet()
		length := len(p)
		if d.rand.IntN(4) == 0 {
			length = d.rand.IntN(0x10000) // more or less than what comes
		}
		segment = append(binary.BigEndian.AppendUint16(segment, uint16(length)), p[:min(len(p), 2000)]...)
	}
	if cut := d.rand.IntN(len(segment) + 1); d.rand.IntN(2) == 0 {
		segment = segment[:cut]
	}
	_, _ = conn.Write(segment) // the server may have hung up already
	switch d.rand.IntN(3) {
	case 0:
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		_, _ = io.Copy(io.Discard, conn)
	case 1:
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset
	}
}

// askStream asks a good question over TCP.
func askStream(t *testing.T, server *stack.Server) {
	t.Helper()
	client := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
	query := new(dns.Msg).SetQuestion("db.dc1.prd.example.com.", dns.TypeA)
	if reply, _, err := client.Exchange(query, server.Address); !answered(reply, err, "10.1.1.10") {
		t.Fatalf("%s over TCP: %v, %v", server.Name, reply, err)
	}
}

func descriptors(t *testing.T, server *stack.Server) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.PID()))
	must(t, err)
	return len(entries)
}

// Clients that hold their connections open without a word are cut off by the
// limit for one address, while others go on.
func TestIdleStreams(t *testing.T) {
	s := newStack(t, stack.Nothing)
	server := extra(t, s, "idle", "authoritative", `
listen: ["127.0.0.1:{{.Port}}"]
zones: [{name: example.org, source: file, file: "{{.Dir}}/example.org.zone"}]
tcp: {idle: 500ms, clients: 40, per_client: 10}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, s.Ready(t.Context(), server))
	hold := func(host string, n int) (held []net.Conn) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
		for range n {
			conn, err := dialer.DialContext(t.Context(), "tcp", server.Address)
			must(t, err)
			t.Cleanup(func() { conn.Close() })
			held = append(held, conn)
		}
		return held
	}
	greedy := hold("127.0.0.2", 25)
	client := dns.Client{Net: "tcp", Timeout: 2 * time.Second}
	query := new(dns.Msg).SetQuestion("web.example.org.", dns.TypeA)
	if reply, _, err := client.Exchange(query, server.Address); !answered(reply, err, "192.0.2.80") {
		t.Errorf("another client: %v, %v", reply, err)
	}
	for _, conn := range greedy {
		must(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
			t.Fatalf("a silent connection is still there after half a minute: %v", err)
		}
	}
}
