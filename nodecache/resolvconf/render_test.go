package resolvconf

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var wanted = Wanted{Servers: addrs("127.0.0.1", "10.0.0.1")}

const ownServers = "nameserver 127.0.0.1\nnameserver 10.0.0.1\n"

func TestRender(t *testing.T) {
	for _, c := range []struct{ name, old, want string }{
		{"nothing", "", ownServers + "options timeout:2 attempts:2\n"},
		{"no end of line", "# a", "# a\n" + ownServers + "options timeout:2 attempts:2\n"},
		{"places are kept", "# a\nsearch x.example y.example\n; b\nnameserver 10.9.9.9\nnameserver 10.9.9.8\n\noptions edns0\nsortlist 10.0.0.0\n",
			"# a\ndomain x.example\n; b\n" + ownServers + "\noptions timeout:2 attempts:2 edns0\nsortlist 10.0.0.0\n"},
		{"remarks are kept", "nameserver 10.9.9.9 # old one\nsearch x.example y.example # z\n",
			ownServers + "# nameserver 10.9.9.9 # old one\ndomain x.example\n# search x.example y.example # z\noptions timeout:2 attempts:2\n"},
		{"a domain stays", "domain x.example  # z\nnameserver 10.9.9.9\n", "domain x.example  # z\n" + ownServers + "options timeout:2 attempts:2\n"},
		{"the last one counts", "domain x.example\nsearch y.example z.example\n", "domain y.example\n" + ownServers + "options timeout:2 attempts:2\n"},
		{"no rotate", "options rotate\noptions rotate ndots:2\n", "options timeout:2 attempts:2\noptions ndots:2\n" + ownServers},
		{"times of the file", "options timeout:1 attempts:3\n", "options timeout:1 attempts:3\n" + ownServers},
		{"one time of the file", "options ndots:2\noptions timeout:1", "options attempts:2 ndots:2\noptions timeout:1\n" + ownServers},
		{"what no C library heeds", " nameserver 10.9.9.9\nlookup file bind\n", " nameserver 10.9.9.9\nlookup file bind\n" + ownServers + "options timeout:2 attempts:2\n"},
	} {
		if got := string(wanted.render([]byte(c.old))); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	keep := Wanted{Servers: wanted.Servers, KeepSearch: true}
	if got := string(keep.render([]byte("search x.example y.example\n"))); got != "search x.example y.example\n"+ownServers+"options timeout:2 attempts:2\n" {
		t.Errorf("kept: %q", got)
	}
}

// files are made of lines that matter and of anything.
var files = rapid.Custom(func(t *rapid.T) []byte {
	lines := rapid.SliceOf(rapid.OneOf(
		rapid.SampledFrom([]string{
			"nameserver 10.9.9.9\n", "nameserver 10.9.9.8 # x\n", "nameserver x\n", "search a.example b.example\n", "search a.example ; c", "domain a.example\n",
			"options ndots:5 rotate\n", "options timeout:1\n", "options attempts:3 #x\n", "# a\n", "; b\n", "\n", "domain \n", "options \t\n", "sortlist 10.0.0.0\n", "search .\n",
		}),
		rapid.StringN(0, 20, 40),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	)).Draw(t, "lines")
	return []byte(strings.Join(lines, ""))
})

// Whatever was there: the new file means what is wanted, says all that is not ours
// to change, and making it anew of itself changes nothing.
func TestRenderHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, w := files.Draw(t, "old"), Wanted{Servers: wanted.Servers, KeepSearch: rapid.Bool().Draw(t, "keep")}
		out := w.render(old)
		was, is := Parse(old), Parse(out)
		var r Report
		r.servers(&is, &w)
		r.search(&is, &w)
		r.options(&is)
		if len(r.Wrong) > 0 {
			t.Fatalf("%q: %q", out, r.Wrong)
		}
		if is.NDots != was.NDots || w.KeepSearch && !slices.Equal(is.Search, was.Search) || len(was.Search) > 0 && is.Search[0] != was.Search[0] ||
			was.has("timeout:") && is.Timeout != was.Timeout || was.has("attempts:") && is.Attempts != was.Attempts {
			t.Fatalf("%+v became %+v", was, is)
		}
		for _, l := range split(old) {
			word, _ := l.keyword()
			text := bytes.TrimRight(l, "\n")
			if (word == "" || l[0] == '#' || word == nameserver && bytes.ContainsAny(l, "#;")) && !bytes.Contains(out, text) {
				t.Fatalf("%q is lost", l)
			}
		}
		if again := w.render(out); !bytes.Equal(again, out) {
			t.Fatalf("%q became %q", out, again)
		}
	})
}
