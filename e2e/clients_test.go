package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// bigName has a hundred addresses: 1.6 kB, more than any reply over UDP here.
const bigName = "big.prd.example.com"

// withBigName adds the name once.
func withBigName(t *testing.T, s *stack.Stack) {
	t.Helper()
	args := []string{"add", bigName, "A"}
	for i := range 100 {
		args = append(args, fmt.Sprintf("10.5.0.%d", i+1))
	}
	records(t, s, s.Authoritatives[0], args...)
	for _, node := range s.Authoritatives {
		within(t, node.Name+" has "+bigName, func() bool {
			reply, err := exchange(node, bigName, dns.TypeA)
			return err == nil && reply.Truncated
		})
	}
}

// daemons are one server of each kind.
func daemons(s *stack.Stack) []*stack.Server {
	return []*stack.Server{s.Nodecache, s.Recursors[0], s.Authoritatives[0]}
}

// Other people's clients understand each daemon, over all transports.
func TestClients(t *testing.T) {
	s := sharedStack(t)
	need(t, "kdig", "dig")
	withBigName(t, s)
	for _, server := range daemons(s) {
		_, port, _ := net.SplitHostPort(server.Address)
		for name, test := range map[string]struct {
			program string
			args    []string
			want    []string
			wantNot string
		}{
			"kdig UDP":       {"kdig", []string{"db.dc1.prd.example.com"}, []string{"status: NOERROR", "10.1.1.10", "(UDP)"}, "WARNING"},
			"kdig TCP":       {"kdig", []string{"+tcp", "db.dc1.prd.example.com"}, []string{"status: NOERROR", "10.1.1.10", "(TCP)"}, "WARNING"},
			"kdig keepopen":  {"kdig", []string{"+tcp", "+keepopen", "db.dc1.prd.example.com", "db.dc2.prd.example.com"}, []string{"10.1.1.10", "10.2.1.10"}, "WARNING"},
			"kdig EDNS":      {"kdig", []string{"+edns", "+bufsize=1400", "db.dc1.prd.example.com"}, []string{"10.1.1.10", "Version: 0; flags: ; UDP size: 1232 B"}, "WARNING"},
			"kdig BADVERS":   {"kdig", []string{"+edns=7", "db.dc1.prd.example.com"}, []string{"BADVERS"}, "10.1.1.10"},
			"kdig plain":     {"kdig", []string{"+noedns", "db.dc1.prd.example.com"}, []string{"10.1.1.10"}, "EDNS PSEUDOSECTION"},
			"kdig NXDOMAIN":  {"kdig", []string{"none.prd.example.com"}, []string{"status: NXDOMAIN", "SOA"}, "WARNING"},
			"kdig CHAOS":     {"kdig", []string{"-c", "CH", "-t", "TXT", "version.bind"}, []string{"status: REFUSED"}, "TXT\t"},
			"dig case":       {"dig", []string{"dB.Dc1.pRd.eXaMpLe.CoM"}, []string{"dB.Dc1.pRd.eXaMpLe.CoM.", "10.1.1.10"}, "mismatch"},
			"kdig truncated": {"kdig", []string{"+bufsize=512", "+ignore", bigName}, []string{"Flags: qr", " tc"}, "(TCP)"},
			"kdig then TCP":  {"kdig", []string{"+bufsize=512", bigName}, []string{"ANSWER: 100", "10.5.0.100", "(TCP)"}, " tc"},
			"dig UDP":        {"dig", []string{"db.dc1.prd.example.com"}, []string{"status: NOERROR", "10.1.1.10", "(UDP)"}, "WARNING: "},
			"dig then TCP":   {"dig", []string{"+bufsize=1232", bigName}, []string{"Truncated, retrying in TCP mode", "ANSWER: 100"}, "mismatch"},
			"dig reverse":    {"dig", []string{"-x", "10.1.1.10"}, []string{"db.dc1.prd.example.com."}, "mismatch"},
			"dig cookie":     {"dig", []string{"+cookie=0102030405060708", "db.dc1.prd.example.com"}, []string{"status: NOERROR", "10.1.1.10"}, "FORMERR"},
			"dig DO":         {"dig", []string{"+dnssec", "db.dc1.prd.example.com"}, []string{"flags: do", "10.1.1.10"}, "mismatch"},
		} {
			t.Run(server.Name+"/"+name, func(t *testing.T) {
				args := append([]string{"@127.0.0.1", "-p", port}, test.args...)
				out, err := stack.Run(t.Context(), test.program, args...)
				must(t, err)
				// dig has no recursion to complain about where there is none.
				out = strings.ReplaceAll(out, ";; WARNING: recursion requested but not available\n", "")
				for _, want := range test.want {
					if !strings.Contains(out, want) {
						t.Errorf("no %q in what %s %s printed:\n%s", want, test.program, strings.Join(args, " "), out)
					}
				}
				if strings.Contains(out, test.wantNot) {
					t.Errorf("%q in what %s %s printed:\n%s", test.wantNot, test.program, strings.Join(args, " "), out)
				}
			})
		}
	}
}

// The same over IPv6's loopback.
func TestClientsIPv6(t *testing.T) {
	if !stack.HasIPv6() {
		t.Skip("no IPv6 loopback address on this machine")
	}
	s := sharedStack(t)
	need(t, "kdig")
	for _, server := range daemons(s) {
		_, port, _ := net.SplitHostPort(server.Address)
		for _, transport := range []string{"+notcp", "+tcp"} {
			out, err := stack.Run(t.Context(), "kdig", "@::1", "-p", port, transport, "db.dc1.prd.example.com")
			must(t, err)
			if !strings.Contains(out, "10.1.1.10") || !strings.Contains(out, "::1@"+port) {
				t.Errorf("%s %s:\n%s", server.Name, transport, out)
			}
		}
	}
}

// Many queries in one segment on one connection: all are answered, in any order
// (RFC 7766 §6.2.1.1, §7).
func TestPipelining(t *testing.T) {
	s := sharedStack(t)
	for _, server := range daemons(s) {
		t.Run(server.Name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Address)
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
			const many = 500
			var segment []byte
			asked := map[uint16]string{}
			for i := range many {
				// New names, and known ones among them.
				query := new(dns.Msg).SetQuestion(fmt.Sprintf("p%d.any.prd.example.com.", i%400), dns.TypeA)
				query.Id = uint16(i)
				asked[query.Id] = query.Question[0].Name
				packed, err := query.Pack()
				must(t, err)
				segment = append(binary.BigEndian.AppendUint16(segment, uint16(len(packed))), packed...)
			}
			go func() { _, _ = conn.Write(segment) }() // what fails here is missed below
			for range many {
				var length [2]byte
				_, err := io.ReadFull(conn, length[:])
				must(t, err)
				packed := make([]byte, binary.BigEndian.Uint16(length[:]))
				_, err = io.ReadFull(conn, packed)
				must(t, err)
				reply := new(dns.Msg)
				must(t, reply.Unpack(packed))
				if !answered(reply, nil, "10.1.2.90") || reply.Question[0].Name != asked[reply.Id] {
					t.Fatalf("asked %s, got %v", asked[reply.Id], reply)
				}
				delete(asked, reply.Id)
			}
			if len(asked) > 0 {
				t.Errorf("without an answer: %v", asked)
			}
		})
	}
}

// A server that listens on all addresses answers from the one that was asked; a
// connected client gets nothing else to see.
func TestWildcardListener(t *testing.T) {
	s := newStack(t, stack.Nothing)
	servers := []*stack.Server{
		extra(t, s, "wild-authoritative", "authoritative", `
listen: ["0.0.0.0:{{.Port}}", "[::]:{{.Port}}"]
zones: [{name: example.org, source: file, file: "{{.Dir}}/example.org.zone"}]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`),
		extra(t, s, "wild-nodecache", "nodecache", `
listen: ["0.0.0.0:{{.Port}}", "[::]:{{.Port}}"]
upstreams: ["127.0.0.1:{{.DeadPort}}"]
policy: {static: [example.org], data: ["web.example.org A 192.0.2.80"]}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`),
		extra(t, s, "wild-recursor", "recursor", `
listen: ["0.0.0.0:{{.Port}}", "[::]:{{.Port}}"]
zones: [{names: [example.com], servers: ["127.0.0.1:{{.DeadPort}}"]}]
policy: {static: [example.org], data: ["web.example.org A 192.0.2.80"]}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`),
	}
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.99.1.7"}
	if stack.HasIPv6() {
		hosts = append(hosts, "::1")
	}
	for _, server := range servers {
		must(t, s.Ready(t.Context(), server))
		_, port, _ := net.SplitHostPort(server.Address)
		for _, host := range hosts {
			for _, network := range []string{"udp", "tcp"} {
				client := dns.Client{Net: network, Timeout: 5 * time.Second}
				query := new(dns.Msg).SetQuestion("web.example.org.", dns.TypeA)
				reply, _, err := client.Exchange(query, net.JoinHostPort(host, port))
				if !answered(reply, err, "192.0.2.80") {
					t.Errorf("%s at %s over %s: %v, %v", server.Name, host, network, err, reply)
				}
			}
		}
	}
}
