package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	www := func(ttl uint32, data ...string) Record {
		return record(t, "www.example.org", "A", "static", ttl, data...)
	}
	last := int64(0)
	for _, step := range []struct {
		what             string
		op               Op
		rec              Record
		written, deleted int
		unchanged        int
		want             string // the records after it
	}{
		{"add", Add, www(30, "10.0.0.2", "10.0.0.1"), 1, 0, 0, "www.example.org. A (static) 30 10.0.0.1 10.0.0.2"},
		{"add what is there", Add, www(30, "10.0.0.1"), 0, 0, 1, "www.example.org. A (static) 30 10.0.0.1 10.0.0.2"},
		{"add with another ttl", Add, www(60, "10.0.0.1"), 1, 0, 0, "www.example.org. A (static) 60 10.0.0.1 10.0.0.2"},
		{"set in another order", Set, www(60, "10.0.0.1", "10.0.0.2", "10.0.0.1"), 0, 0, 1, "www.example.org. A (static) 60 10.0.0.1 10.0.0.2"},
		{"set", Set, www(60, "10.0.0.3", "10.0.0.4"), 1, 0, 0, "www.example.org. A (static) 60 10.0.0.3 10.0.0.4"},
		{"remove what is not there", Remove, www(0, "10.0.0.1"), 0, 0, 1, "www.example.org. A (static) 60 10.0.0.3 10.0.0.4"},
		{"remove one", Remove, www(0, "10.0.0.3"), 1, 0, 0, "www.example.org. A (static) 60 10.0.0.4"},
		{"remove another's", Remove, record(t, "www.example.org", "A", "other", 0), 0, 0, 1, "www.example.org. A (static) 60 10.0.0.4"},
		{"remove the last", Remove, www(0, "10.0.0.4"), 0, 1, 0, ""},
		{"remove from nothing", Remove, www(0), 0, 0, 1, ""},
		{"set anew", Set, www(5, "10.0.0.9", "10.0.0.8"), 1, 0, 0, "www.example.org. A (static) 5 10.0.0.8 10.0.0.9"},
		{"remove all", Remove, www(0), 0, 1, 0, ""},
	} {
		res, err := c.Write(t.Context(), Edit{step.op, step.rec})
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		want := Result{Written: step.written, Deleted: step.deleted, Unchanged: step.unchanged, Revision: res.Revision}
		if res != want || res.Changed() != (res.Revision > last) && last != 0 || res.Revision < last {
			t.Errorf("%s: %+v after revision %d, want %+v", step.what, res, last, want)
		}
		last = res.Revision
		if got := strings.Join(stored(t, c), "\n"); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	if _, err := c.Write(t.Context(),
		Edit{Add, record(t, "a.example.org", "A", "static", 30, "10.0.0.1")},
		Edit{Add, record(t, "c.example.org", "CNAME", "static", 30, "a.example.org.")},
	); err != nil {
		t.Fatal(err)
	}
	raw(t, c, "/strata/v1/records/org/example/bad/A/static", "{")
	before := stored(t, c)
	aaaa := record(t, "n.example.org", "A", "static", 30, "10.0.0.1")
	for what, tc := range map[string]struct {
		want  error
		edits []Edit
	}{
		"CNAME beside A":       {ErrCNAME, []Edit{{Add, record(t, "a.example.org", "CNAME", "static", 30, "b.")}}},
		"A beside CNAME":       {ErrCNAME, []Edit{{Set, record(t, "c.example.org", "AAAA", "static", 30, "::1")}}},
		"both at once":         {ErrCNAME, []Edit{{Add, aaaa}, {Add, record(t, "n.example.org", "CNAME", "static", 30, "b.")}}},
		"CNAME beside a bad A": {ErrCNAME, []Edit{{Add, record(t, "bad.example.org", "CNAME", "static", 30, "b.")}}},
		"two CNAMEs":           {ErrSingle, []Edit{{Add, record(t, "c.example.org", "CNAME", "static", 30, "b.")}}},
		"two SOAs":             {ErrSingle, []Edit{{Set, record(t, "s.example.org", "SOA", "static", 30, "a. b. 1 2 3 4 5", "a. b. 2 2 3 4 5")}}},
		"add to a bad value":   {ErrValue, []Edit{{Add, record(t, "bad.example.org", "A", "static", 30, "10.0.0.1")}}},
		"no data":              {ErrEdit, []Edit{{Set, record(t, "n.example.org", "A", "static", 30)}}},
		"no owner":             {ErrOwner, []Edit{{Add, record(t, "n.example.org", "A", "", 30, "10.0.0.1")}}},
		"ttl":                  {ErrEdit, []Edit{{Add, record(t, "n.example.org", "A", "static", MaxTTL+1, "10.0.0.1")}}},
		"question type":        {ErrType, []Edit{{Add, Record{Name: org, Type: dns.TypeANY, Owner: "static", Data: [][]byte{{1}}}}}},
		"capital":              {ErrEdit, []Edit{{Add, Record{Name: []byte("\x01A\x00"), Type: 1, Owner: "static", Data: [][]byte{{1, 2, 3, 4}}}}}},
		"compressed name":      {ErrEdit, []Edit{{Add, Record{Name: []byte("\xc0\x0c"), Type: 1, Owner: "static", Data: [][]byte{{1, 2, 3, 4}}}}}},
		"three octets":         {ErrEdit, []Edit{{Add, aaaa}, {Add, Record{Name: org, Type: 1, Owner: "static", Data: [][]byte{{1, 2, 3}}}}}},
	} {
		res, err := c.Write(t.Context(), tc.edits...)
		if !errors.Is(err, tc.want) || res.Changed() {
			t.Errorf("%s: %+v, %v", what, res, err)
		}
	}
	if after := stored(t, c); !slices.Equal(before, after) {
		t.Errorf("changed to %q", after)
	}
	// What is not refused.
	for what, edits := range map[string][]Edit{
		"CNAME of another owner": {{Add, record(t, "a.example.org", "CNAME", "other", 30, "b.")}},
		"CNAME in A's place": {{Remove, record(t, "a.example.org", "A", "static", 0)},
			{Add, record(t, "a.example.org", "CNAME", "static", 30, "b.")}},
		"a bad value set":     {{Set, record(t, "bad.example.org", "A", "static", 30, "10.0.0.1")}},
		"below a CNAME":       {{Add, record(t, "x.c.example.org", "A", "static", 30, "10.0.0.1")}},
		"another CNAME":       {{Set, record(t, "c.example.org", "CNAME", "static", 30, "d.")}},
		"a signature besides": {{Add, record(t, "c.example.org", "NSEC", "static", 30, "d. CNAME NSEC")}},
	} {
		if res, err := c.Write(t.Context(), edits...); err != nil || res.Written != 1 {
			t.Errorf("%s: %+v, %v", what, res, err)
		}
	}
}

func TestWriteMany(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	recs := many(t, 1000, "example.org", "static")
	res, err := c.Write(t.Context(), edits(Add, recs)...)
	if err != nil || res.Written != len(recs) {
		t.Fatal(res, err)
	}
	again, err := c.Write(t.Context(), edits(Set, recs)...)
	if err != nil || again.Unchanged != len(recs) || again.Changed() || again.Revision != res.Revision {
		t.Fatal(again, err)
	}
	if got := stored(t, c); len(got) != len(recs) || got[999] != line(recs[999]) {
		t.Fatal(len(got), got[len(got)-1])
	}
	// One RRset as large as they get goes in one piece, with others around it.
	var data []string
	for i := range 4000 {
		data = append(data, fmt.Sprintf("10.1.%d.%d", i>>8, i&255))
	}
	big := append(edits(Set, recs[:70]), Edit{Set, record(t, "big.example.org", "A", "static", 1, data...)})
	if res, err := c.Write(t.Context(), big...); err != nil || res.Written != 1 || res.Unchanged != 70 {
		t.Fatal(res, err)
	}
	if res, err := c.Write(t.Context(), edits(Remove, recs)...); err != nil || res.Deleted != len(recs) {
		t.Fatal(res, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	all := slices.Concat(many(t, 3, "example.org", "static"), many(t, 2, "example.org", "other"),
		many(t, 2, "example.organic", "static"), many(t, 2, "a.example.org", "static"))
	if _, err := c.Write(t.Context(), edits(Add, all)...); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		under, owner string
		want         int
	}{
		{".", "", 9}, {"org", "", 7}, {"example.org", "", 7}, {"example.org", "static", 5}, {"example.org", "other", 2},
		{"a.example.org", "", 2}, {"example.organic", "", 2}, {"h0001.example.org", "", 2}, {"example", "", 0},
	} {
		if got := lines(t, c.List(t.Context(), wire.MustName(tc.under), tc.owner)); len(got) != tc.want {
			t.Errorf("%s of %s: %d records, want %d: %q", tc.under, tc.owner, len(got), tc.want, got)
		}
	}
	for range c.List(t.Context(), []byte{0}, "") { // one may stop at any time
		break
	}
	for _, err := range c.List(t.Context(), []byte("junk"), "") {
		if err == nil {
			t.Error("listed under no name at all")
		}
	}
}

// Two clients add 100 values each to the same RRset: none is lost.
func TestConcurrentAdds(t *testing.T) {
	t.Parallel()
	m := member(t)
	var adders sync.WaitGroup
	for who := range 2 {
		c := client(t, m.Endpoints()...)
		adders.Go(func() {
			for i := range 100 {
				rec, err := NewRecord("www.example.org", "A", "static", 30, fmt.Sprintf("10.0.%d.%d", who, i))
				if err == nil {
					_, err = c.Add(context.Background(), rec)
				}
				if err != nil {
					t.Errorf("adder %d, value %d: %v", who, i, err)
				}
			}
		})
	}
	adders.Wait()
	for rec, err := range client(t, m.Endpoints()...).List(t.Context(), org, "static") {
		if err != nil || len(rec.Data) != 200 {
			t.Errorf("%d values, want 200: %v", len(rec.Data), err)
		}
	}
}

// A CNAME and an A put at one name at once: one of them is refused, always.
func TestConcurrentCNAME(t *testing.T) {
	t.Parallel()
	m := member(t)
	clients := []*Client{client(t, m.Endpoints()...), client(t, m.Endpoints()...)}
	for i := range 50 {
		name := fmt.Sprintf("n%d.example.org", i)
		recs := []Record{record(t, name, "CNAME", "static", 30, "b."), record(t, name, "A", "static", 30, "10.0.0.1")}
		var both sync.WaitGroup
		errs := make([]error, 2)
		for j := range 2 {
			both.Go(func() { _, errs[j] = clients[j].Add(context.Background(), recs[j]) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrCNAME) {
			t.Fatalf("%s: %v", name, errs)
		}
	}
	if got := len(stored(t, clients[0])); got != 50 {
		t.Fatalf("%d records, want 50", got)
	}
}

func TestWriteAway(t *testing.T) {
	t.Parallel()
	c, err := Open(Options{Endpoints: []string{"http://127.0.0.1:1"}, Timeout: 300 * time.Millisecond, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = c.Add(t.Context(), record(t, "a.example.org", "A", "static", 30, "10.0.0.1"))
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "within 300ms; nothing was changed") {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Error("took", took)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err = c.Add(t.Context(), record(t, "a.example.org", "A", "static", 30, "10.0.0.1")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// What etcd will never take is told from what it may take later.
func TestRefused(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	for _, size := range []int{1, 40, 60} { // some octets, more than etcd takes, more than is sent
		rec := record(t, "a.example.org", "TXT", "static", 5)
		for i := range size {
			rec.Data = append(rec.Data, fmt.Appendf([]byte{255}, "%0255d", i))
			for range 160 { // octets that are four as text
				last := &rec.Data[len(rec.Data)-1]
				*last = append(append(*last, 255), strings.Repeat("\xff", 255)...)
			}
		}
		_, err := c.Set(t.Context(), rec)
		for tries := 0; errors.Is(err, ErrUnavailable) && tries < 10; tries++ { // 10 MB on a busy machine
			_, err = c.Set(t.Context(), rec)
		}
		if Refused(err) != (size > 10) || (err == nil) != (size == 1) {
			t.Errorf("%d: %v", size, err)
		}
	}
	if Refused(ErrUnavailable) || Refused(ErrConflict) || Refused(ErrBehind) || Refused(nil) {
		t.Error("what passes is refused for ever")
	}
}

// Many values are as few are: once each, the same in any order, added to and taken
// from.
func TestManyValues(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	rec := record(t, "a.example.org", "A", "static", 5)
	for i := range 5000 {
		rec.Data = append(rec.Data, []byte{10, 0, byte(i % 2500 >> 8), byte(i % 2500)})
	}
	write := func(op Op, data [][]byte, changed bool, want int) {
		t.Helper()
		edit := Edit{op, rec}
		edit.Data = data
		if res, err := c.Write(t.Context(), edit); err != nil || res.Changed() != changed {
			t.Errorf("%+v, %v; changed is to be %v", res, err, changed)
		}
		for got, err := range c.List(t.Context(), rec.Name, "") {
			if err != nil || len(got.Data) != want || len(members(got.Data)) != want {
				t.Errorf("%v: %d values, %d different ones, want %d", err, len(got.Data), len(members(got.Data)), want)
			}
		}
	}
	write(Set, rec.Data, true, 2500)
	backwards := slices.Clone(rec.Data)
	slices.Reverse(backwards)
	write(Set, backwards, false, 2500)
	write(Add, rec.Data[:40], false, 2500)
	write(Add, [][]byte{{10, 1, 0, 0}, {10, 1, 0, 0}}, true, 2501)
	write(Remove, [][]byte{{10, 1, 0, 0}}, true, 2500)
	write(Set, slices.Concat(rec.Data[:2499], [][]byte{{10, 1, 0, 1}}), true, 2500)
}

// A probe is kept by edits that do not name one, and by imports.
// Who extends what there is leaves its TTL alone; a new RRset gets the one given.
func TestExtend(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	for _, step := range []struct {
		ttl  uint32
		data string
		op   Op
		want string
	}{
		{300, "10.0.0.1", Extend, "300 10.0.0.1"}, {60, "10.0.0.1", Add, "60 10.0.0.1"}, {300, "10.0.0.1", Extend, "60 10.0.0.1"},
		{300, "10.0.0.2", Extend, "60 10.0.0.1 10.0.0.2"}, {0, "10.0.0.2", Add, "0 10.0.0.1 10.0.0.2"}, {300, "10.0.0.3", Extend, "0 10.0.0.1 10.0.0.2 10.0.0.3"},
	} {
		if _, err := c.Write(t.Context(), Edit{step.op, record(t, "www.example.org", "A", "static", step.ttl, step.data)}); err != nil {
			t.Fatal(err)
		}
		for got, err := range c.List(t.Context(), org, "") {
			if err != nil || line(got) != "www.example.org. A (static) "+step.want {
				t.Errorf("%+v: %s, %v", step, line(got), err)
			}
		}
	}
	if _, err := c.Write(t.Context(), Edit{Op: Extend, Record: record(t, "www.example.org", "A", "static", 1)}); !errors.Is(err, ErrEdit) {
		t.Error(err)
	}
}

func TestWriteProbe(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	rec := func(probe string, addresses ...string) Record {
		r := record(t, "www.example.org", "A", "static", 30, addresses...)
		r.Probe = probe
		return r
	}
	for _, step := range []struct {
		what  string
		op    Op
		rec   Record
		want  string
		wrote bool
	}{
		{"a probe comes with the addresses", Add, rec("tcp:80", "10.0.0.1"), "tcp:80", true},
		{"the same again", Add, rec("tcp:80", "10.0.0.1"), "tcp:80", false},
		{"an address more", Add, rec("", "10.0.0.2"), "tcp:80", true},
		{"another probe alone", Add, rec("icmp", "10.0.0.2"), "icmp", true},
		{"an address less", Remove, rec("", "10.0.0.1"), "icmp", true},
		{"set by one who knows of none", Set, rec("", "10.0.0.2"), "", true},
		{"set", Set, rec("udp:53", "10.0.0.2"), "udp:53", true},
		{"none", Add, rec(NoProbe, "10.0.0.2"), "", true},
	} {
		res, err := c.Write(t.Context(), Edit{step.op, step.rec})
		if err != nil || res.Changed() != step.wrote {
			t.Errorf("%s: %+v, %v", step.what, res, err)
		}
		for got, err := range c.List(t.Context(), org, "") {
			if err != nil || got.Probe != step.want {
				t.Errorf("%s: probe %q, %v", step.what, got.Probe, err)
			}
		}
	}
	if _, err := c.Add(t.Context(), rec("tcp:80", "10.0.0.2")); err != nil {
		t.Fatal(err)
	}
	what := Import{Owner: "static", Under: org, Replace: true}
	if _, err := c.Import(t.Context(), what, seq([]Record{rec("", "10.0.0.3")})); err != nil {
		t.Fatal(err)
	}
	for got, err := range c.List(t.Context(), org, "") {
		if err != nil || got.Probe != "tcp:80" || line(got) != "www.example.org. A (static) 30 10.0.0.3" {
			t.Error(line(got), got.Probe, err)
		}
	}
	if _, err := c.Add(t.Context(), rec(strings.Repeat("x", MaxProbe+1), "10.0.0.2")); !errors.Is(err, ErrEdit) {
		t.Error(err)
	}
}
