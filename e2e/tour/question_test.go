package main

import (
	"reflect"
	"strings"
	"testing"
)

const printed = `;; status: NXDOMAIN, id: 7, flags: qr rd ra
;; EDNS: version 0, udp 1232

;; question
;none.example.com. IN A

;; answer
alias.example.com.	300	IN	CNAME	none.example.com.

;; authority
example.com.	5	IN	SOA	ns.example.com. hostmaster.example.com. 1 2 3 4 5

;; server: 127.0.0.1:53 (udp), time: 310µs, size: 90 octets
`

func TestParseReply(t *testing.T) {
	got, err := parseReply(printed)
	want := reply{
		rcode:     "NXDOMAIN",
		answer:    []string{"alias.example.com. 300 IN CNAME none.example.com."},
		authority: []string{"example.com. 5 IN SOA ns.example.com. hostmaster.example.com. 1 2 3 4 5"},
		took:      "310µs",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseReply("something else\n"); err == nil {
		t.Error("it takes anything")
	}
}

// Whatever is printed, reading it ends, and what is found in it was in it.
func FuzzParseReply(f *testing.F) {
	f.Add(printed)
	f.Add(";; answer\n;; status: \n;; server: time: ,\n")
	f.Fuzz(func(t *testing.T, out string) {
		r, err := parseReply(out)
		if err != nil {
			return
		}
		if !strings.Contains(out, r.rcode) || !strings.Contains(out, r.took) {
			t.Errorf("%+v of %q", r, out)
		}
		_ = want{rcode: r.rcode, answer: r.answer, authority: "SOA"}.wrong(r) // must not panic
	})
}

// Each wrong reply is told from the right one.
func TestWrong(t *testing.T) {
	w := want{answer: []string{"A 10.0.0.1"}, way: []string{"nodecache (cache)"}}
	right := reply{rcode: "NOERROR", answer: []string{"a. 300 IN A 10.0.0.1"}, way: "nodecache (cache)"}
	if why := w.wrong(right); why != "" {
		t.Errorf("the right reply: %s", why)
	}
	for name, spoil := range map[string]func(*reply){
		"rcode":   func(r *reply) { r.rcode = "SERVFAIL" },
		"data":    func(r *reply) { r.answer = []string{"a. 300 IN A 10.0.0.11"} },
		"no data": func(r *reply) { r.answer = nil },
		"way":     func(r *reply) { r.way = "nodecache ► recursor dc1" },
	} {
		r := right
		if spoil(&r); w.wrong(r) == "" {
			t.Errorf("%s: not told", name)
		}
	}
	denied := want{rcode: "NXDOMAIN", authority: "SOA"}
	soa := reply{rcode: "NXDOMAIN", authority: []string{"a. 5 IN SOA x. y. 1 2 3 4 5"}}
	if why := denied.wrong(soa); why != "" {
		t.Errorf("the right denial: %s", why)
	}
	soa.authority = nil
	if denied.wrong(soa) == "" {
		t.Error("a denial without SOA: not told")
	}
	soa.authority, soa.answer = []string{"a. 5 IN SOA x. y. 1 2 3 4 5"}, []string{"a. 5 IN A 10.0.0.1"}
	if denied.wrong(soa) == "" {
		t.Error("a denial with an answer: not told")
	}
}

// Lines end within the page, commands where they may be pasted from.
func TestWrap(t *testing.T) {
	var b strings.Builder
	p := &page{w: &b}
	p.wrap(blue, "$ "+strings.Repeat("word ", 30)+strings.Repeat("x", 200), ` \`)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 3 || len(lines[0]) > width || !strings.HasSuffix(lines[0], ` \`) || strings.HasSuffix(lines[2], `\`) {
		t.Errorf("got\n%s", b.String())
	}
	if joined := strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\\\n", "")), " "); joined != "$ "+strings.Repeat("word ", 30)+strings.Repeat("x", 200) {
		t.Errorf("joined again: %q", joined)
	}
}
