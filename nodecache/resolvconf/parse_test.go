package resolvconf

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func addrs(texts ...string) (all []netip.Addr) {
	for _, t := range texts {
		all = append(all, netip.MustParseAddr(t))
	}
	return all
}

// As glibc's resolv/res_init.c reads it.
func TestParse(t *testing.T) {
	defaults := Settings{NDots: 1, Timeout: 5, Attempts: 2}
	with := func(change func(*Settings)) Settings {
		s := defaults
		change(&s)
		return s
	}
	for _, c := range []struct {
		name, file string
		want       Settings
	}{
		{"nothing", "", defaults},
		{"comments", "# nameserver 10.0.0.1\n; search a.example\n", defaults},
		{"a blank before the keyword", " nameserver 10.0.0.1\n", defaults},
		{"no blank behind it", "nameserver\nsearch\ndomain\noptions\nnameservers 10.0.0.1\n", defaults},
		{"servers", "nameserver 10.0.0.1\nnameserver\t 10.0.0.2 and more\nnameserver 2001:db8::1", with(func(s *Settings) {
			s.Servers = addrs("10.0.0.1", "10.0.0.2", "2001:db8::1")
		})},
		{"a scope", "nameserver fe80::1%eth0\n", with(func(s *Settings) { s.Servers = addrs("fe80::1%eth0") })},
		{"addresses as in C", "nameserver 127.1\nnameserver 010.0.0.1\nnameserver 0x7f.0.0.1\nnameserver 2130706433\n", with(func(s *Settings) {
			s.Servers = addrs("127.0.0.1", "8.0.0.1", "127.0.0.1", "127.0.0.1")
		})},
		{"no addresses", "nameserver a.example\nnameserver 10.0.0.256\nnameserver 1.2.3.4.5\nnameserver 10.0.0.1\r\nnameserver 10.0.0.1#53\nnameserver 09.1.1.1\nnameserver\t\n", defaults},
		{"a NUL ends the line", "nameserver 10.0.0.1\x00x\nsearch a.example\x00 b.example\n", with(func(s *Settings) {
			s.Servers, s.Search = addrs("10.0.0.1"), []string{"a.example"}
		})},
		{"the last of both wins", "domain a.example\nsearch b.example c.example\n", with(func(s *Settings) { s.Search = []string{"b.example", "c.example"} })},
		{"and the other way", "search b.example c.example\ndomain a.example d.example\nsearch \n", with(func(s *Settings) {
			s.Search, s.Domain = []string{"a.example"}, true
		})},
		{"options add up", "options ndots:2 timeout:3\noptions ndots:4 rotate edns0\n", with(func(s *Settings) {
			s.NDots, s.Timeout, s.Rotate, s.Options = 4, 3, true, []string{"ndots:2", "timeout:3", "ndots:4", "rotate", "edns0"}
		})},
		{"caps", "options ndots:99 timeout:99 attempts:99\n", with(func(s *Settings) {
			s.NDots, s.Timeout, s.Attempts, s.Options = 15, 30, 5, []string{"ndots:99", "timeout:99", "attempts:99"}
		})},
		{"a number with more behind it", "options ndots:2x attempts:\n", with(func(s *Settings) {
			s.NDots, s.Attempts, s.Options = 2, 0, []string{"ndots:2x", "attempts:"}
		})},
		{"a number behind a blank", "options timeout: 3 ndots:\t4\n", with(func(s *Settings) {
			s.Timeout, s.NDots, s.Options = 3, 4, []string{"timeout:", "3", "ndots:", "4"}
		})},
		{"a negative number of dots", "options ndots:-1\n", with(func(s *Settings) { s.NDots, s.Options = 15, []string{"ndots:-1"} })},
		{"long lines", "search " + strings.Repeat("a.example ", 400) + "\n", with(func(s *Settings) {
			s.Search = slices.Repeat([]string{"a.example"}, 400)
		})},
	} {
		got := Parse([]byte(c.file))
		if !slices.Equal(got.Servers, c.want.Servers) || !slices.Equal(got.Search, c.want.Search) || !slices.Equal(got.Options, c.want.Options) ||
			got.Domain != c.want.Domain || got.NDots != c.want.NDots || got.Timeout != c.want.Timeout || got.Attempts != c.want.Attempts || got.Rotate != c.want.Rotate {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestWant(t *testing.T) {
	ports := func(texts ...string) (all []netip.AddrPort) {
		for _, t := range texts {
			all = append(all, netip.MustParseAddrPort(t))
		}
		return all
	}
	for _, c := range []struct {
		listen, recursors []netip.AddrPort
		want              []netip.Addr
		warnings          []string
	}{
		{ports("127.0.0.1:53"), ports("10.0.0.1:53", "10.0.0.2:53"), addrs("127.0.0.1", "10.0.0.1", "10.0.0.2"), nil},
		{ports("0.0.0.0:53"), ports("10.0.0.1:53"), addrs("127.0.0.1", "10.0.0.1"), nil},
		{ports("[::]:53"), ports("[2001:db8::1]:53"), addrs("::1", "2001:db8::1"), nil},
		{ports("169.254.20.10:53", "127.0.0.1:5353", "[::1]:53"), ports("10.0.0.1:53"), addrs("::1", "10.0.0.1"), nil},
		{ports("169.254.20.10:53"), ports("10.0.0.1:53"), addrs("169.254.20.10", "10.0.0.1"), nil},
		{ports("127.0.0.1:53"), ports("10.0.0.1:5301", "10.0.0.2:53"), addrs("127.0.0.1", "10.0.0.2"), []string{"10.0.0.1:5301 is no fall-back"}},
		{ports("127.0.0.1:53"), ports("10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"), addrs("127.0.0.1", "10.0.0.1", "10.0.0.2"), []string{"10.0.0.3 is left out"}},
		{ports("127.0.0.1:53"), ports("10.0.0.1:5301"), addrs("127.0.0.1"), []string{"no fall-back", "while nodecache is away"}},
		{ports("127.0.0.1:5353"), ports("10.0.0.1:53"), nil, nil},
	} {
		w, warnings, err := Want(c.listen, c.recursors)
		if !slices.Equal(w.Servers, c.want) || len(warnings) != len(c.warnings) || (err != nil) != (c.want == nil) {
			t.Errorf("%v %v: %v %v %v", c.listen, c.recursors, w, warnings, err)
			continue
		}
		for i := range warnings {
			if !strings.Contains(warnings[i], c.warnings[i]) {
				t.Errorf("%q, want %q", warnings[i], c.warnings[i])
			}
		}
	}
}
