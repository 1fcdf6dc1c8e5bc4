package probe

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Check{
		"tcp:80":             {TCP, 80, ""},
		"udp:53":             {UDP, 53, ""},
		"icmp":               {ICMP, 0, ""},
		"http:8080":          {HTTP, 8080, "/"},
		"http:8080/":         {HTTP, 8080, "/"},
		"http:65535/a/b?c=d": {HTTP, 65535, "/a/b?c=d"},
		"http:1/a%20b":       {HTTP, 1, "/a%20b"},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if back, err := Parse(got.String()); err != nil || back != want {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{
		"", "none", "tcp", "tcp:", "tcp:0", "tcp:080", "tcp:+80", "tcp:65536", "tcp:80/x", "tcp:http", "udp:-1", "TCP:80", "tcp: 80", "icmp:1",
		"http:/x", "http:80/a b", "http:80/\r\nHost: x", "http:80/é", "http:80/a#b", "http:80/%zz", "https:443/", "http:80/" + strings.Repeat("x", MaxCheck),
	} {
		if got, err := Parse(text); !errors.Is(err, ErrCheck) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// FuzzParse: whatever is taken is written as something that reads the same, and
// never breaks out of a request line.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"tcp:80", "udp:53", "icmp", "http:8080/healthz?x=y", "http:80/%zz", "tcp:99999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrCheck) {
				t.Fatal(err)
			}
			return
		}
		if strings.ContainsAny(c.Path, " \r\n") || (c.Kind == ICMP) != (c.Port == 0) {
			t.Fatalf("%q: %+v", text, c)
		}
		if back, err := Parse(c.String()); err != nil || back != c {
			t.Fatalf("%q is %+v, written %q is %+v, %v", text, c, c, back, err)
		}
	})
}
