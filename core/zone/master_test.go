package zone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

const head = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n" // three lines

// write makes a folder with these files, given as name and text.
func write(t *testing.T, files ...string) string {
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var masterErrors = []struct{ what, text, where, says string }{
	{"syntax", head + "\n; comment\nwww A x y\n", "z:6", "bad A"},
	{"no data", head + "\n; comment\nwww A\n", "z:6", "not of the record's type"},
	{"bad address", head + "www A 10.0.0.256\n", "z:4", "bad A"},
	{"unknown type", head + "www NOSUCH 1\n", "z:4", "NOSUCH"},
	{"CNAME and other data", head + "www A 10.0.0.1\n\n; x\nwww CNAME ns\nend A 10.0.0.1\n", "z:7", "a CNAME and other records"},
	{"CNAME and other data, scattered", head + "www CNAME ns\nx A 10.0.0.1\nwww TXT x\ny A 10.0.0.1\n", "z:6", "a CNAME and other records"},
	{"two CNAMEs", head + "www CNAME ns\nwww CNAME x\n", "z:5", "more than one CNAME"},
	{"two DNAMEs, scattered", head + "www DNAME ns\nx A 10.0.0.1\nwww DNAME x\n", "z:6", "more than one CNAME"},
	{"SOA elsewhere", head + "www SOA ns h 1 2 3 4 5\n", "z:4", "not the zone's apex"},
	{"no owner", " TXT x\n", "z:1", ""},
	{"no owner, nor data", "$TTL 60\n TXT \n", "z:2", "no owner name"},
	{"SOA without data", "@ 60 SOA \n", "z:1", "bad SOA"},
	{"SOA without any data", "$TTL 60\n@ SOA ", "z:2", "not of the record's type"},
	{"CNAME at the apex", "\n" + head + "@ CNAME x\n", "z:", "a CNAME and other records"},
	{"missing SOA", "$TTL 60\n@ NS ns\n", "z", "has no SOA"},
	{"empty file", "", "z", "has no SOA"},
	{"class", head + "www CH TXT x\n", "z:4", "class CH"},
	{"TTL too large", head + "www 2147483648 A 10.0.0.1\n", "z:4", "above 2147483647"},
	{"TTL far too large", head + "www 99999999999 A 10.0.0.1\n", "z:4", ""},
	{"record over lines", head + "www 2147483648 TXT ( a\nb\nc )\n", "z:4", "above 2147483647"},
	{"unterminated parenthesis", head + "www TXT ( a\nb\n", "z:", ""},
	{"missing include", head + "$INCLUDE none.inc\n", "z:4", "none.inc"},
	{"error in an include", head + "$INCLUDE sub/bad.inc\n", "sub/bad.inc:2", "bad A"},
	{"meaning in an include", head + "$INCLUDE sub/alias.inc\nx A 10.0.0.1\n", "sub/alias.inc:3", "a CNAME and other records"},
	{"behind an include", head + "$INCLUDE sub/good.inc\n\nx 2147483648 A 10.0.0.1\n", "z:6", "above 2147483647"},
	{"include of an include", head + "$INCLUDE sub/outer.inc\n", "sub/bad.inc:2", "bad A"},
	{"generated", head + "\n$GENERATE 1-3 a CNAME b$\nx A 10.0.0.1\n", "z:5", "more than one CNAME"},
	{"no type of records", head + "www TYPE255 \\# 0\n", "z:4", ""},
}

// Each error names file and line, and leaves the zone as it was.
func TestMasterErrors(t *testing.T) {
	dir := write(t, "sub/bad.inc", "a A 10.0.0.1\nb A 10.0.0\n", "sub/alias.inc", "a A 10.0.0.1\n; x\na CNAME ns\n", "sub/good.inc", "in A 10.0.0.9\n", "sub/outer.inc", "$INCLUDE bad.inc\n", "z", "")
	apex := wire.MustName("test")
	for _, c := range masterErrors {
		for _, state := range []string{"first", "again"} {
			t.Run(c.what+" "+state, func(t *testing.T) {
				table := newTable(t)
				defer table.Close()
				addZone(t, table, "test")
				if state == "again" {
					if _, err := table.Load(apex, strings.NewReader(head+"old A 10.0.0.7\n"), "old", 1); err != nil {
						t.Fatal(err)
					}
				}
				before := table.Stats()
				if err := os.WriteFile(filepath.Join(dir, "z"), []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
				_, err := table.LoadFile(apex, filepath.Join(dir, "z"), 1)
				if !errors.Is(err, ErrMaster) {
					t.Fatalf("error %v", err)
				}
				if want := filepath.Join(dir, c.where); !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %q, want one at %s that says %q", err, want, c.says)
				}
				after := table.Stats()
				if after.Names != before.Names || after.Records != before.Records || after.Bytes != before.Bytes {
					t.Errorf("before %+v, after %+v", before, after)
				}
				m := new(dns.Msg)
				m.SetQuestion("old.test.", dns.TypeA)
				if got := ask(t, table, m); (len(got.Answer) == 1) != (state == "again") {
					t.Errorf("afterwards: %s", shape(got))
				}
			})
		}
	}
}

// A relative path stays one in what is said of an include.
func TestIncludeRelative(t *testing.T) {
	dir := write(t, "zones/z", head+"$INCLUDE more.inc\nx A 10.0.0.1\n", "zones/more.inc", "y A 10.0.0\n")
	t.Chdir(dir)
	table := newTable(t)
	defer table.Close()
	addZone(t, table, "test")
	if _, err := table.LoadFile(wire.MustName("test"), "zones/z", 1); err == nil || !strings.HasPrefix(err.Error(), "zones/more.inc:1: ") {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile("zones/more.inc", []byte("y A 10.0.0.2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := table.LoadFile(wire.MustName("test"), "zones/z", 1); err != nil || got.Records != 4 || len(got.Warnings) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMasterWarnings(t *testing.T) {
	table := loaded(t, "dept.test", deptZone)
	addZone(t, table, "test")
	text := "$TTL 60\n@ SOA ns h 9 2 3 4 5\n@ SOA ns h 8 2 3 4 5\n" + // 3
		"www A 10.0.0.1\nwww 30 A 10.0.0.2\nfar.away. A 10.0.0.3\n" + // 6
		"dept NS ns.dept\nns.dept A 10.0.0.4\ndept DS 1 8 2 00\ndept TXT x\nx.dept TXT x\n" + // 11
		"www 20 A 10.0.0.5\n@ DS 1 8 2 00\n"
	got, err := table.Load(wire.MustName("test"), strings.NewReader(text), "z", 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"z:3: a second SOA", "z:5: www.test. A: TTL 30 beside 60", "z:6: far.away. A is not", "z:10: dept.test. TXT is not", "z:11: x.dept.test. TXT is not", "z:13: test. DS is not", "z:12: www.test. A: TTL 30 beside 20", "z:2: the zone has no NS"}
	if len(got.Warnings) != len(want) || got.Serial != 9 {
		t.Fatalf("serial %d, warnings:\n%s", got.Serial, strings.Join(got.Warnings, "\n"))
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(got.Warnings, "\n"), w) {
			t.Errorf("no warning %q in\n%s", w, strings.Join(got.Warnings, "\n"))
		}
	}
	m := new(dns.Msg)
	m.SetQuestion("www.test.", dns.TypeA)
	if rrs := ask(t, table, m).Answer; len(rrs) != 3 || rrs[0].Header().Ttl != 20 {
		t.Errorf("answer %v", rrs)
	}
}

// A reload is all that its source holds, and no more than its source's: other
// sources, zones inside and the DS of the zone around stay.
func TestReload(t *testing.T) {
	table := loaded(t, "dept.test", deptZone)
	addZone(t, table, "test")
	load := func(apex, text string) {
		t.Helper()
		if _, err := table.Load(wire.MustName(apex), strings.NewReader(text), "z", 1); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(name, typ, want string) {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion(name, dns.StringToType[typ])
		if got := shape(ask(t, table, m)); !strings.HasPrefix(got, want) {
			t.Errorf("%s %s\ngot  %s\nwant %s", name, typ, got, want)
		}
	}
	load("test", head+"a A 10.0.0.1\nb A 10.0.0.2\nc A 10.0.0.3\ndept DS 1 8 2 00\n")
	put(t, table, &Record{Name: wire.MustName("a.test"), Type: dns.TypeA, TTL: 60, Source: 5, Data: [][]byte{{10, 0, 0, 9}}})
	load("dept.test", deptZone)
	expect("dept.test.", "DS", "NOERROR aa | dept.test. 60 DS 1 8 2 00")
	load("test", head+"b CNAME c\nc A 10.0.0.4\n")
	expect("a.test.", "A", "NOERROR aa | a.test. 60 A 10.0.0.9")
	expect("b.test.", "A", "NOERROR aa | b.test. 60 CNAME c.test., c.test. 60 A 10.0.0.4")
	expect("dept.test.", "DS", "NOERROR aa |  | test. 5 SOA")
	expect("www.dept.test.", "A", "NOERROR aa | www.dept.test. 300 A 192.0.2.62")
	load("test", head+"b A 10.0.0.5\n")
	expect("b.test.", "A", "NOERROR aa | b.test. 60 A 10.0.0.5")
	expect("c.test.", "A", "NXDOMAIN")
}

// A zone that comes to stand below another is its file's alone: what the other
// had there, its delegation and glue, is not mixed in.
func TestZoneInsideAnother(t *testing.T) {
	table := newTable(t)
	defer table.Close()
	addZone(t, table, "test")
	load := func(apex, text string) {
		t.Helper()
		if _, err := table.Load(wire.MustName(apex), strings.NewReader(text), "z", 1); err != nil {
			t.Fatal(err)
		}
	}
	load("test", head+"sub NS ns.sub\nns.sub A 10.0.0.1\nold.sub A 10.0.0.2\n")
	addZone(t, table, "sub.test")
	load("sub.test", head+"ns A 10.0.0.8\n")
	for name, want := range map[string]string{
		"ns.sub.test.":  "NOERROR aa | ns.sub.test. 60 A 10.0.0.8",
		"old.sub.test.": "NXDOMAIN aa |  | sub.test. 5 SOA ns.sub.test. h.sub.test. 1 2 3 4 5",
	} {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		if got := shape(ask(t, table, m)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", name, got, want)
		}
	}
}

// What is no data of its type is not taken, and leaves nothing behind.
func TestPutRefuses(t *testing.T) {
	table := loaded(t, "test", head)
	before := table.Stats()
	name := wire.MustName("new.below.test")
	for _, c := range []struct {
		rec  Record
		want error
	}{
		{Record{Name: name, Type: dns.TypeA, Data: [][]byte{{10, 0, 0}}}, ErrData},
		{Record{Name: name, Type: dns.TypeAAAA, Data: [][]byte{{10, 0, 0, 1}}}, ErrData},
		{Record{Name: name, Type: dns.TypeCNAME, Data: [][]byte{{5, 'a', 0}}}, ErrData},
		{Record{Name: name, Type: dns.TypeCNAME, Data: [][]byte{{1, 'a', 0, 0}}}, ErrData},
		{Record{Name: name, Type: dns.TypeCNAME, Data: [][]byte{{1, 'a', 0}, {0}}}, ErrSingle},
		{Record{Name: name, Type: dns.TypeMX, Data: [][]byte{{0, 1}}}, ErrData},
		{Record{Name: name, Type: dns.TypeSRV, Data: [][]byte{{0, 1, 0, 1, 0, 1}}}, ErrData},
		{Record{Name: name, Type: dns.TypeSOA, Data: [][]byte{make([]byte, 21)}}, ErrData},
		{Record{Name: name, Type: dns.TypeTXT, Data: [][]byte{make([]byte, 65536)}}, ErrData},
		{Record{Name: name, Type: dns.TypeOPT, Data: [][]byte{{}}}, ErrType},
		{Record{Name: name, Type: dns.TypeANY, Data: [][]byte{{}}}, ErrType},
		{Record{Name: name[:3], Type: dns.TypeTXT, Data: [][]byte{{}}}, ErrData},
		{Record{Name: wire.MustName("else.where"), Type: dns.TypeTXT, Data: [][]byte{{0}}}, ErrZone},
		{Record{Name: name, Type: dns.TypeTXT}, nil},
	} {
		err := table.Update(func(tx *Tx) error { _, err := tx.Put(&c.rec); return err })
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", dns.Type(c.rec.Type), err, c.want)
		}
	}
	if after := table.Stats(); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
