package e2e

import (
	"encoding/gob"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// An endpoint is what external-dns' source "connector" is told, by encoding/gob.
type endpoint struct {
	DNSName       string
	Targets       []string
	RecordType    string
	SetIdentifier string
	RecordTTL     int64
	Labels        map[string]string
}

// A connector tells external-dns what names there shall be.
type connector struct {
	net.Listener
	mu   sync.Mutex
	want []*endpoint
}

func newConnector(t *testing.T) *connector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &connector{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			_ = gob.NewEncoder(conn).Encode(c.want) // it asks again
			c.mu.Unlock()
			conn.Close()
		}
	}()
	return c
}

func (c *connector) set(want ...*endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want = want
}

// withSkyDNS is an authoritative with an etcd member, that reads what external-dns
// writes there.
const withSkyDNS = `
listen: ["127.0.0.1:{{.Port}}"]
zones:
  - {name: prd.example.com, source: etcd, negative_ttl: 1s}
etcd:
  endpoints: ["http://127.0.0.1:{{.EtcdPort}}"]
  embedded: {dir: "{{.Dir}}/etcd", client: "http://127.0.0.1:{{.EtcdPort}}", peer: "http://127.0.0.1:{{.PeerPort}}"}
  skydns: [{prefix: /skydns, zones: [prd.example.com]}]
snapshot: "{{.Dir}}/{{.ID}}.snapshot"
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
# {{.EtcdPort}} is found by the story
`

// external-dns as it is, with its provider coredns, creates, changes and deletes, and
// the server answers; beside records of other owners.
func TestExternalDNS(t *testing.T) {
	program := os.Getenv("STRATA_E2E_EXTERNAL_DNS")
	if program == "" {
		var err error
		if program, err = exec.LookPath("external-dns"); err != nil {
			t.Skip("no external-dns in PATH: go install sigs.k8s.io/external-dns@v0.20.0 builds it")
		}
	}
	s := newStack(t, stack.Nothing)
	server := extra(t, s, "external", "authoritative", withSkyDNS)
	must(t, s.Ready(t.Context(), server))
	config, err := os.ReadFile(server.Config)
	must(t, err)
	_, port, _ := strings.Cut(string(config), "\n# ")
	port, _, _ = strings.Cut(port, " ")

	names := newConnector(t)
	cmd := exec.CommandContext(t.Context(), program, "--source=connector", "--connector-source-server="+names.Addr().String(),
		"--provider=coredns", "--coredns-prefix=/skydns/", "--domain-filter=prd.example.com", "--registry=txt", "--txt-owner-id=e2e", "--txt-prefix=owner-",
		"--interval=300ms", "--metrics-address=127.0.0.1:0", "--managed-record-types=A", "--managed-record-types=AAAA", "--managed-record-types=CNAME",
		"--managed-record-types=TXT", "--managed-record-types=SRV")
	cmd.Env = append(os.Environ(), "ETCD_URLS=http://127.0.0.1:"+port)
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	names.set(
		&endpoint{DNSName: "web.prd.example.com", RecordType: "A", Targets: []string{"10.3.0.1", "10.3.0.2"}, RecordTTL: 60},
		&endpoint{DNSName: "gone.prd.example.com", RecordType: "A", Targets: []string{"10.3.0.4"}},
		&endpoint{DNSName: "six.prd.example.com", RecordType: "AAAA", Targets: []string{"2001:db8::1"}},
		&endpoint{DNSName: "alias.prd.example.com", RecordType: "CNAME", Targets: []string{"web.prd.example.com"}, RecordTTL: 30},
		&endpoint{DNSName: "_sip._tcp.prd.example.com", RecordType: "SRV", Targets: []string{"0 5 5060 web.prd.example.com"}},
	)
	must(t, cmd.Start())
	stopped := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	defer func() {
		if stopped(); t.Failed() {
			t.Logf("external-dns:\n%s", said)
		}
	}()
	holds := func(name string, typ uint16, want ...string) {
		t.Helper()
		within(t, fmt.Sprintf("%s %s %q", name, dns.TypeToString[typ], want), func() bool {
			reply, err := exchange(server, name, typ)
			if len(want) == 0 {
				return err == nil && reply.Rcode == dns.RcodeNameError
			}
			return answered(reply, err, want...)
		})
	}
	holds("web.prd.example.com", dns.TypeA, "10.3.0.1", "10.3.0.2")
	holds("gone.prd.example.com", dns.TypeA, "10.3.0.4")
	holds("six.prd.example.com", dns.TypeAAAA, "2001:db8::1")
	holds("_sip._tcp.prd.example.com", dns.TypeSRV, "0 5 5060 web.prd.example.com.")
	within(t, "the alias, followed", func() bool {
		reply, err := exchange(server, "alias.prd.example.com", dns.TypeA)
		return err == nil && len(reply.Answer) == 3 && slices.Contains(data(reply), "10.3.0.1")
	})
	within(t, "its own notes, by which it knows what is its", func() bool {
		for _, name := range []string{"owner-a-web.prd.example.com", "owner-web.prd.example.com"} {
			if reply, err := exchange(server, name, dns.TypeTXT); err == nil && strings.Contains(strings.Join(data(reply), ""), "external-dns/owner=e2e") {
				return true
			}
		}
		return false
	})
	reply := ask(t, server, "web.prd.example.com", dns.TypeA)
	if ttl := reply.Answer[0].Header().Ttl; ttl != 60 {
		t.Errorf("TTL %d", ttl)
	}

	// Beside another owner's; and those of external-dns are not for others to write.
	records(t, s, server, "add", "web.prd.example.com", "A", "10.3.0.9")
	holds("web.prd.example.com", dns.TypeA, "10.3.0.1", "10.3.0.2", "10.3.0.9")
	if _, err := s.Records(t.Context(), server, "add", "x.prd.example.com", "A", "10.3.0.9", "--owner", "external-dns"); err == nil || !strings.Contains(err.Error(), "which are only read") {
		t.Errorf("a record of external-dns by hand: %v", err)
	}

	// Its provider takes its own AAAA and SRV for A and CNAME when it reads them again,
	// and so never deletes them: what is deleted here is an A.
	names.set(
		&endpoint{DNSName: "web.prd.example.com", RecordType: "A", Targets: []string{"10.3.0.2", "10.3.0.3"}, RecordTTL: 60},
		&endpoint{DNSName: "alias.prd.example.com", RecordType: "CNAME", Targets: []string{"other.example.net"}},
	)
	holds("web.prd.example.com", dns.TypeA, "10.3.0.2", "10.3.0.3", "10.3.0.9")
	holds("alias.prd.example.com", dns.TypeCNAME, "other.example.net.")
	holds("gone.prd.example.com", dns.TypeA)

	// And so it is after a restart, from etcd or the snapshot.
	stopped()
	must(t, server.Stop())
	must(t, server.Start())
	must(t, s.Ready(t.Context(), server))
	holds("web.prd.example.com", dns.TypeA, "10.3.0.2", "10.3.0.3", "10.3.0.9")
}
