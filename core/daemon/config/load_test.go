package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/strata-dns/strata/core/daemon/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNodecacheConfig(t *testing.T) {
	var c nodecacheShape
	if err := config.Load("testdata/nodecache.yaml", &c, nil); err != nil {
		t.Fatal(err)
	}
	want := nodecacheShape{
		Base: config.Base{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")},
			Admin:   "127.0.0.1:9353",
			Control: "/run/strata/nodecache.sock",
			Log:     config.Log{Format: "text"},
		},
		Upstreams: []netip.AddrPort{netip.MustParseAddrPort("10.1.1.120:53"), netip.MustParseAddrPort("10.1.1.121:53")},
		Stubs: []serverGroup{{
			Names:   []string{"cluster.local"},
			Servers: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.10:53")},
		}},
		Cache: cacheShape{Size: 64 << 20, StaleFor: 24 * time.Hour, Prefetch: true, File: "/var/lib/strata/nodecache.cache"},
		Policy: policyShape{
			BlockAAAA:   []string{"example.com"},
			Search:      []string{"prd.example.com", "stg.example.com"},
			Transparent: []string{"10.in-addr.arpa"},
		},
	}
	want.Cache.Negative = append(want.Cache.Negative, struct {
		Under string        `mapstructure:"under"`
		Max   time.Duration `mapstructure:"max"`
	}{"cluster.local", time.Second})
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestRecursorConfig(t *testing.T) {
	var c recursorShape
	if err := config.Load("testdata/recursor.yaml", &c, nil); err != nil {
		t.Fatal(err)
	}
	switch {
	case c.Site != "dc1", len(c.Allow) != 3, c.Allow[1] != netip.MustParsePrefix("::1/128"),
		c.Zones[0].Names[1] != "10.in-addr.arpa", len(c.External.Sites) != 2,
		c.External.Sites[1].ECS != netip.MustParsePrefix("203.0.113.0/24"),
		c.External.Check.HoldDown != 30*time.Second, c.External.Check.Expect[0].Data != "192.0.2.8",
		c.Policy.Synth[0].TTL != 300, c.Policy.Synth[1].To != "{site}.prd.example.com":
		t.Errorf("loaded wrong: %+v", c)
	}
}

func TestAuthoritativeConfig(t *testing.T) {
	var c authoritativeShape
	if err := config.Load("testdata/authoritative.yaml", &c, nil); err != nil {
		t.Fatal(err)
	}
	switch {
	case c.Plane != "socket", c.DPDK.EAL[1] != "--vdev=net_af_xdp0,iface=eth1", c.DPDK.Lcores[1] != 3,
		c.DPDK.Addresses[0] != netip.MustParsePrefix("10.0.0.53/24"), c.Zones[1].File != "/etc/strata/example.org.zone",
		c.Etcd.Endpoints[0] != "http://127.0.0.1:2379", c.Etcd.Embedded.Dir != "", c.Monitor.Resync != 10*time.Minute,
		c.Anycast.Neighbors[0].ASN != 65000, c.Anycast.RouterID != netip.MustParseAddr("10.0.0.53"),
		c.Brake.MaxDelete != 0.3:
		t.Errorf("loaded wrong: %+v", c)
	}
}

// Each problem is one line, and all are found at once.
func TestProblems(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown key": {"cache: {sise: 64MiB}\n", `:1: cache.sise: unknown key, did you mean "size"?`},
		"unknown key, nothing near": {"log:\n  colour: true\n",
			`:2: log.colour: unknown key; there are: level, format`},
		"unknown key in a list of flow maps": {"stubs:\n  - {names: [a], servers: []}\n  - {name: [b]}\n",
			`:3: stubs[1].name: unknown key, did you mean "names"?`},
		"upper case":   {"Cache: {}\n", `:1: Cache: unknown key, did you mean "cache"?`},
		"wrong size":   {"\ncache:\n  size: big\n", `:3: cache.size: found "big", expected a size, such as 64MiB, 512MB or 65536 (octets)`},
		"no unit":      {"cache: {stale_for: 24}\n", `:1: cache.stale_for: found "24", expected a duration with its unit, such as 24h or 1.8s`},
		"wrong bool":   {"cache: {prefetch: yes}\n", `:1: cache.prefetch: found "yes", expected true or false`},
		"wrong number": {"workers: many\n", `:1: workers: found "many", expected a whole number`},
		"octal":        {"workers: 0x8\n", `:1: workers: found "0x8", expected a whole number`},
		"no port": {"listen: [127.0.0.1]\n",
			`:1: listen[0]: found "127.0.0.1", expected an address with port, such as 10.0.0.1:53 or [2001:db8::1]:53`},
		"text for a list":      {"listen: 127.0.0.1:53\n", `:1: listen: found "127.0.0.1:53", expected a list`},
		"list for a text":      {"admin: [a]\n", `:1: admin: found a list, expected text`},
		"text for keys":        {"log: debug\n", `:1: log: found "debug", expected keys: level, format`},
		"keys for a number":    {"workers: {a: 1}\n", `:1: workers: found keys, expected a whole number`},
		"nothing for a number": {"workers:\n", `:1: workers: found nothing, expected a whole number`},
		"nothing for an item":  {"stubs:\n  -\n  - {nams: [a]}\n", ":2: stubs[0]: found nothing, expected keys: names, servers\nFILE:3: stubs[1].nams: unknown key, did you mean \"names\"?"},
		"nothing for a name":   {"policy:\n  search:\n    - # example.com\n", `:3: policy.search[0]: found nothing, expected text`},
		"an empty address":     {"listen: [\"127.0.0.1:53\", \"\"]\n", `:1: listen[1]: found "", expected an address with port, such as 10.0.0.1:53 or [2001:db8::1]:53`},
		"enumeration":          {"policy: {synth: [{kind: ip},\n  {kind: up}]}\n", `:2: policy.synth[1].kind: found "up", expected one of: ip, site`},
		"log level":            {"log: {level: loud}\n", `:1: log.level: found "loud", expected a log level: debug, info, warn or error`},
		"key of two lines":     {"\"a\\nb\": 1\n", `:1: a\nb: unknown key; there are: listen, workers, admin, control, takeover, log, upstreams, stubs, cache, policy`},
		"twice":                {"workers: 1\nworkers: 2\n", `:2: workers: given twice, first on line 1`},
		"alias":                {"admin: &a x\ncontrol: *a\n", ":1: admin: anchors and aliases are not read: write the value out\nFILE:2: control: anchors and aliases are not read: write the value out"},
		"no keys":              {"- a\n", `:1: found a list, expected keys: listen, workers, admin, control, takeover, log, upstreams, stubs, cache, policy`},
		"two documents":        {"workers: 1\n---\nworkers: 2\n", `:2: a second document begins here; a config is one`},
		"validated":            {"workers: -1\nadmin: here\n", ":1: workers: -1 is too few; 0 means one a CPU\n" + `FILE:2: admin: found "here", expected host:port, such as 127.0.0.1:9353, or "" for none`},
		"in order of lines": {"cache: {\n size: x,\n sise: 1}\nworkers: y\n",
			":2: cache.size: found \"x\", expected a size, such as 64MiB, 512MB or 65536 (octets)\nFILE:3: cache.sise: unknown key, did you mean \"size\"?\nFILE:4: workers: found \"y\", expected a whole number"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := write(t, test.text)
			var c nodecacheShape
			err := config.Load(file, &c, nil)
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			got := strings.ReplaceAll(problems.Lines(), file, "FILE")
			if got != "FILE"+test.want+"\n" {
				t.Errorf("got\n%swant\nFILE%s", got, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}

func TestNotYAML(t *testing.T) {
	for text, want := range map[string]string{
		"a: b: c\n": ":1: not YAML: mapping values are not allowed in this context",
		"listen: [\"127.0.0.1:53\"]\n\tworkers: 1\n":                ":2: not YAML: ",
		"workers: 1\n# fine\nadmin: \"\xff\"\n":                     ":3: not YAML: invalid",
		"workers: 1\nadmin: \"\x01\"\n":                             ":2: not YAML: control characters are not allowed",
		"workers: 1\n---\na: b: c\n":                                ":3: not YAML: mapping",
		"listen: [\"127.0.0.1:53\"]\ncache: {size: 1\nworkers: 1\n": ":",
	} {
		file := write(t, text)
		err := config.Load(file, new(nodecacheShape), nil)
		if err == nil || !strings.HasPrefix(err.Error(), file+want) || !strings.Contains(err.Error(), "not YAML") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestUnreadable(t *testing.T) {
	err := config.Load("/nonexistent/strata.yaml", new(nodecacheShape), nil)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "read config: open /nonexistent/strata.yaml: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

// An empty file, and sections whose keys are all commented out, leave defaults.
func TestDefaultsStay(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "cache:\n  # size: 1MiB\n", "cache: {prefetch: false}\n"} {
		c := nodecacheShape{Cache: cacheShape{Size: 7}}
		if err := config.Load(write(t, text), &c, nil); err != nil || c.Cache.Size != 7 {
			t.Errorf("%q: size %d, error %v", text, c.Cache.Size, err)
		}
	}
}

// A list replaces its default as a whole.
func TestListsReplace(t *testing.T) {
	c := nodecacheShape{Policy: policyShape{Search: []string{"a", "b"}}}
	c.Stubs = []serverGroup{{Names: []string{"a"}, Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}}}
	if err := config.Load(write(t, "policy: {search: [c]}\nstubs: [{names: [d]}]\n"), &c, nil); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Policy.Search, []string{"c"}) || !reflect.DeepEqual(c.Stubs, []serverGroup{{Names: []string{"d"}}}) {
		t.Errorf("got %v and %v", c.Policy.Search, c.Stubs)
	}
}

// Flags go over variables, variables over the file.
func TestOverrides(t *testing.T) {
	t.Setenv("STRATA_CACHE_SIZE", "2MiB")
	t.Setenv("STRATA_CACHE_STALE_FOR", "3h")
	t.Setenv("STRATA_LISTEN", "127.0.0.1:1, [::1]:2")
	t.Setenv("STRATA_ADMIN", "")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags, new(nodecacheShape))
	if err := flags.Parse([]string{"--cache.size", "1MiB", "--cache.prefetch", "--policy.search=a.example,b.example"}); err != nil {
		t.Fatal(err)
	}
	var c nodecacheShape
	if err := config.Load("testdata/nodecache.yaml", &c, flags); err != nil {
		t.Fatal(err)
	}
	wantListen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:2")}
	if c.Cache.Size != 1<<20 || c.Cache.StaleFor != 3*time.Hour || !c.Cache.Prefetch || c.Admin != "" ||
		!reflect.DeepEqual(c.Listen, wantListen) || !reflect.DeepEqual(c.Policy.Search, []string{"a.example", "b.example"}) {
		t.Errorf("got %+v", c)
	}
}

// What is wrong in a variable or a flag is said of it, not of the file.
func TestOverrideProblems(t *testing.T) {
	t.Setenv("STRATA_CACHE_SIZE", "huge")
	err := config.Load("testdata/nodecache.yaml", new(nodecacheShape), nil)
	if err == nil || !strings.HasPrefix(err.Error(), `environment STRATA_CACHE_SIZE: cache.size: found "huge", expected a size`) {
		t.Errorf("got %v", err)
	}
	os.Unsetenv("STRATA_CACHE_SIZE")
	t.Setenv("STRATA_WORKERS", "-2")
	err = config.Load("testdata/nodecache.yaml", new(nodecacheShape), nil)
	if err == nil || err.Error() != "environment STRATA_WORKERS: workers: -2 is too few; 0 means one a CPU" {
		t.Errorf("got %v", err)
	}
	os.Unsetenv("STRATA_WORKERS")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags, new(nodecacheShape))
	if err := flags.Parse([]string{"--cache.size=huge"}); err == nil {
		t.Error("a flag took a wrong size")
	}
	if err := flags.Parse([]string{"--upstreams=10.0.0.1:53,10.0.0.1:53"}); err != nil {
		t.Fatal(err)
	}
	twice := func(report *config.Report) { report.Add("upstreams[1]", "stands in the list twice") }
	err = config.Load("testdata/nodecache.yaml", new(nodecacheShape), flags, twice)
	if err == nil || err.Error() != "flag --upstreams: upstreams[1]: stands in the list twice" {
		t.Errorf("got %v", err)
	}
}

// Keys that a validator reports for parts of its config find their lines.
func TestReportUnder(t *testing.T) {
	file := write(t, "zones:\n- {names: [a]}\n- names: [b]\n  servers: []\n")
	check := func(report *config.Report) {
		report.Under("zones[1]", func(part *config.Report) {
			part.Add("servers", "needs one")
			part.Add("", "is odd")
		})
		report.Add("zones[0].servers[2]", "is far")
		report.Add("cache.size", "is missing")
	}
	err := config.Load(file, new(recursorShape), nil, check)
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	want := "FILE: cache.size: is missing\nFILE:2: zones[0].servers[2]: is far\nFILE:3: zones[1]: is odd\nFILE:4: zones[1].servers: needs one\n"
	if got := strings.ReplaceAll(problems.Lines(), file, "FILE"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// rule may be written as a name alone, or with its parts.
type rule struct {
	Under  string `mapstructure:"under"`
	Answer string `mapstructure:"answer"`
}

func (r *rule) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		return errors.New("none is no rule")
	}
	*r = rule{Under: string(text), Answer: "nodata"}
	return nil
}

// Text and keys may stand beside each other; what may be left out can be told
// from what is zero.
func TestShortForms(t *testing.T) {
	type shape struct {
		config.Base `mapstructure:",squash"`
		Rules       []rule `mapstructure:"rules"`
		On          *bool  `mapstructure:"on"`
		Off         *bool  `mapstructure:"off"`
		Big         uint64 `mapstructure:"big"`
		Small       int8   `mapstructure:"small"`
	}
	var c shape
	text := "rules: [a, {under: b, answer: nxdomain}]\non: false\nlog: {level: debug}\nbig: 18446744073709551615\nsmall: -128\n"
	if err := config.Load(write(t, text), &c, nil); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Rules, []rule{{"a", "nodata"}, {"b", "nxdomain"}}) || c.On == nil || *c.On || c.Off != nil ||
		c.Log.Level != -4 || c.Big != 1<<64-1 || c.Small != -128 {
		t.Errorf("got %+v", c)
	}
	err := config.Load(write(t, "rules: [a,\n none,\n {undr: b}]\nsmall: 128\n"), &c, nil)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 3 || problems[0].Line != 2 || problems[0].Text != "none is no rule" || problems[1].Key != "rules[2].undr" ||
		problems[2].Text != `found "128", expected a whole number from -128 to 127` {
		t.Errorf("got %v", problems)
	}
}

func TestPeek(t *testing.T) {
	file := write(t, "listen: [a, b]\ncontrol: /x\nlog: {level: debug}\nwrong key: {\"}\": 1}\n")
	for key, want := range map[string][]string{
		"listen": {"a", "b"}, "control": {"/x"}, "log.level": {"debug"}, "absent": nil, "log": nil, "control.x": nil,
	} {
		if got, err := config.Peek(file, key); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v", key, got, err)
		}
	}
}
