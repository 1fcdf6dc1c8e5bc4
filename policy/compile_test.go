package policy

import (
	"errors"
	"strings"
	"testing"
)

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name string
		c    Config
		env  Env
		want string
	}{
		{"kind", Config{Synth: []Synth{{Kind: "ip", Zone: "ip.test"}, {Kind: "foo", Zone: "x.test"}}}, Env{},
			`policy.synth[1].kind: unknown kind "foo"; known: ip, site`},
		{"no zone", Config{Synth: []Synth{{Kind: "ip"}}}, Env{}, "policy.synth[0].zone: no name given"},
		{"long zone", Config{Synth: []Synth{{Kind: "ip", Zone: strings.Repeat(strings.Repeat("l", 60)+".", 4)}}}, Env{}, "policy.synth[0].zone: no room for addresses in front of "},
		{"ptr", Config{Synth: []Synth{{Kind: "ip", Zone: "ip.test", PTR: []string{"10.0.0.0/8", "10.0.0.1/8"}}}}, Env{},
			"policy.synth[0].ptr[1]: 10.0.0.1/8 has bits behind its length; 10.0.0.0/8 is meant?"},
		{"ptr twice", Config{Synth: []Synth{{Kind: "ip", Zone: "ip.test", PTR: []string{"10.0.0.0/8", "10.0.0.0/8"}}}}, Env{},
			"policy.synth[0].ptr[1]: 10.in-addr.arpa. is synth-ptr already by policy.synth[0].ptr[0]"},
		{"ptr for site", Config{Synth: []Synth{{Kind: "site", Zone: "dc.test", To: "a.test", PTR: []string{"10.0.0.0/8"}}}}, Env{},
			"policy.synth[0].ptr: has no meaning for kind site"},
		{"to for ip", Config{Synth: []Synth{{Kind: "ip", Zone: "ip.test", To: "a.test"}}}, Env{}, "policy.synth[0].to: has no meaning for kind ip"},
		{"no site", Config{Synth: []Synth{{Kind: "site", Zone: "dc.test", To: "{site}.test"}}}, Env{},
			"policy.synth[0].to: {site} stands for this process's site, which is not set"},
		{"braces", Config{Synth: []Synth{{Kind: "site", Zone: "dc.test", To: "{sit}.test"}}}, Env{Site: "dc1"},
			`policy.synth[0].to: "{sit}.test": what stands in braces is unknown; known: {site}`},
		{"no to", Config{Synth: []Synth{{Kind: "site", Zone: "dc.test"}}}, Env{Site: "dc1"}, "policy.synth[0].to: no name given"},
		{"itself", Config{Synth: []Synth{{Kind: "site", Zone: "dc.test", To: "{site}.test"}}}, Env{Site: "DC"},
			"policy.synth[0].to: dc.test. lies within the zone itself"},
		{"ttl", Config{Synth: []Synth{{Kind: "ip", Zone: "ip.test", TTL: 1 << 31}}}, Env{}, "policy.synth[0].ttl: 2147483648 is more than 2147483647 seconds"},
		{"negative", Config{NegativeTTL: 1 << 31}, Env{}, "policy.negative_ttl: 2147483648 is more than"},
		{"two zones", Config{Transparent: []string{"a.test"}, Refused: []string{"b.test", "A.test."}}, Env{},
			"policy.refused[1]: a.test. is transparent already by policy.transparent[0]"},
		{"empty", Config{BlockAAAA: []string{"example.com", ""}}, Env{}, "policy.block_aaaa[1]: no name given"},
		{"asterisk", Config{BlockAAAA: []string{"*.example.com"}}, Env{}, `policy.block_aaaa[0]: "*.example.com": a rule holds for all below its name`},
		{"wildcard", Config{Data: []string{"*.a.test A 10.0.0.1"}}, Env{}, `policy.data[0]: "*.a.test A 10.0.0.1": wildcards are for authoritative servers`},
		{"label", Config{BlockAAAA: []string{"a..b"}}, Env{}, `policy.block_aaaa[0]: name "a..b": empty label`},
		{"aaaa answer", Config{BlockAAAAAnswer: "drop"}, Env{}, `policy.block_aaaa_answer: unknown answer "drop"; known: nodata, nxdomain`},
		{"search root", Config{Search: []string{"."}}, Env{}, "policy.search[0]: the root is no search domain"},
		{"under", Config{Search: []string{"a.test"}, Junk: Junk{Under: "b.test"}}, Env{}, "policy.junk.under: b.test. is not in policy.search"},
		{"extra", Config{Junk: Junk{Extra: []string{"a.b"}}}, Env{}, "policy.junk.extra[0]: a.b. is not one label"},
		{"keep", Config{Junk: Junk{Keep: []string{strings.Repeat("l", 64)}}}, Env{}, "policy.junk.keep[0]: name"},
		{"deny", Config{Deny: []string{"10.0.0.0/33"}}, Env{}, `policy.deny[0]: found "10.0.0.0/33", expected a network or an address, such as 10.0.0.0/8`},
		{"no address", Config{}, Env{Allow: []string{"lan"}}, `allow[0]: found "lan", expected a network or an address`},
		{"deny answer", Config{DenyAnswer: "nxdomain"}, Env{}, `policy.deny_answer: unknown answer "nxdomain"; known: refuse, drop`},
		{"allow", Config{}, Env{Allow: []string{"::ffff:10.0.0.0/104"}}, "allow[0]: ::ffff:10.0.0.0/104: write IPv4 prefixes as IPv4"},
		{"both", Config{Deny: []string{"10.0.0.1"}}, Env{Allow: []string{"10.0.0.1/32"}}, "allow[0]: 10.0.0.1/32 is in policy.deny[0] already"},
		{"record", Config{Data: []string{"a.test A"}}, Env{}, "policy.data[0]: "},
		{"no name", Config{Data: []string{"A"}}, Env{}, `policy.data[0]: "A" has no name`},
		{"no record", Config{Data: []string{"; nothing"}}, Env{}, "policy.data[0]: no record given"},
		{"two records", Config{Data: []string{"a.test A 10.0.0.1\nb.test A 10.0.0.2"}}, Env{}, "is not one record"},
		{"class", Config{Data: []string{"a.test CH A 10.0.0.1"}}, Env{}, "class is not IN"},
		{"cname", Config{Data: []string{"a.test A 10.0.0.1", "a.test CNAME b.test."}}, Env{}, "policy.data[1]: a.test. has other data"},
		{"cnames", Config{Data: []string{"a.test CNAME b.test.", "a.test CNAME c.test."}}, Env{}, "policy.data[1]: a.test. has other data"},
		{"rate", Config{Rate: Rate{PerSecond: -1, Slip: 2000}}, Env{}, "policy.rate.slip: 2000 is not within 0 and 1000"},
		{"exempt", Config{Rate: Rate{Exempt: []string{"x"}}}, Env{}, "policy.rate.exempt[0]: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Compile(c.c, c.env)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// All that is wrong is said at once.
func TestProblemsAreJoined(t *testing.T) {
	_, err := Compile(Config{BlockAAAA: []string{""}, Deny: []string{"x"}, Synth: []Synth{{Kind: "x", Zone: "a"}}}, Env{})
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("%d problems: %v", len(problems), err)
	}
	for i, want := range []string{"policy.deny[0]", "policy.synth[0].kind", "policy.block_aaaa[0]"} {
		if problems[i].Key != want {
			t.Errorf("key %s, want %s", problems[i].Key, want)
		}
	}
}

func TestJunkUnder(t *testing.T) {
	c := Config{Search: []string{"a.test", "b.test"}}
	for _, row := range []struct {
		under string
		a, b  Action
	}{
		{"", Answer, Answer},
		{"auto", Answer, Answer},
		{"off", Pass, Pass},
		{"b.test", Pass, Answer},
		{"b.test A.test.", Answer, Answer},
	} {
		c.Junk.Under = row.under
		p := compile(t, c, Env{})
		va, _ := ask(t, p, "x.com.a.test", "A", local)
		vb, _ := ask(t, p, "x.com.b.test", "A", local)
		if va.Action != row.a || vb.Action != row.b {
			t.Errorf("%v: %v, %v", row.under, va.Action, vb.Action)
		}
	}
}

// A name of the same rule twice is one rule.
func TestRepeatedNames(t *testing.T) {
	p := compile(t, Config{BlockAAAA: []string{"a.test", "A.TEST."}, Search: []string{"b.test", "b.test"}, Data: []string{"c.test A 10.0.0.1", "c.test A 10.0.0.1"}}, Env{})
	if len(p.rules) != 4 {
		t.Errorf("%d rules: %v", len(p.rules)-1, p.rules)
	}
	if _, m := ask(t, p, "c.test", "A", local); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
}
