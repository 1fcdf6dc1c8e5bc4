package zone

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestFerret runs zone-file tests in the form of the FerretDataset (Kakarla et
// al., SCALE, NSDI 2022): a zone, a question, and what four name servers answered.
// An answer is right if it is any of theirs.
func TestFerret(t *testing.T) {
	path := os.Getenv("STRATA_FERRET")
	if path == "" {
		t.Skip("STRATA_FERRET does not name a data set")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<24)
	n, bad := 0, 0
	for sc.Scan() {
		var c ferretCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		if msg := c.run(t); msg != "" {
			bad++
			if bad <= 20 {
				t.Errorf("case %d: %s", c.ID, msg)
			}
		}
	}
	if n == 0 {
		t.Fatalf("%s holds no case", path)
	}
	t.Logf("%d cases, %d wrong", n, bad)
}

type ferretCase struct {
	ID           int
	Zone         string
	Qname, Qtype string
	Unanimous    bool
	Groups       []struct {
		Servers  []string
		Response []string
	}
}

func (c *ferretCase) run(t *testing.T) string {
	table := newTable(t)
	defer table.Close()
	apex, err := firstSOA(c.Zone)
	if err != nil {
		return err.Error()
	}
	if err := table.Update(func(tx *Tx) error { return tx.AddZone(apex) }); err != nil {
		return err.Error()
	}
	if _, err := table.Load(apex, strings.NewReader(c.Zone), "zone", 0); err != nil {
		return fmt.Sprintf("load: %v\n%s", err, c.Zone)
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(c.Qname), dns.StringToType[c.Qtype])
	got := ferretForm(ask(t, table, m))
	var want []string
	for _, g := range c.Groups {
		w := ferretWant(g.Response, wire.NameString(apex))
		if w == got {
			return ""
		}
		want = append(want, fmt.Sprintf("%v: %s", g.Servers, w))
	}
	return fmt.Sprintf("%s %s\nzone:\n%s\ngot:\n%s\nwant:\n%s", c.Qname, c.Qtype, c.Zone, got, strings.Join(want, "\n"))
}

func firstSOA(zone string) ([]byte, error) {
	zp := dns.NewZoneParser(strings.NewReader(zone), ".", "")
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if rr.Header().Rrtype == dns.TypeSOA {
			return wire.ParseName(rr.Header().Name)
		}
	}
	return nil, fmt.Errorf("no SOA: %w", zp.Err())
}

// ferretForm is what two responses are compared by.
func ferretForm(m *dns.Msg) string {
	rrs := func(set []dns.RR) []string {
		var s []string
		for _, rr := range set {
			s = append(s, rrForm(rr))
		}
		return s
	}
	return form(dns.RcodeToString[m.Rcode], m.Authoritative, m.Truncated, rrs(m.Answer), rrs(m.Ns))
}

func form(rcode string, aa, tc bool, answer, authority []string) string {
	slices.Sort(answer)
	slices.Sort(authority)
	if len(answer) > 0 && !strings.Contains(strings.Join(authority, "\n"), "\tSOA\t") && aa {
		authority = nil // an apex NS set under a positive answer is optional
	}
	return fmt.Sprintf("%s aa=%v tc=%v\n%s\n--\n%s", rcode, aa, tc, strings.Join(slices.Compact(answer), "\n"), strings.Join(slices.Compact(authority), "\n"))
}

func rrForm(rr dns.RR) string {
	rr.Header().Name = strings.ToLower(rr.Header().Name)
	return rr.String()
}

func ferretWant(lines []string, apex string) string {
	var rcode string
	var aa, tc bool
	sections := map[string][]string{}
	section := ""
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "rcode "):
			rcode = strings.TrimPrefix(l, "rcode ")
		case strings.HasPrefix(l, "flags "):
			aa = slices.Contains(strings.Fields(l), "AA")
			tc = slices.Contains(strings.Fields(l), "TC")
		case strings.HasPrefix(l, ";"):
			section = l
		case section != "" && section != ";QUESTION":
			if rr, err := dns.NewRR(l); err == nil && rr != nil {
				sections[section] = append(sections[section], rrForm(rr))
			} else {
				sections[section] = append(sections[section], l)
			}
		}
	}
	return form(rcode, aa, tc, sections[";ANSWER"], sections[";AUTHORITY"])
}
