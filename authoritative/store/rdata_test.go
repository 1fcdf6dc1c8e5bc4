package store

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// The short ways and miekg/dns agree.
func TestRdataShortWays(t *testing.T) {
	for _, tc := range []struct {
		typ  uint16
		text string
	}{
		{dns.TypeA, "10.0.0.1"}, {dns.TypeA, "010.0.0.1"}, {dns.TypeA, "::1"}, {dns.TypeAAAA, "::ffff:1.2.3.4"}, {dns.TypeAAAA, "1::2"},
		{dns.TypeNS, "a.b-c._d.*"}, {dns.TypePTR, "a.b."}, {dns.TypeCNAME, "."}, {dns.TypeCNAME, "A.b."}, {dns.TypeCNAME, `a\.b.`},
		{dns.TypeCNAME, "a..b."}, {dns.TypeCNAME, ".a."}, {dns.TypeCNAME, "a.."}, {dns.TypeCNAME, ".."}, {dns.TypePTR, strings.Repeat("a", 64)},
		{dns.TypePTR, strings.Repeat("a.", 127)}, {dns.TypeCNAME, "a b"}, {dns.TypeCNAME, "a;b"},
		{dns.TypeSRV, "0 100 80 a.b."}, {dns.TypeSRV, "00 65535 7 _a.b"}, {dns.TypeSRV, "0 65536 80 a."}, {dns.TypeSRV, "0  1 80 a."}, {dns.TypeSRV, "0 1 80 ."},
		{dns.TypeSRV, "0 1 80"}, {dns.TypeSRV, "0 1 80 "}, {dns.TypeSRV, "0 1 80 a. b."}, {dns.TypeSRV, "0 -1 80 a."}, {dns.TypeSRV, "0 1 80 a..b."}, {dns.TypeSRV, `0 1 80 a\.b.`},
	} {
		short, err := appendRdata(nil, tc.typ, tc.text)
		long, longErr := parseText(tc.typ, tc.text)
		if !bytes.Equal(short, long) || (err == nil) != (longErr == nil) {
			t.Errorf("%s %q is %x, %v, and %x, %v", TypeString(tc.typ), tc.text, short, err, long, longErr)
		}
		if longErr != nil {
			continue
		}
		own, _ := ownText(tc.typ, long)
		if text, ok := shortText(tc.typ, long); ok && text != own {
			t.Errorf("%s %x is written %q, and %q", TypeString(tc.typ), long, text, own)
		}
	}
}

// The texts that there are millions of go the short ways.
func TestRdataShort(t *testing.T) {
	for typ, text := range map[uint16]string{dns.TypePTR: "a.b-c._d.*.", dns.TypeSRV: "0 100 65535 a.b."} {
		rdata, err := appendRdata(nil, typ, text)
		if err != nil {
			t.Fatal(err)
		}
		if short, ok := shortText(typ, rdata); !ok || short != text {
			t.Errorf("%q is %q, %v", text, short, ok)
		}
		for cut := range rdata {
			if short, ok := shortText(typ, rdata[:cut]); ok {
				t.Errorf("%x is %q", rdata[:cut], short)
			}
		}
	}
	if b, ok := appendShortSRV([]byte("x"), "1 2 3 a.b"); !ok || string(b) != "x\x00\x01\x00\x02\x00\x03\x01a\x01b\x00" {
		t.Errorf("%q, %v", b, ok)
	}
	if b, ok := appendShortSRV([]byte("x"), "1 2 3 a..b"); ok || string(b) != "x" {
		t.Errorf("%q, %v", b, ok)
	}
}

// FuzzRdata: data that can be read can be written out, and that reads the same.
func FuzzRdata(f *testing.F) {
	for typ, text := range map[uint16]string{
		dns.TypeA: "10.0.0.1", dns.TypeAAAA: "2001:db8::1", dns.TypeCNAME: `a\.b.\000c.`, dns.TypeMX: "10 mail",
		dns.TypeTXT: `"a b" c\"\200`, dns.TypeSRV: "0 5 443 a.b.", dns.TypeSOA: "ns. root. 1 2 3 4 5", dns.TypeCAA: `0 issue "ca.example"`,
		dns.TypeNAPTR: `1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .`, dns.TypeTLSA: "3 1 1 abcdef", dns.TypeSSHFP: "1 1 abcdef",
		dns.TypeDS: "1 8 2 abcdef", dns.TypeNSEC: "a. A NSEC", dns.TypeSVCB: `1 . alpn="h2,h3" port=443`, dns.TypeHTTPS: "0 a.",
		dns.TypeLOC: "1 2 3.4 N 5 6 7.8 E 9m", dns.TypeAPL: "1:10.0.0.0/8", dns.TypeURI: `1 2 "http://a/"`, dns.TypeDNSKEY: "256 3 8 AQID",
		65280: `\# 3 abcdef`,
	} {
		f.Add(typ, text)
	}
	f.Fuzz(func(t *testing.T, typ uint16, text string) {
		if !storable(typ) {
			return
		}
		rdata, err := appendRdata(nil, typ, text)
		if err != nil {
			return
		}
		out, err := rdataText(typ, rdata)
		if err != nil {
			t.Fatalf("%s %q is %x: %v", TypeString(typ), text, rdata, err)
		}
		if back, err := appendRdata(nil, typ, out); err != nil || !bytes.Equal(back, rdata) {
			t.Fatalf("%s %q is %x, written %q is %x, %v", TypeString(typ), text, rdata, out, back, err)
		}
	})
}
