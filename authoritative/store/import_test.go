package store

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
)

func TestImport(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	zone := many(t, 100, "example.org", "")
	others := slices.Concat(many(t, 10, "example.org", "other"), many(t, 10, "example.organic", "static"), many(t, 10, "example.net", "static"))
	if _, err := c.Write(t.Context(), edits(Add, others)...); err != nil {
		t.Fatal(err)
	}
	raw(t, c, "/strata/v1/records/org/example/bad/A/static", "{") // the owner's, and none of ours
	replace := Import{Owner: "static", Under: org, Replace: true}
	for _, step := range []struct {
		what    string
		how     Import
		records iter.Seq2[Record, error]
		want    Result
		err     error
		left    int // of the owner under the zone
	}{
		{"all deletes the bad one, which the brake stops", replace, seq(zone), Result{}, ErrBrake, 0},
		{"add", Import{Owner: "static", Under: org}, seq(zone), Result{Written: 100}, nil, 100},
		{"replace by the same", replace, seq(zone), Result{Deleted: 1, Unchanged: 100}, nil, 100},
		{"and again", replace, seq(zone), Result{Unchanged: 100}, nil, 100},
		{"30 fewer", replace, seq(zone[30:]), Result{Deleted: 30, Unchanged: 70}, nil, 70},
		{"22 of 70 fewer", replace, seq(zone[52:]), Result{}, ErrBrake, 70},
		{"with a softer brake", Import{Owner: "static", Under: org, Replace: true, MaxDelete: 0.5}, seq(zone[52:]), Result{Deleted: 22, Unchanged: 48}, nil, 48},
		{"none at all", replace, seq(nil), Result{}, ErrBrake, 48},
		{"outside of the zone", replace, seq(others), Result{}, ErrEdit, 48},
		{"a broken file", replace, func(yield func(Record, error) bool) {
			_ = yield(zone[0], nil) && yield(Record{}, errBroken)
		}, Result{}, errBroken, 48},
		{"released brake", Import{Owner: "static", Under: org, Replace: true, MaxDelete: 1}, seq(nil), Result{Deleted: 48}, nil, 0},
	} {
		res, err := c.Import(t.Context(), step.how, step.records)
		res.Revision = 0
		if res != step.want || !errors.Is(err, step.err) {
			t.Fatalf("%s: %+v, %v", step.what, res, err)
		}
		if err != nil && !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", step.what, err)
		}
		if left := len(lines(t, c.List(t.Context(), org, "static"))); left != step.left {
			t.Errorf("%s: %d left, want %d", step.what, left, step.left)
		}
	}
	if got := stored(t, c); len(got) != len(others) {
		t.Errorf("%d of the others, want %d", len(got), len(others))
	}
}

var errBroken = errors.New("line 7: no such type")

// The lines of a master file are one record each; together they are RRsets.
func TestImportGathersRRsets(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	file := []Record{
		record(t, "example.org", "NS", "", 300, "a."), record(t, "w.example.org", "A", "", 60, "10.0.0.1"),
		record(t, "example.org", "NS", "", 60, "b.", "a."), record(t, "w.example.org", "A", "", 60, "10.0.0.1"),
	}
	res, err := c.Import(t.Context(), Import{Owner: "static", Under: org}, seq(file))
	if err != nil || res.Written != 2 {
		t.Fatal(res, err)
	}
	want := []string{"example.org. NS (static) 60 a. b.", "w.example.org. A (static) 60 10.0.0.1"}
	if got := stored(t, c); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// Without Replace values come to those there are.
	if res, err := c.Import(t.Context(), Import{Owner: "static", Under: org}, seq([]Record{record(t, "w.example.org", "A", "", 60, "10.0.0.2")})); err != nil || res.Written != 1 {
		t.Fatal(res, err)
	}
	if got := stored(t, c)[1]; got != "w.example.org. A (static) 60 10.0.0.1 10.0.0.2" {
		t.Error(got)
	}
}
