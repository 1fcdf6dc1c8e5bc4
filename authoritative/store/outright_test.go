package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Which edits go outright: those whose outcome does not hang on what is there.
func TestOutrightSuits(t *testing.T) {
	t.Parallel()
	const owner = "kubernetes:a"
	address := record(t, "a.example.org", "A", owner, 5, "10.0.0.1")
	nothing := Record{Name: address.Name, Type: address.Type, Owner: owner}
	long := address
	long.Data = nil
	for i := range outrightOctets / len(`"10.0.0.0",`) {
		long.Data = append(long.Data, []byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	for what, row := range map[string]struct {
		edits []Edit
		want  bool
	}{
		"a set":         {[]Edit{{Set, address}}, true},
		"all goes":      {[]Edit{{Remove, nothing}}, true},
		"some go":       {[]Edit{{Remove, address}}, false},
		"some come":     {[]Edit{{Add, address}}, false},
		"an alias":      {[]Edit{{Set, record(t, "a.example.org", "CNAME", owner, 5, "b.example.org.")}}, false},
		"one key twice": {[]Edit{{Remove, nothing}, {Set, address}}, false},
		"types":         {[]Edit{{Set, address}, {Set, record(t, "a.example.org", "AAAA", owner, 5, "::1")}}, true},
		"too much":      {[]Edit{{Set, long}}, false},
	} {
		if _, got := newOutright(newKeys(DefaultPrefix), Fence{Name: "a"}, 1, row.edits); got != row.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// Outright or by reading first, what is written is the same, and what is right is not
// written.
func TestOutright(t *testing.T) {
	t.Parallel()
	const owner = "kubernetes:a"
	m := member(t)
	first, second := client(t, m.Endpoints()...), client(t, m.Endpoints()...)
	set := func(data ...string) Edit { return Edit{Set, record(t, "a.example.org", "A", owner, 5, data...)} }
	six := Edit{Set, record(t, "a.example.org", "AAAA", owner, 5, "::1")}
	other := func(n int) Edit {
		return Edit{Set, record(t, fmt.Sprintf("n%d.example.org", n), "A", owner, 5, "10.1.0.1")}
	}
	gone := Edit{Op: Remove, Record: Record{Name: other(0).Name, Type: other(0).Type, Owner: owner}}
	var revision int64
	for i, step := range []struct {
		c        *Client
		position int64
		edits    []Edit
		want     Result
		second   bool // afterwards
	}{
		{first, 1, []Edit{set("10.0.0.1"), other(0)}, Result{Written: 2}, false}, // no fence yet: by reading
		{first, 2, []Edit{set("10.0.0.2"), other(0), other(1)}, Result{Written: 2, Unchanged: 1}, false},
		{second, 2, []Edit{set("10.0.0.2"), other(0), other(1)}, Result{Unchanged: 3}, true},
		{second, 2, []Edit{set("10.0.0.2")}, Result{Unchanged: 1}, true},
		{second, 3, []Edit{set("10.0.0.3"), six, gone}, Result{Written: 2, Deleted: 1}, false},
		{second, 3, []Edit{gone}, Result{Unchanged: 1}, true},
		{first, 3, []Edit{six, set("10.0.0.3", "10.0.0.3")}, Result{Unchanged: 2}, true},
		{first, 4, []Edit{set("10.0.0.4", "10.0.0.4")}, Result{Written: 1}, false},
	} {
		got, err := step.c.WriteFenced(t.Context(), Fence{Name: owner, Position: step.position}, step.edits...)
		if got.Changed() && got.Revision <= revision {
			t.Errorf("step %d: revision %d after %d", i, got.Revision, revision)
		}
		revision, got.Revision = got.Revision, 0
		if err != nil || got != step.want || (step.c.looked.Load() == 0) != step.second {
			t.Errorf("step %d: %+v, second %v, %v", i, got, (step.c.looked.Load() == 0), err)
		}
	}
	got := strings.Join(stored(t, first), "\n")
	want := `a.example.org. A (kubernetes:a) 5 10.0.0.4
a.example.org. AAAA (kubernetes:a) 5 ::1
n1.example.org. A (kubernetes:a) 5 10.1.0.1`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// An alias that is in the way is found, and so is a fence; what else is in etcd is no
// matter.
func TestOutrightBounds(t *testing.T) {
	t.Parallel()
	const owner = "kubernetes:a"
	c := client(t, member(t).Endpoints()...)
	write := func(position int64, name, typ string, data ...string) error {
		_, err := c.WriteFenced(t.Context(), Fence{Name: owner, Position: position}, Edit{Set, record(t, name, typ, owner, 5, data...)})
		return err
	}
	for _, err := range []error{
		write(5, "a.example.org", "CNAME", "b.example.org."),
		write(5, "b.example.org", "A", "10.0.0.1"),
		write(6, "c.example.org", "A", "10.0.0.1"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	looked := c.looked.Load()
	if looked == 0 {
		t.Fatal("it reads first")
	}
	if err := write(6, "a.example.org", "A", "10.0.0.1"); !errors.Is(err, ErrCNAME) {
		t.Errorf("beside an alias: %v", err)
	}
	c.looked.Store(looked)
	if err := write(5, "c.example.org", "A", "10.0.0.2"); !errors.Is(err, ErrBehind) {
		t.Errorf("from less knowledge: %v", err)
	}
	c.looked.Store(looked)
	if err := write(5, "c.example.org", "A", "10.0.0.1"); err != nil {
		t.Errorf("right already: %v", err)
	}
	key := c.keys.key(record(t, "c.example.org", "A", owner, 5, "10.0.0.1").Name, 1, owner)
	raw(t, c, key, "junk")
	outright := func(looked, position int64, edits ...Edit) (Result, bool) {
		t.Helper()
		c.looked.Store(looked)
		res, done, err := c.writeOutright(t.Context(), &Fence{Name: owner, Position: position}, edits)
		if err != nil {
			t.Error(err)
		}
		return res, done
	}
	seven := Edit{Set, record(t, "c.example.org", "A", owner, 5, "10.0.0.7")}
	eight := Edit{Set, record(t, "c.example.org", "A", owner, 5, "10.0.0.8")}
	res, done := outright(looked, 7, seven)
	if !done || res.Written != 1 {
		t.Errorf("over junk: %+v", res)
	}
	if res, done := outright(looked, 7, eight); done { // as one that comes late
		t.Errorf("from before the last write: %+v", res)
	}
	if res, done = outright(res.Revision, 7, eight); !done || res.Written != 1 {
		t.Errorf("from the last write: %+v", res)
	}
	many := make([]Edit, maxKeys)
	for i := range many {
		many[i] = Edit{Set, record(t, fmt.Sprintf("n%d.example.org", i), "A", owner, 5, "10.0.0.1")}
	}
	if res, done := outright(res.Revision, 8, many...); !done || res.Written != maxKeys {
		t.Errorf("as many as a transaction holds: %+v", res)
	}
}
