package main

import (
	"bufio"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

// imported reads a text as the import command does.
func imported(text string) (records []string, err error) {
	conf := &Config{Zones: []Zone{{Name: "test", Source: fromEtcd}, {Name: "sub.test", Source: fromFile, File: "sub"}}}
	m := master{path: "z", apex: wire.MustName("test"), ttl: 60, holds: conf.etcdZone, lines: lineReader{r: bufio.NewReader(strings.NewReader(text)), line: 1, next: true}}
	for rec, e := range m.records {
		if e != nil {
			return nil, e
		}
		for _, data := range rec.Data {
			line, e := presentation(rec.Name, rec.Type, rec.TTL, data)
			if e != nil {
				return nil, e
			}
			records = append(records, line)
		}
	}
	return records, nil
}

func TestMasterForEtcd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want, err string }{
		{"@ SOA ns h 1 2 3 4 5\nA.b A 10.0.0.1\n 30 A 10.0.0.2\n", "a.b.test.\t60\tIN\tA\t10.0.0.1, a.b.test.\t30\tIN\tA\t10.0.0.2", ""},
		{"a A 10.0.0.1\n\nb A 10.0.0\n", "", "z:3: bad A A"},
		{"a A 10.0.0.1\n; x\nb CH TXT x\n", "", "z:3: b.test. is of class CH"},
		{"$TTL 5\na TXT ( x\n y )\n\n  CH (\nTXT z )\n", "", "z:5: a.test. is of class CH"},
		{"a A 10.0.0.1\n$GENERATE 1-2 g$.sub A 10.0.0.$\n", "", "z:2: g1.sub.test. is in none"},
		{"a A 10.0.0.1\nx.sub A 10.0.0.2\n", "", "z:2: x.sub.test. is in none of the zones kept in etcd: test (names are given in full); the records of zone sub.test are in sub"},
		{"a A 10.0.0.1\nwww.elsewhere. A 10.0.0.2\n", "", "z:2: www.elsewhere. is not in zone test."},
		{"$ORIGIN b.test.\n$TTL 5\n; x\n\nwww.elsewhere. A 10.0.0.2\n", "", "z:5: www.elsewhere. is not in zone test."},
		{"$GENERATE 1-1 g$ A 10.0.0.$\n$TTL 5\n$GENERATE 2-2 g$ A 10.0.0.$\na A 10.0.0.3\n", "g1.test.\t60\tIN\tA\t10.0.0.1, g2.test.\t5\tIN\tA\t10.0.0.2, a.test.\t5\tIN\tA\t10.0.0.3", ""},
		{"a TXT (x\n", "", "z:"},
		{"$INCLUDE /nonexistent\n", "", "z:1: "},
	} {
		got, err := imported(tc.text)
		if strings.Join(got, ", ") != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %q, %v", tc.text, got, err)
		}
	}
}

// FuzzMaster: whatever a file holds, an error says where, and what was read is
// the same when it is written out and read again.
func FuzzMaster(f *testing.F) {
	f.Add("@ SOA ns h 1 2 3 4 5\na A 10.0.0.1\n 30 TXT \"x y\" z\n*.b MX 10 c\n")
	f.Add("$TTL 5\n$ORIGIN x.test.\n@ TYPE65280 \\# 2 0102\n\\000.\\255 CNAME .\n")
	f.Add("a TXT ( x ; y\n z )\n$GENERATE 1-3 g$ A 10.0.0.$\n")
	f.Add("a A 10.0.0.300\n")
	f.Add("a A 10.0.0.1 ; x probe=http:80/a ;b\nb A ( 10.0.0.2 ;probe=none\n)\nc A 10.0.0.3 ; probe=\n")
	f.Fuzz(func(t *testing.T, text string) {
		if upper := strings.ToUpper(text); strings.Contains(upper, "$INCLUDE") || strings.Contains(upper, "$GENERATE") && len(text) > 100 {
			return // files of this machine; up to 65,535 records
		}
		records, err := imported(text)
		if err != nil {
			if where, _, ok := strings.Cut(err.Error(), ": "); !ok || !strings.HasPrefix(where, "z:") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := imported(strings.Join(records, "\n") + "\n")
		if err != nil || strings.Join(again, "\n") != strings.Join(records, "\n") {
			t.Fatalf("%q: %q, again %q, %v", text, records, again, err)
		}
	})
}
