package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/strata-dns/strata/e2e/stack"
)

// watched starts a nodecache with further config in front of a world of its own.
func watched(t *testing.T, config string) (*stack.Stack, *stack.Server) {
	t.Helper()
	s := newStack(t, stack.Nothing)
	world := extra(t, s, "world", "authoritative", `
listen: ["127.0.0.1:{{.Port}}"]
zones: [{name: example.net, source: file, file: "{{.Dir}}/example.net.zone"}]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, s.Ready(t.Context(), world))
	nodecache := extra(t, s, "watched", "nodecache", `
listen: ["127.0.0.1:{{.Port}}"]
workers: 2
upstreams: ["`+world.Address+`"]
policy: {block_aaaa: [v4.example.net], search: [prd.example.com], rate: {per_second: 1000000}}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`+config)
	must(t, s.Ready(t.Context(), nodecache))
	return s, nodecache
}

// ctl runs `nodecache ctl`, which must end well.
func ctl(t *testing.T, s *stack.Stack, server *stack.Server, args ...string) string {
	t.Helper()
	return run(t, s, filepath.Base(server.Path), append([]string{"ctl", "--control", server.Control}, args...)...)
}

// What ctl says and does about the cache, in the spellings of its help.
func TestLookingIntoTheCache(t *testing.T) {
	s, server := watched(t, "top: {sample: 1}\n")
	upstream := regexp.MustCompile(`asked for www\.example\.net\.: 127\.0\.0\.1:\d+ answered in [\d.]+ms\n`)
	if out := ctl(t, s, server, "lookup", "www.example.net"); !strings.Contains(out, "NOERROR from upstream in ") || !upstream.MatchString(out) || !strings.Contains(out, "198.51.100.80") {
		t.Errorf("lookup of what is not known: %s", out)
	}
	if out := ctl(t, s, server, "lookup", "www.example.net", "A"); !strings.Contains(out, "NOERROR from memory in ") || !strings.Contains(out, "s left, refresh due in 2") {
		t.Errorf("lookup of what is known: %s", out)
	}
	if out := ctl(t, s, server, "lookup", "a.v4.example.net", "AAAA"); !strings.Contains(out, "from policy (aaaa v4.example.net.)") {
		t.Errorf("lookup of what rules decide: %s", out)
	}
	for _, name := range []string{"www.example.net", "one.any.example.net", "two.any.example.net"} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
			ask(t, server, name, typ)
		}
	}
	if out := ctl(t, s, server, "dump", "--under", "any.example.net"); strings.Count(out, "; ") != 4 || strings.Contains(out, "www.example.net") {
		t.Errorf("dump: %s", out)
	}
	for _, c := range []struct {
		args string
		n    int
	}{
		{"one.any.example.net TXT", 1}, {"one.any.example.net", 1}, {"--under any.example.net --type TXT", 1}, {"--under=any.example.net", 1},
		{"--type TXT", 1}, {"--all", 1}, {"all", 0}, {"under example.net", 0},
	} {
		out := ctl(t, s, server, append([]string{"flush", "--json"}, strings.Fields(c.args)...)...)
		if want := fmt.Sprintf("{\"flushed\":%d}\n", c.n); out != want {
			t.Errorf("flush %s: %s, want %s", c.args, out, want)
		}
	}
	_, err := s.Run(t.Context(), "nodecache", "ctl", "--control", server.Control, "flush", "--zone", "x")
	var failed *stack.Failure
	if !errors.As(err, &failed) || failed.Stderr != "nodecache: flush: unknown flag: --zone; usage: flush NAME [TYPE] | --under ZONE | --type TYPE | --all\n" {
		t.Errorf("a flag there is none of: %v", err)
	}
	if out := ctl(t, s, server, "top", "names", "1"); !strings.Contains(out, "about 6 queries in ") || !strings.Contains(out, "33.3%  www.example.net.\n") && !strings.Contains(out, "33.3%  one.any.example.net.\n") {
		t.Errorf("top: %s", out)
	}
	var rankings []struct {
		What  string
		Ranks []struct{ Key string }
	}
	must(t, json.Unmarshal([]byte(ctl(t, s, server, "top", "--json")), &rankings))
	if len(rankings) != 5 || rankings[1].What != "clients" || len(rankings[1].Ranks) != 1 || rankings[1].Ranks[0].Key != "127.0.0.1" {
		t.Errorf("top as JSON: %+v", rankings)
	}
}

// The recursor's ctl has the same.
func TestLookingIntoTheRecursor(t *testing.T) {
	s := sharedStack(t)
	server := s.Recursors[0]
	out := ctl(t, s, server, "lookup", "alias-of-nobody.any.example.net")
	if !strings.Contains(out, "NOERROR from upstream in ") || !strings.Contains(out, "asked for alias-of-nobody.any.example.net.: "+s.External[0].Address+" answered in ") {
		t.Errorf("lookup: %s", out)
	}
	if out := ctl(t, s, server, "dump", "--under", "alias-of-nobody.any.example.net"); strings.Count(out, "; ") != 1 {
		t.Errorf("dump: %s", out)
	}
	if out := ctl(t, s, server, "flush", "--under", "alias-of-nobody.any.example.net", "--type", "A", "--json"); out != "{\"flushed\":1}\n" {
		t.Errorf("flush: %s", out)
	}
	if out := ctl(t, s, server, "top", "clients"); !strings.HasPrefix(out, "about ") || !strings.Contains(out, ", from one in 16\n") {
		t.Errorf("top: %s", out)
	}
}

// The query log goes to a file of its own, which a SIGHUP opens anew.
func TestQueryLogRotates(t *testing.T) {
	s, server := watched(t, "query_log: {sample: 1, file: \"{{.Dir}}/queries.log\"}\n")
	file := filepath.Join(s.Dir, "queries.log")
	holds := func(file, line string) func() bool {
		return func() bool {
			text, _ := os.ReadFile(file)
			return strings.Contains(string(text), line)
		}
	}
	ask(t, server, "one.any.example.net", dns.TypeA)
	within(t, "the line of a miss", holds(file, "proto=udp name=one.any.example.net. type=A flags=rd from=upstream rcode=NOERROR"))
	ask(t, server, "host.a.v4.example.net", dns.TypeAAAA)
	within(t, "the line of a blocked AAAA", holds(file, "name=host.a.v4.example.net. type=AAAA flags=rd from=aaaa rcode=NOERROR"))

	must(t, os.Rename(file, file+".1"))
	must(t, server.Signal(syscall.SIGHUP))
	within(t, "the new file", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	ask(t, server, "one.any.example.net", dns.TypeA)
	within(t, "the line of a hit", holds(file, "name=one.any.example.net. type=A flags=rd from=hit"))
	if holds(file+".1", "from=hit")() {
		t.Error("the renamed file is still written to")
	}

	rewrite(t, server.Config, file, "/nonexistent/queries.log")
	must(t, server.Signal(syscall.SIGHUP))
	within(t, "the refusal", func() bool {
		return strings.HasSuffix(statusOf(t, s, server).Config.Reload.Error, "query_log.file: stat /nonexistent: no such file or directory; make the folder")
	})
	ask(t, server, "two.any.example.net", dns.TypeA)
	within(t, "the old file's line", holds(file, "two.any.example.net."))
	rewrite(t, server.Config, "sample: 1", "sample: 0")
	must(t, server.Signal(syscall.SIGHUP))
	within(t, "the reload", func() bool { return !statusOf(t, s, server).Config.Reload.Failed })
}

// A receiver of dnstap messages: fstrm_capture, which writes them to a file that is
// whole once it has ended.
func receiver(t *testing.T, s *stack.Stack, name string) (*stack.Process, string) {
	t.Helper()
	path, err := lookPath("fstrm_capture")
	if err != nil {
		t.Skip("no fstrm_capture: make deps installs it")
	}
	file := filepath.Join(s.Dir, name+".fstrm")
	p := &stack.Process{
		Name: name, Path: path, LogFile: filepath.Join(s.Dir, name+".log"),
		Args: []string{"-t", "protobuf:dnstap.Dnstap", "-u", filepath.Join(s.Dir, "dnstap.sock"), "-w", file},
	}
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Kill() })
	return p, file
}

// taken ends a receiver once it has read these exchanges (what is still on its way to it
// then is lost), and gives the messages in its file.
func taken(t *testing.T, p *stack.Process, file string, exchanges ...asked) (all []*dnstap.Dnstap) {
	t.Helper()
	within(t, "the receiver has all", func() bool {
		must(t, p.Signal(syscall.SIGHUP)) // it writes down what it has read
		all, _ := messagesIn(file)
		return !slices.ContainsFunc(exchanges, func(a asked) bool {
			return a.among(all, dnstap.Message_CLIENT_QUERY) < 0 || a.among(all, dnstap.Message_CLIENT_RESPONSE) < 0
		})
	})
	within(t, "the receiver ends", func() bool { // it may miss a signal that comes close behind another
		_ = p.Signal(syscall.SIGTERM)
		soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := p.Wait(soon)
		return err == nil
	})
	all, err := messagesIn(file)
	must(t, err)
	return all
}

// messagesIn reads a receiver's file. Of one that is being written all whole messages are
// given, and an error.
func messagesIn(file string) (all []*dnstap.Dnstap, err error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	reader, err := dnstap.NewReader(in, nil)
	if err != nil {
		return nil, err
	}
	for decoder := dnstap.NewDecoder(reader, 1<<20); ; {
		m := new(dnstap.Dnstap)
		if err := decoder.Decode(m); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

// An asked is one exchange as its client saw it.
type asked struct {
	client          netip.AddrPort
	stream          bool
	query, response []byte
	before, behind  time.Time
}

// exchangeRaw asks over a socket of its own and keeps all that dnstap tells, too.
func exchangeRaw(t *testing.T, server *stack.Server, network, name string, typ uint16) asked {
	t.Helper()
	conn, err := dns.DialTimeout(network, server.Address, 5*time.Second)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	query.SetEdns0(1232, true)
	a := asked{client: netip.MustParseAddrPort(conn.LocalAddr().String()), stream: network == "tcp", before: time.Now()}
	a.query, err = query.Pack()
	must(t, err)
	_, err = conn.Write(a.query)
	must(t, err)
	a.response, err = conn.ReadMsgHeader(nil)
	must(t, err)
	a.behind = time.Now()
	return a
}

// among is where its message of a type is, -1 for nowhere.
func (a *asked) among(all []*dnstap.Dnstap, typ dnstap.Message_Type) int {
	protocol := dnstap.SocketProtocol_UDP
	if a.stream {
		protocol = dnstap.SocketProtocol_TCP
	}
	return slices.IndexFunc(all, func(d *dnstap.Dnstap) bool {
		return d.Message.GetType() == typ && d.Message.GetQueryPort() == uint32(a.client.Port()) && d.Message.GetSocketProtocol() == protocol
	})
}

// check holds one exchange against the messages.
func (a *asked) check(t *testing.T, server *stack.Server, all []*dnstap.Dnstap) {
	t.Helper()
	local := netip.MustParseAddrPort(server.Address)
	host, _ := os.Hostname()
	for _, typ := range []dnstap.Message_Type{dnstap.Message_CLIENT_QUERY, dnstap.Message_CLIENT_RESPONSE} {
		i := a.among(all, typ)
		if i < 0 {
			t.Errorf("no %s from %s", typ, a.client)
			continue
		}
		d, m := all[i], all[i].Message
		wire, want, at := m.GetQueryMessage(), a.query, time.Unix(int64(m.GetQueryTimeSec()), int64(m.GetQueryTimeNsec()))
		if typ == dnstap.Message_CLIENT_RESPONSE {
			wire, want, at = m.GetResponseMessage(), a.response, time.Unix(int64(m.GetResponseTimeSec()), int64(m.GetResponseTimeNsec()))
		}
		if !bytes.Equal(wire, want) {
			t.Errorf("%s: message %x, want %x", typ, wire, want)
		}
		if at.Before(a.before) || at.After(a.behind) {
			t.Errorf("%s: at %s, not between %s and %s", typ, at, a.before, a.behind)
		}
		if !bytes.Equal(m.GetQueryAddress(), a.client.Addr().AsSlice()) || !bytes.Equal(m.GetResponseAddress(), local.Addr().AsSlice()) ||
			m.GetResponsePort() != uint32(local.Port()) || m.GetSocketFamily() != dnstap.SocketFamily_INET {
			t.Errorf("%s: from %v to %v port %d", typ, m.GetQueryAddress(), m.GetResponseAddress(), m.GetResponsePort())
		}
		if string(d.GetIdentity()) != host || !strings.HasPrefix(string(d.GetVersion()), "strata ") {
			t.Errorf("%s: identity %q, version %q", typ, d.GetIdentity(), d.GetVersion())
		}
	}
}

// A real receiver gets what a real client sent and got; it may be killed and come
// back.
func TestDnstap(t *testing.T) {
	t.Parallel() // it mostly waits
	s, server := watched(t, "dnstap: {socket: \"{{.Dir}}/dnstap.sock\"}\n")
	connected := func(want float64) func() bool {
		return func() bool {
			c, err := server.Counters(t.Context())
			return err == nil && c.Sum("strata_dnstap_connected") == want
		}
	}
	first, file := receiver(t, s, "first")
	within(t, "a connection", connected(1))
	all := []asked{
		exchangeRaw(t, server, "udp", "one.any.example.net", dns.TypeA), // a miss
		exchangeRaw(t, server, "udp", "ONE.any.example.net", dns.TypeA),
		exchangeRaw(t, server, "tcp", "one.any.example.net", dns.TypeA),
		exchangeRaw(t, server, "tcp", "two.any.example.net", dns.TypeA), // a miss
		exchangeRaw(t, server, "udp", "x.v4.example.net", dns.TypeAAAA),
		exchangeRaw(t, server, "udp", "www.google.com.prd.example.com", dns.TypeA),
	}
	messages := taken(t, first, file, all...)
	if n := counted(t, server, "strata_observed_queries_total", `by="dnstap"`, `what="written"`); n < 6+2 { // a miss is a query and, later, a response
		t.Errorf("%v were counted as written", n)
	}
	for _, a := range all {
		a.check(t, server, messages)
	}
	if len(messages) != 2*len(all) {
		t.Errorf("%d messages of %d exchanges", len(messages), len(all))
	}

	// Without a receiver, and with one that is killed: clients see nothing of it.
	exchangeRaw(t, server, "udp", "one.any.example.net", dns.TypeA)
	within(t, "the end of the connection", connected(0))
	second, _ := receiver(t, s, "second")
	within(t, "the second connection", connected(1))
	must(t, second.Kill())
	exchangeRaw(t, server, "udp", "one.any.example.net", dns.TypeA)
	within(t, "the end of the second connection", connected(0))
	between := exchangeRaw(t, server, "udp", "one.any.example.net", dns.TypeA)
	third, file := receiver(t, s, "third")
	within(t, "the third connection", connected(1))
	behind := exchangeRaw(t, server, "udp", "three.any.example.net", dns.TypeA)
	messages = taken(t, third, file, between, behind, exchangeRaw(t, server, "udp", "one.any.example.net", dns.TypeA))
	between.check(t, server, messages)
	behind.check(t, server, messages)
	if log := server.Log(); strings.Count(log, "dnstap: connected") != 3 || strings.Contains(log, "level=ERROR") {
		t.Errorf("it logged:\n%s", log)
	}
}

// A receiver that reads nothing, and each query logged: none is lost at a rate that
// fills all rings, what finds no room is counted.
func TestLookingLosesNoQuery(t *testing.T) {
	need(t, "dnsperf")
	s, server := watched(t, "dnstap: {socket: \"{{.Dir}}/dnstap.sock\"}\nquery_log: {sample: 1, file: \"{{.Dir}}/queries.log\"}\ntop: {sample: 1}\n")
	frozen, _ := receiver(t, s, "frozen")
	within(t, "a connection", func() bool {
		c, err := server.Counters(t.Context())
		return err == nil && c.Sum("strata_dnstap_connected") == 1
	})
	must(t, frozen.Signal(syscall.SIGSTOP))
	var names strings.Builder
	for i := range 100 {
		fmt.Fprintf(&names, "name%d.any.example.net A\n", i)
		ask(t, server, fmt.Sprintf("name%d.any.example.net", i), dns.TypeA)
	}
	list := filepath.Join(s.Dir, "names")
	writeFile(t, list, names.String())
	host, port, err := net.SplitHostPort(server.Address)
	must(t, err)
	dnsperf, err := lookPath("dnsperf")
	must(t, err)
	dropped := func() float64 {
		return counted(t, server, "strata_observed_queries_total", `by="dnstap"`, `what="dropped"`)
	}
	for round := 0; round == 0 || dropped() == 0; round++ { // a slow machine takes longer to fill the rings
		if round == 10 {
			t.Fatal("nothing was dropped: the receiver was not too slow")
		}
		out, err := stack.Run(t.Context(), dnsperf, "-s", host, "-p", port, "-d", list, "-l", "2", "-q", "50", "-t", "10")
		must(t, err)
		if !regexp.MustCompile(`Queries lost: +0 `).MatchString(out) || !strings.Contains(out, "NOERROR") {
			t.Errorf("dnsperf says:\n%s", out)
		}
	}
	if counted(t, server, "strata_observed_queries_total", `by="query_log"`, `what="written"`) == 0 {
		t.Error("nothing was logged")
	}
	must(t, server.Signal(syscall.SIGTERM))
	ends(t, server, 0) // it does not wait for the receiver either
}

// metricNames are those of a page that are ours, each with its help.
func metricNames(page string) map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, "# HELP strata_"); ok {
			name, help, _ := strings.Cut(strings.TrimSpace(rest), " ")
			names["strata_"+name] = help
		}
	}
	return names
}

// labelsOf are the names of a metric's labels, of the first sample that there is.
func labelsOf(page, name string) (names []string) {
	sample := regexp.MustCompile(`(?m)^` + name + `(?:_count)?\{(.*)\} `).FindStringSubmatch(page)
	if sample == nil {
		return nil
	}
	for _, m := range regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`).FindAllStringSubmatch(sample[1], -1) {
		names = append(names, m[1])
	}
	return names
}

func sameSet(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func metricsPage(t *testing.T, server *stack.Server) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Admin+"/metrics", nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return string(text)
}

// The metrics of both resolvers are well-formed, have a help, and are those that
// docs/operating.md lists.
func TestMetricsPage(t *testing.T) {
	shared := sharedStack(t)
	_, server := watched(t, "")
	for range 2 {
		ask(t, server, "one.any.example.net", dns.TypeA)
	}
	ask(t, server, "x.v4.example.net", dns.TypeAAAA)
	ask(t, server, "www.google.com.prd.example.com", dns.TypeA)
	ask(t, shared.Nodecache, "www.example.net", dns.TypeA)

	page := metricsPage(t, server)
	for _, want := range []string{
		`strata_answers_total{outcome="hit",transport="udp",worker="`, `strata_answers_total{outcome="miss",`, `strata_policy_decided_total{kind="junk"} 1`,
		`strata_policy_decided_total{kind="aaaa"} 1`, `strata_cache_fetches_total{what="refreshed"} 0`, `strata_resolver_answer_seconds_count{outcome="upstream"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	shown := metricNames(page)
	for name, help := range metricNames(metricsPage(t, shared.Recursors[0])) {
		shown[name] = help
	}
	wellFormed(t, page)
	listed := listedMetrics(t, "Looking into a resolver")
	holdListed(t, listed, page, metricsPage(t, shared.Recursors[0]))
	for name, help := range shown {
		if _, ok := listed[name]; !ok {
			t.Errorf("docs/operating.md does not list %s: %s", name, help)
		}
	}
}

// The same for authoritative's server, monitor and prober, each with its section; what
// programs have in common is listed once.
func TestAuthoritativeMetricsPages(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProbed(t, 1)
	m := &monitored{Stack: p.Stack, server: p.server, manifest: filepath.Join(p.Dir, "manifests")}
	must(t, os.Mkdir(m.manifest, 0o700))
	m.put(t, "shop.yaml", shop)
	prober, monitor := p.prober(t, "prober"), m.monitor(t, "monitor", "")
	must(t, p.Ready(t.Context(), monitor))
	token := filepath.Join(p.Dir, "token")
	writeFile(t, token, strings.Repeat("0123456789", 4))
	server := extra(t, p.Stack, "told", "authoritative", strings.Replace(probeServer, "  admin: \"127.0.0.1:{{.AdminPort}}\"\n  control: \"{{.Dir}}/{{.ID}}.sock\"\n", "", 1)+`
api: {tokens: [{name: deploy, file: "`+token+`", owner: team-a}]}
`)
	must(t, p.Ready(t.Context(), server))
	ask(t, server, app, dns.TypeA)
	bounded := extra(t, p.Stack, "bounded", "authoritative", `
zones: [{name: prd.example.com, source: etcd}]
etcd: {endpoints: ["http://127.0.0.1:{{.EtcdPort}}"]}
memory: {max_names: 100}
listen: ["127.0.0.1:{{.Port}}"]
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`)
	must(t, p.Ready(t.Context(), bounded))
	ask(t, bounded, app, dns.TypeA)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Admin+"/api/v1/records", nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request) // has no token, and is counted
	must(t, err)
	response.Body.Close()

	within(t, "all of a server's metrics, that of its first snapshot among them", func() bool {
		return strings.Contains(metricsPage(t, server), "strata_snapshot_timestamp_seconds")
	})
	common := listedMetrics(t, "Pages and metrics", "Looking into a resolver")
	own := []string{"authoritative", "Kubernetes: the service monitor", "Health of addresses: the prober"}
	var pages []string
	for i, sections := range [][]string{{own[0], own[2]}, {own[0], own[2]}, {own[1]}, {own[2]}} { // servers use what probers find
		page := metricsPage(t, []*stack.Server{server, bounded, monitor, prober}[i])
		pages = append(pages, page)
		wellFormed(t, page)
		listed := listedMetrics(t, sections...)
		for name, help := range metricNames(page) {
			_, here := listed[name]
			if _, there := common[name]; !here && !there {
				t.Errorf("docs/operating.md does not list %s in %s: %s", name, sections, help)
			}
		}
	}
	holdListed(t, listedMetrics(t, own...), pages...)
}

// wellFormed holds a page to Prometheus's rules.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// listedMetrics are those that the tables of docs/operating.md's sections name, each
// with its labels, as far as they are given.
func listedMetrics(t *testing.T, sections ...string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/operating.md")
	must(t, err)
	listed := map[string][]string{}
	for _, title := range sections {
		_, section, ok := strings.Cut(string(text), "\n## "+title+"\n")
		if !ok {
			t.Fatalf("docs/operating.md has no section %s", title)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for _, row := range regexp.MustCompile("(?m)^\\| (`strata_[^|]*) \\|").FindAllStringSubmatch(section, -1) {
			for _, m := range regexp.MustCompile("`(strata_[a-z_]+)(?:\\{([a-z,]+)\\})?[^`]*`").FindAllStringSubmatch(row[1], -1) {
				listed[m[1]] = nil
				if m[2] != "" {
					listed[m[1]] = strings.Split(m[2], ",")
				}
			}
		}
	}
	return listed
}

// holdListed holds what is listed against the pages.
func holdListed(t *testing.T, listed map[string][]string, pages ...string) {
	t.Helper()
	all := strings.Join(pages, "")
	shown := metricNames(all)
	for name, labels := range listed {
		if _, ok := shown[name]; !ok {
			t.Errorf("docs/operating.md lists %s, which nobody shows", name)
		}
		if got := labelsOf(all, name); labels != nil && !sameSet(labels, got) {
			t.Errorf("docs/operating.md gives %s the labels %v; it has %v", name, labels, got)
		}
	}
}
