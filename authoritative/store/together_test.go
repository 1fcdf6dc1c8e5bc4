package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// All edits or none, and only on what was expected.
func TestWriteTogether(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	a := record(t, "a.example.org", "A", "static", 30, "10.0.0.1")
	b := record(t, "b.example.org", "A", "static", 30, "10.0.0.2")
	res, steps, err := c.WriteTogether(t.Context(), []Expected{{a, Absent}}, Edit{Set, a}, Edit{Set, b})
	if err != nil || res.Written != 2 || !slices.Equal(steps, []Step{{Absent, res.Revision}, {Absent, res.Revision}}) {
		t.Fatal(res, steps, err)
	}
	first := res.Revision
	other := record(t, "a.example.org", "A", "static", 30, "10.0.0.9")
	cname := record(t, "b.example.org", "CNAME", "static", 30, "x.example.org")
	before := stored(t, c)
	for what, tc := range map[string]struct {
		expected []Expected
		edits    []Edit
		want     error
		text     string
	}{
		"another revision": {[]Expected{{a, first - 1}}, []Edit{{Set, other}}, ErrRevision, fmt.Sprintf("a.example.org. A (static) has revision %d, and revision %d was expected; nothing was changed", first, first-1)},
		"none":             {[]Expected{{a, Absent}}, []Edit{{Set, other}}, ErrRevision, "and none was expected"},
		"one":              {[]Expected{{cname, Present}}, []Edit{{Set, other}, {Set, b}}, ErrRevision, "CNAME (static) is not there, and one was expected"},
		"one of two":       {[]Expected{{a, first}, {b, 1}}, []Edit{{Set, other}, {Remove, b}}, ErrRevision, "b.example.org."},
		"second refused":   {nil, []Edit{{Set, other}, {Add, cname}}, ErrCNAME, ""},
		"too many":         {nil, edits(Add, many(t, MaxTogether+1, "example.org", "static")), ErrTooMany, "at most 60 RRsets"},
		"no record":        {nil, []Edit{{Set, other}, {Op: Set}}, ErrEdit, ""},
	} {
		if _, _, err := c.WriteTogether(t.Context(), tc.expected, tc.edits...); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v, want %v", what, err, tc.want)
		}
	}
	if got := stored(t, c); !slices.Equal(got, before) {
		t.Errorf("%q, was %q", got, before)
	}
	res, steps, err = c.WriteTogether(t.Context(), []Expected{{a, first}, {b, Present}}, Edit{Set, a}, Edit{Remove, b}, Edit{Add, record(t, "c.example.org", "A", "static", 30, "10.0.0.3")})
	if err != nil || res.Unchanged != 1 || !slices.Equal(steps, []Step{{first, first}, {first, Absent}, {Absent, res.Revision}}) {
		t.Error(res, steps, err)
	}
	bad := record(t, "bad.example.org", "A", "static", 30, "10.0.0.4")
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Put(t.Context(), c.keys.key(bad.Name, bad.Type, bad.Owner), "none of ours"); err != nil {
		t.Fatal(err)
	}
	if res, steps, err = c.WriteTogether(t.Context(), nil, Edit{Remove, Record{Name: bad.Name, Type: bad.Type, Owner: bad.Owner}}); err != nil || res.Deleted != 1 || steps[0].From == Absent || steps[0].To != Absent {
		t.Error(res, steps, err)
	}
	if res, _, err := c.WriteTogether(t.Context(), nil, edits(Add, many(t, MaxTogether, "example.org", "static"))...); err != nil || res.Written != MaxTogether {
		t.Error(res, err)
	}
}

// Of many who all build on one revision, one wins.
func TestWriteTogetherRace(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	rec := record(t, "a.example.org", "A", "static", 30, "10.0.0.1")
	res, err := c.Set(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	won := 0
	var wait sync.WaitGroup
	for i := range 10 {
		wait.Go(func() {
			_, _, err := c.WriteTogether(t.Context(), []Expected{{rec, res.Revision}}, Edit{Set, record(t, "a.example.org", "A", "static", 30, fmt.Sprintf("10.0.1.%d", i))})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, ErrRevision) {
				t.Error(err)
			}
		})
	}
	if wait.Wait(); won != 1 {
		t.Errorf("%d won", won)
	}
}

// Pages are of one revision, whatever is written meanwhile, and hold each record once.
func TestPage(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	recs := many(t, 95, "example.org", "static")
	if _, err := c.Write(t.Context(), edits(Set, recs)...); err != nil {
		t.Fatal(err)
	}
	want := stored(t, c)
	raw(t, c, "/strata/v1/records/org/example/h0005/A/bad", "{")
	var got []string
	q := PageQuery{Under: org, Limit: 10}
	var revision int64
	for pages := 1; ; pages++ {
		page, err := c.Page(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			got = append(got, line(rec.Record))
			if rec.Revision > page.Revision || rec.Revision == 0 {
				t.Error(rec)
			}
		}
		if revision == 0 {
			revision = page.Revision
		}
		if page.Revision != revision {
			t.Errorf("page %d is of revision %d", pages, page.Revision)
		}
		if q.After = page.Next; q.After == (Place{}) {
			if pages != 10 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		if _, err := c.Add(t.Context(), record(t, fmt.Sprintf("z%d.example.org", pages), "A", "static", 30, "10.0.0.1")); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	page, err := c.Page(t.Context(), PageQuery{Under: org, Limit: 5, Keep: func(r Record) bool { return r.Data[0][3] >= 90 }})
	if err != nil || len(page.Records) != 5 || !strings.Contains(page.Next.Key, "h0094") {
		t.Error(page, err)
	}
	rec, err := c.Get(t.Context(), recs[3].Name, 1, "static")
	if err != nil || line(rec.Record) != line(recs[3]) {
		t.Error(rec, err)
	}
	if _, err := c.Get(t.Context(), recs[3].Name, 1, "other"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), recs[5].Name, 1, "bad"); !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), "/h0005/A/bad") {
		t.Error(err)
	}

	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Compact(t.Context(), revision+1, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	start, _ := c.keys.under(org)
	for want, after := range map[error]Place{ErrCompacted: {Key: start, Revision: revision}, ErrPlace: {Key: "/other", Revision: revision + 1}} {
		if _, err := c.Page(t.Context(), PageQuery{Under: org, Limit: 5, After: after}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if _, err := c.Page(t.Context(), PageQuery{Under: org, Limit: 5, After: Place{Key: start, Revision: 1 << 40}}); !errors.Is(err, ErrPlace) {
		t.Error(err)
	}
}

// A name's history is all its changes, and after a compaction those from there on.
func TestHistory(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	name := record(t, "a.example.org", "A", "static", 30).Name
	empty, err := c.History(t.Context(), name)
	if err != nil || len(empty.Changes) != 0 || empty.From != 1 {
		t.Error(empty, err)
	}
	var revisions []int64
	write := func(e Edit) {
		t.Helper()
		res, err := c.Write(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, res.Revision)
	}
	write(Edit{Add, record(t, "a.example.org", "A", "static", 30, "10.0.0.1")})
	write(Edit{Add, record(t, "a.example.org", "A", "other", 60, "10.0.0.2")})
	write(Edit{Add, record(t, "b.a.example.org", "A", "static", 30, "10.0.0.3")}) // another name
	write(Edit{Remove, record(t, "a.example.org", "A", "static", 0)})
	write(Edit{Add, record(t, "a.example.org", "A", "static", 90, "10.0.0.4")})
	raw(t, c, "/strata/v1/records/org/example/a/TXT/static", "{")
	text := func(h History) (lines []string) {
		for _, past := range h.Changes {
			lines = append(lines, fmt.Sprintf("%d %s deleted=%t before=%t bad=%t", past.Revision, line(past.Record), past.Deleted, past.Before, past.Bad != nil))
		}
		return lines
	}
	r := revisions
	first := []string{
		fmt.Sprintf("%d a.example.org. A (static) 30 10.0.0.1 deleted=false before=false bad=false", r[0]),
		fmt.Sprintf("%d a.example.org. A (other) 60 10.0.0.2 deleted=false before=false bad=false", r[1]),
	}
	last := []string{
		fmt.Sprintf("%d a.example.org. A (static) 0  deleted=true before=false bad=false", r[3]),
		fmt.Sprintf("%d a.example.org. A (static) 90 10.0.0.4 deleted=false before=false bad=false", r[4]),
		fmt.Sprintf("%d a.example.org. TXT (static) 0  deleted=false before=false bad=true", r[4]+1),
	}
	h, err := c.History(t.Context(), name)
	if got := text(h); err != nil || h.From != 1 || h.To != r[4]+1 || !slices.Equal(got, slices.Concat(first, last)) {
		t.Error(h.From, h.To, err, strings.Join(got, "\n"))
	}
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Compact(t.Context(), r[1], clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	for i := range first {
		first[i] = strings.Replace(first[i], "before=false", "before=true", 1)
	}
	h, err = c.History(t.Context(), name)
	slices.Reverse(first) // as it was: in the order of the keys
	if got := text(h); err != nil || h.From != r[1] || !slices.Equal(got, slices.Concat(first, last)) {
		t.Error(h.From, h.To, err, strings.Join(got, "\n"))
	}
}
