package upstream

import (
	"net/netip"
	"strings"
	"testing"
)

func TestServersAsText(t *testing.T) {
	four, six := netip.MustParseAddr("10.1.1.120"), netip.MustParseAddr("2001:db8::1")
	for text, want := range map[string]Server{
		"10.1.1.120:53":                   {Addr: netip.AddrPortFrom(four, 53)},
		"[2001:db8::1]:5353":              {Addr: netip.AddrPortFrom(six, 5353)},
		"udp://10.1.1.120":                {Addr: netip.AddrPortFrom(four, 53)},
		"tcp://10.1.1.120":                {Addr: netip.AddrPortFrom(four, 53), Transport: TCP},
		"tcp://[2001:db8::1]":             {Addr: netip.AddrPortFrom(six, 53), Transport: TCP},
		"tls://10.1.1.120#dns.example":    {Addr: netip.AddrPortFrom(four, 853), Transport: TLS, TLSName: "dns.example"},
		"tls://10.1.1.120:443#a.b":        {Addr: netip.AddrPortFrom(four, 443), Transport: TLS, TLSName: "a.b"},
		"tls://2001:db8::1#dns.example":   {Addr: netip.AddrPortFrom(six, 853), Transport: TLS, TLSName: "dns.example"},
		"tls://[2001:db8::1]:853#example": {Addr: netip.AddrPortFrom(six, 853), Transport: TLS, TLSName: "example"},
	} {
		var got Server
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		again, err := ParseServer(got.Text())
		if err != nil || again != want {
			t.Errorf("%s is written %s, which is read as %+v, %v", text, got.Text(), again, err)
		}
	}
}

func TestServersThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.1.120":               "expected an address with port",
		"":                         "expected an address with port",
		"dns.example:53":           "expected an address with port",
		"https://10.1.1.120":       "expected udp://, tcp:// or tls://",
		"tcp://dns.example":        "expected an address behind tcp://, such as 10.0.0.1 or [2001:db8::1]:53",
		"tls://dns.example#x":      "expected an address behind tls://, such as 10.0.0.1 or [2001:db8::1]:853",
		"tls://10.1.1.120":         "expected the name of the server's certificate",
		"tls://10.1.1.120#":        "expected the name of the server's certificate",
		"tcp://10.1.1.120#dns.net": "only tls:// has a name",
		"tcp://10.1.1.120:99999":   "expected an address behind tcp://",
	} {
		if s, err := ParseServer(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v, %v, want %q", text, s, err, want)
		}
	}
}
