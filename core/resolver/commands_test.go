package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// ctl opens the scene's control socket, and returns what calls a command on it.
func (s *scene) ctl(t *testing.T) func(asJSON bool, args ...string) (string, error) {
	t.Helper()
	var commands control.Commands
	commands.Add(s.Commands()...)
	path := filepath.Join(t.TempDir(), "ctl.sock")
	ctx, cancel := context.WithCancel(context.Background())
	server, err := control.Listen(ctx, path, &commands)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(asJSON bool, args ...string) (string, error) {
		var out bytes.Buffer
		err := control.Do(ctx, path, control.Request{Args: args, JSON: asJSON}, &out)
		return out.String(), err
	}
}

func TestCommands(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1", "www.example. 300 IN TXT x", "a.sub.example. 300 IN A 192.0.2.2", "away.example. 300 IN CNAME y.nowhere.")
	s := play(t, plot{rest: up, policy: policy.Config{BlockAAAA: []string{"example"}}})
	ctl := s.ctl(t)
	must := func(words string, holds ...string) {
		t.Helper()
		out, err := ctl(false, strings.Fields(words)...)
		if err != nil {
			t.Errorf("%s: %v", words, err)
		}
		for _, h := range holds {
			if !strings.Contains(out, h) {
				t.Errorf("%s: %q does not hold %q", words, out, h)
			}
		}
	}
	must("lookup www.example", "NOERROR from upstream", "192.0.2.1", "asked for www.example.: "+up.addr.String()+" answered in ")
	must("lookup www.example a", "NOERROR from memory", "192.0.2.1", "in memory for 0", " left, refresh due in 2")
	must("lookup www.example AAAA", "NOERROR from policy (aaaa example.)")
	must("lookup x.nowhere A", "SERVFAIL from upstream", "extended error 22: No Reachable Authority")
	must("flush x.nowhere", "flushed 1")
	said := up.addr.String() + " answered REFUSED in "
	must("lookup x.nowhere A", "asked for x.nowhere.: "+said)
	must("lookup away.example A", "SERVFAIL from upstream", "asked for away.example.: "+up.addr.String()+" answered in ", "asked for y.nowhere.: "+said)
	must("flush --type A", "flushed 4")
	must("lookup www.example", "NOERROR from upstream")
	must("lookup none.example A", "NXDOMAIN from upstream", "SOA")
	must("lookup www.example TYPE16", "from upstream")
	must("lookup a.sub.example", "from upstream")
	must("policy explain www.example AAAA 127.0.0.1", "policy.block_aaaa[0]")
	must("dump", "; www.example. A NOERROR", "192.0.2.1", "; none.example. A NXDOMAIN", "a.sub.example.")
	if out, _ := ctl(false, "dump", "sub.example"); strings.Contains(out, "www.example.") || !strings.Contains(out, "a.sub.example.") {
		t.Errorf("dump below a name: %s", out)
	}
	out, err := ctl(true, "dump", "--under", "sub.example")
	var d dumped
	if err != nil || json.Unmarshal([]byte(out), &d) != nil || d.Name != "a.sub.example." || len(d.Records) != 1 {
		t.Errorf("dump as JSON: %v %s", err, out)
	}
	must("flush www.example TXT", "flushed 1")
	must("flush --under sub.example --type TXT", "flushed 0")
	must("flush --under=sub.example", "flushed 1")
	must("flush --type A", "flushed 2")
	must("lookup www.example", "from upstream")
	must("flush www.example", "flushed 1")
	must("lookup www.example", "from upstream")
	must("lookup a.sub.example", "from upstream")
	must("flush under sub.example", "flushed 1")
	must("lookup a.sub.example", "from upstream")
	must("flush --type=A a.sub.example", "flushed 1")
	must("flush --all", "flushed 1")
	must("flush all", "flushed 0")
	for words, says := range map[string]string{
		"flush": "flush what?", "flush a b c": "flush what?", "flush www.example NOTYPE": "unknown type", "flush under a..b": "empty label",
		"flush --under": "flush: flag needs an argument: --under; usage: flush NAME [TYPE] | --under ZONE | --type TYPE | --all", "flush --al": "unknown flag: --al",
		"flush --all www.example": "flush what?", "flush --all --type A": "flush what?", "flush www.example A --type A": "flush what?", "flush www.example --under x": "flush what?",
		"dump a --under b": "dump what?", "lookup --tcp a": "lookup: unknown flag: --tcp",
		"top queries": "top of what?", "top names 0": "top of what?", "top names 3 4": "top of what?", "top 5": "top is off",
		"flush type TYPE1x": "unknown type", "lookup": "a name and a type", "lookup a A 127.0.0.1": "a name and a type", "lookup a..b": "empty label",
		"dump a b": "dump what?", "policy explain www.example A here": "client", "policy explain": "a name and a type",
	} {
		if _, err := ctl(false, strings.Fields(words)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", words, err, says)
		}
	}
}

func TestParseType(t *testing.T) {
	for s, want := range map[string]uint16{"a": 1, "AAAA": 28, "Type65280": 65280, "TYPE0": 0, "https": 65} {
		if typ, err := ParseType(s); err != nil || typ != want {
			t.Errorf("%s: %d %v", s, typ, err)
		}
	}
	for _, s := range []string{"", "TYPE", "TYPE65536", "TYPE-1", "12", "TYPE1 2", "X"} {
		if typ, err := ParseType(s); err == nil {
			t.Errorf("%q: %d", s, typ)
		}
	}
}

func FuzzParseMatch(f *testing.F) {
	for _, s := range []string{"all", "under example.com", "type AAAA", "www.example.com TYPE65280", "--under \\000.x", "all A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		m, err := parseMatch(strings.Fields(words), "", "", false)
		if err != nil {
			return
		}
		for _, name := range [][]byte{m.Name, m.Under} {
			if name != nil && wire.NameLen(name) != len(name) {
				t.Fatalf("%q gives %x", words, name)
			}
		}
	})
}

// TestCacheFile keeps memory over a restart, and leaves a damaged file aside.
func TestCacheFile(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1")
	p := plot{rest: up, cache: CacheConfig{Size: 1 << 20, StaleFor: 3600e9, File: filepath.Join(t.TempDir(), "c.cache")}}
	first := play(t, p)
	first.ask("www.example.", dns.TypeA)
	first.close()
	second := play(t, p)
	see(t, second.ask("www.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.1")
	if up.asked.Load() != 1 || second.count("hit") != 1 {
		t.Errorf("asked %d times, %d hits", up.asked.Load(), second.count("hit"))
	}
	second.close()
	damage(t, p.cache.File)
	third := play(t, p)
	see(t, third.ask("www.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.1")
	if up.asked.Load() != 2 {
		t.Errorf("a damaged file was used")
	}
	third.close()
	fourth := play(t, p)
	fourth.ask("www.example.", dns.TypeA)
	if up.asked.Load() != 2 {
		t.Error("not kept once more")
	}
}
