package policy

import (
	"strings"
	"testing"

	"github.com/spf13/viper"
)

// The keys that people write, read the way the binaries do: no unknown key.
func TestConfigKeys(t *testing.T) {
	const text = `
block_aaaa: [example.com]
block_aaaa_answer: nodata
search: [prd.example.com, stg.example.com]
junk: {under: auto, extra: [corp], keep: [com.prd.example.com]}
transparent: [10.in-addr.arpa]
static: [home.arpa]
refused: [bad.test]
data: ["printer.home.arpa 300 A 10.0.0.9"]
synth:
  - {kind: ip, zone: ip.example.com, ttl: 300, ptr: [172.16.0.0/12]}
  - {kind: site, zone: dc.prd.example.com, to: "{site}.prd.example.com"}
deny: [10.9.0.0/16]
deny_answer: drop
negative_ttl: 60
rate: {per_second: 100, burst: 200, slip: 2, clients: 1024, ipv4: 24, ipv6: 56, exempt: [127.0.0.0/8]}
`
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := v.UnmarshalExact(&c); err != nil {
		t.Fatal(err)
	}
	p := compile(t, c, Env{Site: "dc1"})
	for name, want := range map[string]string{
		"www.google.net.prd.example.com": "NXDOMAIN soa=prd.example.com.",
		"x.com.prd.example.com":          "pass",
		"10.1.2.3.ip.example.com":        "NOERROR 10.1.2.3",
		"x.dc.prd.example.com":           "rewrite x.dc1.prd.example.com.",
		"printer.home.arpa":              "NOERROR 10.0.0.9",
		"a.corp.stg.example.com":         "NXDOMAIN soa=stg.example.com.",
	} {
		v, m := ask(t, p, name, "A", local)
		if got := outcome(v, m); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if l, err := NewLimiter(c.Rate); err != nil || len(l.slots) != 1024 || l.bits.v4 != 24 || l.slip != 2 {
		t.Errorf("limiter: %v, %+v", err, l)
	}
}
