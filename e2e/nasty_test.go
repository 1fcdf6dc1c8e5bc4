package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/nasty"
	"github.com/strata-dns/strata/e2e/stack"
)

// startNasty starts a server that misbehaves, until the test ends.
func startNasty(t *testing.T, behaviours map[string]nasty.Behaviour) *nasty.Server {
	t.Helper()
	s, err := nasty.Start("127.0.0.1", behaviours)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// cacheOf starts a nodecache that asks the given servers; more is added to its config.
func cacheOf(t *testing.T, s *stack.Stack, id, more string, servers ...string) *stack.Server {
	t.Helper()
	cache := extra(t, s, id, "nodecache", fmt.Sprintf(`listen: ["127.0.0.1:{{.Port}}"]
workers: 1
upstreams: ["%s"]
cache: {size: 16MiB, stale_for: 1h, prefetch: false}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
%s`, strings.Join(servers, `", "`), more))
	must(t, s.Ready(t.Context(), cache))
	return cache
}

// askPatiently asks once and waits longer than any budget; no answer at all is a reply
// with the RCODE unanswered.
func askPatiently(server *stack.Server, name string) (*dns.Msg, time.Duration) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	query.SetEdns0(1232, false)
	client := dns.Client{Timeout: 10 * time.Second}
	began := time.Now()
	reply, _, err := client.Exchange(query, server.Address)
	if err != nil {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: unanswered}}, time.Since(began)
	}
	return reply, time.Since(began)
}

const unanswered = -1

// extended are the codes of a reply's extended errors (RFC 8914).
func extended(reply *dns.Msg) (codes []uint16) {
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				codes = append(codes, e.InfoCode)
			}
		}
	}
	return codes
}

// saysEvil reports whether a forged record is in a reply.
func saysEvil(reply *dns.Msg) bool {
	return strings.Contains(reply.String(), nasty.Evil) || strings.Contains(reply.String(), "ns.bank.example")
}

// goroutines of a daemon, by its metrics.
func goroutines(t *testing.T, server *stack.Server) int {
	t.Helper()
	response, err := http.Get("http://" + server.Admin + "/metrics")
	must(t, err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			n, err := strconv.Atoi(text)
			must(t, err)
			return n
		}
	}
	t.Fatal("no go_goroutines in its metrics")
	return 0
}

// What a resolver is told when the server alone cannot be helped, and what is counted.
type badInput struct {
	alone   int    // RCODE where there is no other server
	ede     uint16 // extended error, with SERVFAIL
	counted string // word in the labels of what moves
}

const (
	good   = dns.RcodeSuccess
	failed = dns.RcodeServerFailure
)

var badInputs = map[string]badInput{
	"wrong-id":           {good, 0, `reason="id"`},
	"wrong-name":         {good, 0, `reason="question"`},
	"wrong-type":         {good, 0, `reason="question"`},
	"wrong-class":        {good, 0, `reason="question"`},
	"no-question":        {good, 0, `reason="question"`},
	"query":              {good, 0, `reason="no reply"`},
	"wrong-opcode":       {good, 0, `reason="no reply"`},
	"short-header":       {good, 0, `reason="no reply"`},
	"empty":              {good, 0, `reason="no reply"`},
	"wrong-port":         {good, 0, ""}, // dropped by the kernel
	"wrong-address":      {good, 0, ""},
	"only-wrong-address": {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="timeout"`},
	"flood":              {good, 0, `reason="id"`},
	"twice":              {good, 0, `what="late"`},
	"late":               {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="late"`},
	"silent":             {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="timeout"`},

	"foreign-records": {good, 0, ""},
	"only-foreign":    {failed, dns.ExtendedErrorCodeNetworkError, `what="garbled"`},
	"record-class":    {failed, dns.ExtendedErrorCodeNetworkError, `what="garbled"`},
	"long-ttl":        {good, 0, ""},
	"top-bit-ttl":     {good, 0, ""},
	"lame":            {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},

	"formerr":  {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},
	"servfail": {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},
	"notimp":   {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},
	"refused":  {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},
	"rcode-11": {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},
	"rcode-23": {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="failed"`},

	"name-loop":             {good, 0, `what="garbled"`}, // over TCP it is honest
	"data-loop":             {good, 0, `what="garbled"`},
	"cut":                   {good, 0, `what="garbled"`},
	"bad-counts":            {good, 0, `what="garbled"`},
	"oversized":             {good, 0, `what="truncated"`},
	"name-loop-everywhere":  {failed, dns.ExtendedErrorCodeNetworkError, `what="garbled"`},
	"data-loop-everywhere":  {failed, dns.ExtendedErrorCodeNetworkError, `what="garbled"`},
	"cut-everywhere":        {failed, dns.ExtendedErrorCodeNetworkError, `what="garbled"`},
	"bad-counts-everywhere": {failed, dns.ExtendedErrorCodeNetworkError, `what="garbled"`},

	"tcp-noise":          {failed, dns.ExtendedErrorCodeNetworkError, `reason="no reply"`},
	"tcp-short-noise":    {failed, dns.ExtendedErrorCodeNetworkError, `reason="no reply"`},
	"tcp-other-question": {failed, dns.ExtendedErrorCodeNetworkError, `reason="question"`},
	"tcp-length-long":    {failed, dns.ExtendedErrorCodeNoReachableAuthority, `what="timeout"`},
	"tcp-length-short":   {failed, dns.ExtendedErrorCodeNetworkError, ""},
	"tcp-closed-once":    {good, 0, `what="closed"`},
	"tcp-closed":         {failed, dns.ExtendedErrorCodeNetworkError, `what="closed"`},
	"tcp-truncated":      {failed, dns.ExtendedErrorCodeNetworkError, `what="failed"`},
}

// Bad input of all sorts: it is ignored or asked for again, counted, and nobody is ever
// given what it says; where another server is there, that one answers. The process
// lives, with no more goroutines than before, and good names resolve.
func TestBadInput(t *testing.T) {
	s := newStack(t, stack.Nothing)
	alone := cacheOf(t, s, "alone", "", startNasty(t, nasty.Behaviours()).Addr.String())
	server := startNasty(t, nasty.Behaviours())
	pair := cacheOf(t, s, "pair", "", server.Addr.String(), startNasty(t, slower()).Addr.String())
	caches := []*stack.Server{alone, pair}
	pids, before := []int{}, []int{}
	for _, cache := range caches {
		honest(t, cache, "warm")
		pids, before = append(pids, cache.PID()), append(before, goroutines(t, cache))
	}
	names := []string{}
	for name := range badInputs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) { tryBadInput(t, alone, pair, name, badInputs[name]) })
	}
	tried := 0
	for _, name := range names {
		tried += server.Asked("2." + name + ".nasty.example")
	}
	if t.Logf("%d queries of the pair came to the server that misbehaves", tried); tried < len(names)/2 {
		t.Errorf("%d queries came to the server that misbehaves: the other one was asked alone", tried)
	}
	for i, cache := range caches {
		honest(t, cache, "afterwards")
		if cache.PID() != pids[i] {
			t.Errorf("%s is not the same process", cache.Name)
		}
		// Kept connections have two each, and are closed after 10 s.
		within(t, fmt.Sprintf("no more than %d goroutines", before[i]+8), func() bool { return goroutines(t, cache) <= before[i]+8 })
		if dump := run(t, s, "nodecache", "ctl", "--config", cache.Config, "dump"); strings.Contains(dump, nasty.Evil) {
			t.Errorf("%s holds a forged record:\n%s", cache.Name, dump)
		}
	}
}

func tardy(q *nasty.Query) { q.Pause(20 * time.Millisecond); q.Honest() }

// slower is a server without faults that is asked second: its answers take longer.
func slower() map[string]nasty.Behaviour {
	all := map[string]nasty.Behaviour{"good": tardy}
	for name := range badInputs {
		all[name] = tardy
	}
	return all
}

// honest wants a name that nothing is wrong with.
func honest(t *testing.T, cache *stack.Server, name string) {
	t.Helper()
	if reply, _ := askPatiently(cache, name+".good.example"); !answered(reply, nil, nasty.Good) {
		t.Errorf("%s: a good name is answered %v", cache.Name, reply)
	}
}

func tryBadInput(t *testing.T, alone, pair *stack.Server, name string, want badInput) {
	before, err := alone.Counters(t.Context())
	must(t, err)
	dropped, machine := noPorts(t), watchStrain()
	reply, took := askPatiently(alone, "1."+name+".nasty.example")
	switch {
	case reply.Rcode != want.alone || saysEvil(reply):
		t.Fatalf("answered after %s:\n%v", took, reply)
	case want.alone == good && !answered(reply, nil, nasty.Good):
		t.Errorf("not the good answer:\n%v", reply)
	case want.alone != good && !slices.Contains(extended(reply), want.ede):
		t.Errorf("extended errors %d, want %d", extended(reply), want.ede)
	}
	machine.inTime(t, "an answer came", took, 1800*time.Millisecond+time.Second)
	if again, _ := askPatiently(alone, "1."+name+".nasty.example"); again.Rcode == unanswered || saysEvil(again) {
		t.Errorf("answered later:\n%v", again)
	}
	if want.counted != "" {
		moved := func() float64 {
			now, err := alone.Counters(t.Context())
			must(t, err)
			moved := now.Since(before)
			return moved.Sum("strata_upstream_exchanges_total", want.counted) + moved.Sum("strata_upstream_mismatches_total", want.counted)
		}
		within(t, want.counted+" is counted", func() bool { return moved() > 0 })
		t.Logf("answered %s %d after %s; %s: %g", dns.RcodeToString[reply.Rcode], extended(reply), took.Round(time.Millisecond), want.counted, moved())
	}
	if strings.HasPrefix(name, "wrong-port") || strings.HasPrefix(name, "wrong-address") {
		within(t, "the kernel counts a datagram to no socket", func() bool { return noPorts(t) > dropped })
	}
	if reply, took := askPatiently(pair, "2."+name+".nasty.example"); !answered(reply, nil, nasty.Good) && reply.Rcode != good || saysEvil(reply) {
		t.Errorf("with a second server answered after %s:\n%v", took, reply)
	}
	for _, other := range []string{"www.bank.example", "ns.bank.example", "wrong.nasty.example"} {
		if reply, _ := askPatiently(alone, other); !answered(reply, nil, nasty.Good) {
			t.Errorf("%s is answered\n%v", other, reply)
		}
	}
	honest(t, alone, name)
	honest(t, pair, name)
}

// noPorts is how many datagrams came to this host that no socket was there for:
// connected ones take what their peer sends only.
func noPorts(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/net/snmp")
	must(t, err)
	var keys []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if words[0] != "Udp:" {
			continue
		}
		if i := slices.Index(keys, "NoPorts"); i >= 0 {
			n, err := strconv.ParseUint(words[i], 10, 64)
			must(t, err)
			return n
		}
		keys = words
	}
	t.Fatal("no Udp NoPorts in /proc/net/snmp")
	return 0
}

// A TTL that is too long is cut to a week, also one with its top bit set (RFC 8767 §4).
func TestTTLsThatAreTooLong(t *testing.T) {
	s := newStack(t, stack.Nothing)
	server := startNasty(t, nasty.Behaviours())
	cache := cacheOf(t, s, "cache", "", server.Addr.String())
	ttl := func(name string) uint32 {
		reply, _ := askPatiently(cache, name)
		if !answered(reply, nil, nasty.Good) {
			t.Fatalf("%s is answered %v", name, reply)
		}
		return reply.Answer[0].Header().Ttl
	}
	for _, name := range []string{"1.long-ttl.nasty.example", "1.top-bit-ttl.nasty.example"} {
		for range 2 {
			if got := ttl(name); got > 7*24*3600 || got < 7*24*3600-60 {
				t.Errorf("%s: TTL %d, want a week", name, got)
			}
		}
		if n := server.Asked(name); n != 1 {
			t.Errorf("asked %d times for %s, want once", n, name)
		}
	}
}

// A server that knows no EDNS is asked without (RFC 6891 §6.2.2), from the second
// question on at once.
func TestServerWithoutEDNS(t *testing.T) {
	s := newStack(t, stack.Nothing)
	server := startNasty(t, nasty.Behaviours())
	cache := cacheOf(t, s, "cache", "", server.Addr.String())
	for i := range 3 {
		name := fmt.Sprintf("%d.no-edns.nasty.example", i)
		reply, _ := askPatiently(cache, name)
		if !answered(reply, nil, nasty.Good) {
			t.Fatalf("answered %v", reply)
		}
		if n := server.Asked(name); n != 1 && i > 0 {
			t.Errorf("question %d was asked %d times", i, n)
		}
	}
}

// An alias that a stub's servers give is followed at the servers that know its
// target: theirs is not believed.
func TestForeignAlias(t *testing.T) {
	s := newStack(t, stack.Nothing)
	site, stub := startNasty(t, nil), startNasty(t, nasty.Behaviours())
	cache := cacheOf(t, s, "cache", fmt.Sprintf(`stubs: [{names: [nasty.example], servers: ["%s"]}]`, stub.Addr), site.Addr.String())
	for _, name := range []string{"1.foreign-alias.nasty.example", "target.bank.example"} {
		if reply, _ := askPatiently(cache, name); !answered(reply, nil, nasty.Good) {
			t.Errorf("%s is answered\n%v", name, reply)
		}
	}
	if site.Asked("target.bank.example") != 1 {
		t.Errorf("the target's own servers were asked %d times", site.Asked("target.bank.example"))
	}
}
