package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

// outcomeOf loads a text as the zone test. and gives all that can be seen of it,
// of an error the place: the parser's words differ with what it is given.
func outcomeOf(t testing.TB, text string) string {
	t.Helper()
	table := newTable(t)
	defer table.Close()
	addZone(t, table, "test")
	got, err := table.Load(wire.MustName("test"), strings.NewReader(text), "z", 1)
	if err != nil {
		where, _, _ := strings.Cut(err.Error(), ": ")
		return "error at " + where
	}
	var lines []string
	table.Each(func(rec *Record) bool {
		lines = append(lines, fmt.Sprintf("%s %d %s %x", wire.NameString(rec.Name), rec.TTL, dns.Type(rec.Type), rec.Data))
		return true
	})
	slices.Sort(lines)
	return fmt.Sprintf("%d records, serial %d\n%s\n%s", got.Records, got.Serial, strings.Join(got.Warnings, "\n"), strings.Join(lines, "\n"))
}

// same loads a text as it is and so that the parser reads all of it: a directive
// in lower case leaves everything to it.
func same(t testing.TB, text string) (plainly, parsed string) {
	t.Helper()
	return outcomeOf(t, "\n"+text), outcomeOf(t, "$origin test.\n"+text)
}

const plainHead = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n"

// Plain lines among others, and others that look plain.
func TestPlainLines(t *testing.T) {
	for _, text := range []string{
		"a A 10.0.0.1\nb A 10.0.0.2\n  A 10.0.0.3\n",
		"a A 10.0.0.1\n  TXT x\n  AAAA 2001:db8::1\nb TXT y\n  A 10.0.0.2\n",
		"a A 10.0.0.1\n; comment\n\n   \n \t ; comment\n\tTXT x\n",
		"a A 10.0.0.1\n(\n) TXT x\nb A 10.0.0.2\n",
		"a A 10.0.0.1\n ( TXT\n x\n)\n A 10.0.0.2\n",
		"a A 10.0.0.1\n( TXT x )\n A 10.0.0.2\n",
		"a TXT \"x\nb A 10.0.0.1\n\"\nc A 10.0.0.2\n",
		"a TXT ( x\nb A 10.0.0.1\n)\nc A 10.0.0.2\n",
		"a TXT x\\\nb A 10.0.0.1\n",
		"a TXT \\\"\nb A 10.0.0.1\nc TXT \\(\nd A 10.0.0.2\n",
		"a TXT x ; \" ( \\\nb A 10.0.0.1\n",
		"a A 10.0.0.1\r\nb A 10.0.0.2\r\n A 10.0.0.3\r\n\r\n  \r\n",
		"a A 10.0.0.1\n\r\n\r A 10.0.0.2\n",
		"a 30 IN A 10.0.0.1\nb IN 30 A 10.0.0.2\nc IN A 10.0.0.3\nd 30 A 10.0.0.4\ne 30 30 A 10.0.0.5\n",
		"a 1h A 10.0.0.1\nb A 10.0.0.2\n",
		"$TTL 1h\na A 10.0.0.1\n$TTL 2\nb A 10.0.0.1\n$TTL 1h30m\nc A 10.0.0.1\n",
		"a A 10.0.0.1\na 30 A 10.0.0.2\na A 10.0.0.3\n",
		"A A 10.0.0.1\na.TEST. A 10.0.0.2\n",
		"$ORIGIN Sub.Test.\na CNAME b\nc CNAME D.e.Test.\n$ORIGIN x\na PTR @\n@ A 10.0.0.1\n$ORIGIN test. ; back\nz NS a\n",
		"$ORIGIN .\na.test A 10.0.0.1\nb A 10.0.0.1\n",
		"a A 10.0.0.1\n$ORIGIN x.test.\n TXT y\n",
		"a A 10.0.0.1\n$GENERATE 1-2 g$ A 10.0.1.$\n TXT y\n",
		"a A 10.0.0.1\n$INCLUDE /nonexistent\nb A 10.0.0.1\n",
		"$TTL 10 20\na A 10.0.0.1\n",
		"$TTL\na A 10.0.0.1\n",
		"a A 10.0.0.1\n$ttl 30\n TXT x\nb A 10.0.0.2\n",
		"a A 10.0.0.1\nb A 10.0.0\nc A 10.0.0.2\n",
		"a A 10.0.0.1\nb A 10.0.0.01\n",
		"a A 10.0.0.256\n",
		"a A 10.0.0.1 10.0.0.2\n",
		"a A\n",
		"a AAAA 10.0.0.1\na2 AAAA ::ffff:10.0.0.1\na3 AAAA fe80::1%lo\n",
		"a AAAA ::ffff:a00:1\nb AAAA 2001:db8::\n",
		"a CNAME b\na A 10.0.0.1\n",
		"a A 10.0.0.1\na CNAME b\n",
		"a CNAME b\na CNAME c\n",
		"a..b A 10.0.0.1\n",
		".a A 10.0.0.1\n",
		strings.Repeat("a", 64) + " A 10.0.0.1\n",
		strings.Repeat("a.", 124) + " A 10.0.0.1\n",
		strings.Repeat("a.", 127) + " A 10.0.0.1\n",
		"* A 10.0.0.1\n*.a A 10.0.0.1\n_x A 10.0.0.1\n",
		"a\\046b A 10.0.0.1\n",
		"elsewhere. A 10.0.0.1\n TXT x\n",
		"a CH A 10.0.0.1\n",
		"a 4000000000 A 10.0.0.1\n",
		"a a 10.0.0.1\nb in a 10.0.0.2\n",
		"a TYPE1 10.0.0.1\nb A \\# 4 0a000001\n",
		"  A 10.0.0.1\n",
		"a A 10.0.0.1",
		"a A 10.0.0.1\n TXT x",
		"a A 10.0.0.1\n   ",
		"a A 10.0.0.1\n" + strings.Repeat(" ", 70000) + "TXT x\nb A 10.0.0.2\n",
		"a TXT " + strings.Repeat("\"x\" ", 20000) + "\nb A 10.0.0.2\n",
		"a A 10.0.0.1 ; x\nb\tIN\tA\t10.0.0.2\t\n",
		"a A 10.0.0.1\n)\nb A 10.0.0.2\n",
	} {
		for _, head := range []string{plainHead, "@ 60 SOA ns h 1 2 3 4 5\n"} {
			if got, want := same(t, head+text); got != want {
				t.Errorf("%.200q:\n%.400s\nthe parser:\n%.400s", head+text, got, want)
			}
		}
	}
}

// pieces of lines, put together at random.
var pieces = []string{
	"a", "b", "B.test.", "*", "@", "c.d", "elsewhere.", " ", " ", " ", "\t", "\n", "\n", "\n",
	"60", "IN", "CH", "A", "AAAA", "NS", "CNAME", "TXT", "PTR", "10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.300",
	" A 10.0.0.1\n", " A 10.0.0.2\n", "a A 10.0.0.3\n", "b 30 IN A 10.0.0.4\n", "c TXT ", "ns", "x.",
	"(", ")", "\"", ";", "\\", "\r", "\r\n", "$TTL 30\n", "$ORIGIN a\n", "$ORIGIN test.\n", "$GENERATE 1-2 g$ A 10.0.1.$\n", "$x",
}

func TestPlainLinesAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := plainHead + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(rt, "text"), "")
		if got, want := same(t, text); got != want {
			rt.Fatalf("%q:\n%s\nthe parser:\n%s", text, got, want)
		}
	})
}

func FuzzPlainLines(f *testing.F) {
	f.Add("a A 10.0.0.1\n TXT x\n")
	f.Add("a A 10.0.0.1\n( TXT x )\n$ORIGIN b\n@ NS c\n")
	f.Add("a TXT \"\n\"\nb A 10.0.0.1\n")
	f.Fuzz(func(t *testing.T, text string) {
		// Included files are this machine's; $GENERATE may make 65,535 records a line.
		if upper := strings.ToUpper(text); strings.Contains(upper, "$INCLUDE") || strings.Contains(upper, "$GENERATE") {
			return
		}
		if got, want := same(t, plainHead+text); got != want {
			t.Fatalf("%q:\n%s\nthe parser:\n%s", text, got, want)
		}
	})
}
